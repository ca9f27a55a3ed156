// Looks at a page as it stands, and gives a sentence for each thing that is wrong with sizes, contrast and places.
({ textPx, contrast, targetPx, mainPx }) => {
  const wrong = new Set();
  const root = document.documentElement;
  const [width, height] = [root.clientWidth, root.clientHeight];
  const NEARLY = 0.5; // Browsers lay out in 1/64 of a pixel.
  const HALF_A_LINE = 6; // Vietnamese letters stand taller than a line that is set tight; what is cut is more.

  const named = (e) => {
    const id = e.id ? `#${e.id}` : '';
    return `<${e.tagName.toLowerCase()}${id} class="${e.getAttribute('class') ?? ''}"> ${e.textContent.trim().slice(0, 40)}`;
  };
  const ancestors = (e) => (e.parentElement ? [e.parentElement, ...ancestors(e.parentElement)] : []);
  const style = (e, part) => getComputedStyle(e, part);
  const scrolls = (e) => /auto|scroll/.test(style(e).overflowY);
  const cuts = (e) => e !== document.body && /hidden|clip/.test(style(e).overflowX + style(e).overflowY);
  const isSeen = (e) => {
    const box = e.getBoundingClientRect();
    return style(e).visibility !== 'hidden' && style(e).display !== 'none' && box.width > 1 && box.height > 1;
  };

  // Contrast, as WCAG defines it. Backgrounds here are of one colour.
  const colour = (text) => text.match(/[\d.]+/g).map(Number);
  const channel = (v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
  const light = ([r, g, b]) => 0.2126 * channel(r / 255) + 0.7152 * channel(g / 255) + 0.0722 * channel(b / 255);
  const behind = (e) => {
    const solid = [e, ...ancestors(e)].map((a) => colour(style(a).backgroundColor)).find((c) => (c[3] ?? 1) === 1);
    return solid ?? [255, 255, 255];
  };
  const ratio = (ink, paper) => {
    const [darker, lighter] = [light(ink), light(paper)].sort((a, b) => a - b);
    return (lighter + 0.05) / (darker + 0.05);
  };

  const looksAtText = (e) => {
    if (parseFloat(style(e).fontSize) < textPx) wrong.add(`text of ${style(e).fontSize}: ${named(e)}`);
    const found = ratio(colour(style(e).color), behind(e));
    if (found < contrast) wrong.add(`contrast ${found.toFixed(2)}: ${named(e)}`);
  };

  const looksAtEdges = (e) => {
    const isCutOnPurpose = style(e).textOverflow === 'ellipsis' || style(e).webkitLineClamp !== 'none';
    if (cuts(e) && !isCutOnPurpose && !e.matches('.unseen, .who, input, video, img')) {
      if (!scrolls(e) && e.scrollHeight > e.clientHeight + HALF_A_LINE) wrong.add(`cut off below: ${named(e)}`);
      if (e.scrollWidth > e.clientWidth + 1) wrong.add(`cut off on the right: ${named(e)}`);
    }
    if (scrolls(e) && e.scrollWidth > e.clientWidth + 1) wrong.add(`scrolls sideways: ${named(e)}`);
  };

  const looksAtPlace = (e) => {
    const box = e.getBoundingClientRect();
    const isInScroll = ancestors(e).some(scrolls);
    const isOut =
      box.left < -NEARLY || box.right > width + NEARLY || (!isInScroll && (box.top < -NEARLY || box.bottom > height + NEARLY));
    const isAction = e.matches('a, button, input:not([type=hidden])');
    if (isOut && (isAction || !ancestors(e).some(cuts))) wrong.add(`outside the screen: ${named(e)}`);
    const main = e.closest('main')?.getBoundingClientRect();
    if (isAction && main && !isInScroll && (box.bottom > main.bottom + NEARLY || box.top < main.top - NEARLY))
      wrong.add(`outside its part of the screen: ${named(e)}`);
    if (e.matches('.button, .pad > *, .list a, input:not([type=hidden])') && box.height < targetPx)
      wrong.add(`${box.height} px high: ${named(e)}`);
    if (e.matches('[data-main]') && box.height < mainPx) wrong.add(`the main action is ${box.height} px high`);
  };

  for (const e of [root, document.body])
    if (e.scrollWidth > e.clientWidth || e.scrollHeight > e.clientHeight) wrong.add('the page itself scrolls');
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let text = texts.nextNode(); text; text = texts.nextNode())
    if (text.data.trim() && isSeen(text.parentElement)) looksAtText(text.parentElement);
  for (const e of document.querySelectorAll('body *:not(svg *)')) {
    if (!isSeen(e)) continue;
    looksAtEdges(e);
    looksAtPlace(e);
    if (e.placeholder && ratio(colour(style(e, '::placeholder').color), behind(e)) < contrast)
      wrong.add(`contrast of a placeholder: ${named(e)}`);
  }
  return [...wrong];
}
