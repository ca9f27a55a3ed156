// @ts-check
// Letters on a screen without a keyboard: a kiosk browser brings none. It types into the field that has the turn.
const ROWS = ['1234567890', 'qwertyuiop', 'asdfghjkl', '⇧zxcvbnm⌫', '.-_@ '];
const board = /** @type {HTMLElement | null} */ (document.querySelector('[data-keyboard]'));
let capitals = false;

/** @returns {HTMLInputElement | null} */
function field() {
  const focused = document.activeElement;
  return focused instanceof HTMLInputElement && focused.type !== 'hidden' ? focused : null;
}

/** @param {string} key */
function type(key) {
  const into = field();
  if (key === '⇧') {
    capitals = !capitals;
    draw();
    return;
  }
  if (!into) return;
  if (key === '⌫') into.value = into.value.slice(0, -1);
  else if (into.maxLength < 0 || into.value.length < into.maxLength) into.value += key;
  into.dispatchEvent(new Event('input', { bubbles: true }));
}

function draw() {
  if (!board) return;
  board.replaceChildren(
    ...ROWS.map((row) => {
      const line = document.createElement('div');
      for (const letter of row) {
        const key = document.createElement('button');
        const text = capitals ? letter.toUpperCase() : letter;
        key.type = 'button';
        key.tabIndex = -1;
        key.textContent = text === ' ' ? '␣' : text;
        key.dataset.letter = text;
        line.append(key);
      }
      return line;
    }),
  );
}

draw();
// Down, not click: the field keeps the turn, and the letter is there at once.
board?.addEventListener('pointerdown', (event) => {
  const key = /** @type {Element} */ (event.target).closest('button');
  event.preventDefault();
  if (key?.dataset.letter) type(key.dataset.letter);
});

// A keypad has no letters: in the field of the user name its digits pick one of those who work on this handheld.
addEventListener(
  'keydown',
  (event) => {
    const into = field();
    const known = into?.dataset.pick?.split(' ').filter(Boolean) ?? [];
    const picked = /^[1-9]$/.test(event.key) ? known[Number(event.key) - 1] : undefined;
    if (into && picked) {
      into.value = picked;
      event.preventDefault();
    }
  },
  true,
);
