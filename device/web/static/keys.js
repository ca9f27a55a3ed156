// @ts-check
// The keypad of a screen, drawn or real: digits are echoed here at once, all that has a rule or money in it comes from
// the handheld. The grammar of a real keypad, the same on every screen:
//   digits   into the field that has the turn, or the numbered action of the screen
//   ⌫        takes a digit back; with nothing typed it is the way out of the screen
//   Enter    the main action      ◀ ▶  previous and next; among several fields, from field to field; in a list, from
//            line to line, as ▲ ▼ do where a keypad has them

/** @template {Element} T @param {string} selector @returns {T | null} */
const one = (selector) => document.querySelector(selector);

/** @returns {HTMLInputElement | null} the field that digits go into */
function turn() {
  const focused = document.activeElement;
  if (focused instanceof HTMLInputElement && focused.type !== 'hidden' && focused.dataset.digits === undefined) return focused;
  return one('input[data-digits]');
}

/** How typed digits are echoed: an index without leading zeros, a code with them, a PIN as dots.
 * @param {HTMLInputElement} field @param {string} value */
function shown(field, value) {
  if (field.dataset.secret) return '●'.repeat(value.length);
  return field.dataset.zeros ? value : value.replace(/^0+(?=\d)/, '');
}

/** @param {HTMLInputElement} field @param {string} value */
function put(field, value) {
  field.value = value;
  const echo = field.dataset.echo ? one(field.dataset.echo) : null;
  if (echo) echo.textContent = shown(field, value) || '–';
  field.dispatchEvent(new Event('input', { bubbles: true }));
}

/** @param {string} key a digit, "back" or "clear"; whether a field took it */
function press(key) {
  const field = turn();
  if (field === null) return false;
  const most = Number(field.dataset.digits) || (field.maxLength > 0 ? field.maxLength : 9);
  if (key === 'back') {
    if (field.value === '') return false;
    put(field, field.value.slice(0, -1));
  } else if (key === 'clear') put(field, '');
  else if (field.value.length < most) put(field, field.value + key);
  return true;
}

/** Act on a link or button as a finger would. @param {Element | null} target */
function act(target) {
  if (!(target instanceof HTMLElement) || target.getAttribute('aria-disabled') === 'true') return false;
  target.click();
  return true;
}

/** Move along the items of a list, from the one that was opened last where there is one. Past its ends lie the page before
 *  or behind it, and before its first item the field that fills it. @param {number} step */
function along(step) {
  const items = /** @type {HTMLElement[]} */ ([...document.querySelectorAll('[data-item]')]);
  const here = items.indexOf(/** @type {HTMLElement} */ (document.activeElement));
  const marked = here < 0 ? items.findIndex((item) => item.hasAttribute('aria-current')) : -1;
  const place = marked < 0 ? here + step : marked;
  if (place >= items.length && act(one('[data-page-next]'))) return true;
  if (place < 0 && act(one('[data-page-previous]'))) return true;
  const filter = place < 0 && here === 0 ? one('input[data-digits]:not([type=hidden])') : null;
  const there = filter ?? items[Math.max(0, Math.min(items.length - 1, place))];
  if (!(there instanceof HTMLElement)) return false;
  there.focus();
  there.scrollIntoView({ block: 'nearest' });
  return true;
}

/** From one typed field to the next. @param {number} step */
function field(step) {
  const fields = /** @type {HTMLElement[]} */ ([...document.querySelectorAll('input:not([type=hidden]), select, textarea')]);
  const there = fields[fields.indexOf(/** @type {HTMLElement} */ (document.activeElement)) + step];
  there?.focus();
  if (there instanceof HTMLInputElement) there.select();
  return there !== undefined;
}

/** Whether a key goes where the browser would take it by itself: into a field that shows what is typed. */
function typing() {
  const focused = document.activeElement;
  return focused instanceof HTMLInputElement || focused instanceof HTMLTextAreaElement || focused instanceof HTMLSelectElement;
}

/** @param {KeyboardEvent} event @returns {boolean} whether the key has been dealt with */
function dealt(event) {
  const inField = typing();
  const empty = inField && /** @type {HTMLInputElement} */ (document.activeElement).value === '';
  switch (event.key) {
    case 'ArrowLeft': return inField ? field(-1) : act(one('[data-previous]')) || along(-1);
    case 'ArrowRight': return inField ? field(1) || along(1) : act(one('[data-next]')) || along(1);
    case 'ArrowUp': return inField ? field(-1) : along(-1);
    case 'ArrowDown': return inField ? field(1) || along(1) : along(1);
    case 'Escape': return act(one('[data-back]'));
    case 'Backspace': return inField && !empty ? false : press('back') || act(one('[data-back]'));
    case 'Delete': return inField ? false : press('clear');
    case 'Enter': {
      const focused = document.activeElement;
      if (focused instanceof HTMLElement && focused.matches('a, button')) return false;
      if (inField && field(1)) return true;
      return act(one('[data-main]'));
    }
  }
  if (/^\d$/.test(event.key) && !inField) return press(event.key) || act(one(`[data-digit="${event.key}"]`));
  return false;
}

addEventListener('keydown', (event) => {
  if (event.ctrlKey || event.altKey || event.metaKey) return;
  if (event.repeat && event.key === 'Enter') return event.preventDefault();
  if (dealt(event)) event.preventDefault();
});

// A finger counts when it comes down: waiting for it to leave feels slow, and a slip off the key would lose the digit.
document.addEventListener('pointerdown', (event) => {
  const key = /** @type {Element} */ (event.target).closest('[data-key]');
  if (key instanceof HTMLElement) {
    event.preventDefault();
    press(key.dataset.key ?? '');
  }
});

// A list comes up where it was left.
one('[data-item][aria-current]')?.scrollIntoView({ block: 'center' });

// What is being typed goes along to the page that a link leads to, and comes back with it.
document.addEventListener('click', (event) => {
  const link = /** @type {Element} */ (event.target).closest('a[data-carry]');
  const field = one('input[data-digits]');
  if (!(link instanceof HTMLAnchorElement) || !(field instanceof HTMLInputElement)) return;
  const address = new URL(link.href);
  address.searchParams.set(field.name, field.value);
  link.href = address.pathname + address.search;
});

// A finger that rests too long must not open the browser's own menu.
document.addEventListener('contextmenu', (event) => event.preventDefault());

// One tap, one request: the handheld knows an intent that comes twice, but a second request would still be a second wait.
document.addEventListener('submit', (event) => {
  const form = /** @type {HTMLFormElement} */ (event.target);
  if (form.dataset.sent === '1') return event.preventDefault();
  form.dataset.sent = '1';
});

// The browser may show a page again as it was left; its forms may be sent again, since nothing is done twice.
addEventListener('pageshow', (event) => {
  for (const form of document.forms) delete form.dataset.sent;
  if (event.persisted) location.reload();
});
