// @ts-check
// A button that takes money or gives it back answers only when its screen has been there for a moment: the second half of
// a double tap on the screen before must not be the answer to a question that nobody has read yet. No module: it has to
// be there before any key is dealt with.
{
  const SETTLED_MS = 400; // Two taps that are meant as one lie closer together.
  let settled = false;

  /** @param {boolean} disabled */
  const show = (disabled) => {
    for (const button of document.querySelectorAll('button[data-settles]')) button.toggleAttribute('disabled', disabled);
  };

  addEventListener('click', (event) => {
    if (settled || !(event.target instanceof Element) || !event.target.closest('[data-settles]')) return;
    event.preventDefault();
    event.stopImmediatePropagation();
  }, true);

  addEventListener('DOMContentLoaded', () => {
    show(true);
    // From the first picture on: what has not been drawn cannot have been read.
    requestAnimationFrame(() => setTimeout(() => {
      settled = true;
      show(false);
    }, SETTLED_MS));
  });
}
