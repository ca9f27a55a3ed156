// @ts-check
// Takes the photo of a meter, makes a JPEG of it that a slow link can carry, and hands it to the handheld. Nothing is
// kept in the browser; what had been typed goes along in the address.
const SIDE_MAX = 1280; // Digits of a dial that fills a quarter of the picture are still twenty pixels high.
const BYTES_MAX = 200_000;
const QUALITIES = [0.85, 0.75, 0.65, 0.55, 0.45];
const SMALLER = 0.75;
const SIZES_MAX = 4; // Down to 540 pixels: what is too large then is no picture of a dial.
const ANSWER_MS = 15_000; // The handheld writes to its own disk; a full one says so at once.

/** @typedef {'opening' | 'live' | 'taking' | 'taken' | 'sending' | 'refused' | 'without'} State */

/** @template {Element} T @param {string} id @returns {T} */
const get = (id) => /** @type {T} */ (/** @type {unknown} */ (document.getElementById(id)));
const page = /** @type {HTMLElement} */ (get('photo'));
const video = /** @type {HTMLVideoElement} */ (get('camera'));
const picture = /** @type {HTMLImageElement} */ (get('taken'));
const nothing = /** @type {HTMLElement} */ (get('nothing'));
const said = /** @type {HTMLElement} */ (get('said'));
const main = /** @type {HTMLElement} */ (get('main'));
const again = /** @type {HTMLElement} */ (get('again'));
const cannot = /** @type {HTMLElement} */ (get('cannot'));

let state = /** @type {State} */ ('opening');
let jpeg = /** @type {Blob | null} */ (null);

/** @param {HTMLElement} button @param {boolean} may */
function allow(button, may) {
  if (may) button.removeAttribute('aria-disabled');
  else button.setAttribute('aria-disabled', 'true');
}

/** Show where things stand: what is seen, what may be pressed, one sentence.
 * @param {State} next @param {string} [words] */
function show(next, words) {
  state = next;
  const without = next === 'without' || next === 'refused';
  video.hidden = jpeg !== null || next === 'without';
  picture.hidden = jpeg === null;
  nothing.hidden = next !== 'without' || jpeg !== null;
  main.textContent = (without ? main.dataset.without : jpeg ? main.dataset.taken : main.dataset.live) ?? '';
  allow(main, next !== 'opening' && next !== 'taking' && next !== 'sending');
  allow(again, next === 'taken' || next === 'refused');
  allow(cannot, next === 'taken');
  said.textContent = words ?? said.dataset[next] ?? '';
}

/** The picture as it stands, small enough. @param {CanvasImageSource} source @param {number} width @param {number} height */
async function shrunk(source, width, height) {
  const canvas = document.createElement('canvas');
  let scale = Math.min(1, SIDE_MAX / Math.max(width, height));
  for (let size = 0; size < SIZES_MAX; size++, scale *= SMALLER) {
    canvas.width = Math.max(1, Math.round(width * scale));
    canvas.height = Math.max(1, Math.round(height * scale));
    canvas.getContext('2d')?.drawImage(source, 0, 0, canvas.width, canvas.height);
    for (const quality of QUALITIES) {
      const made = await new Promise((/** @type {(blob: Blob | null) => void} */ done) => canvas.toBlob(done, 'image/jpeg', quality));
      if (made && made.type === 'image/jpeg' && made.size <= BYTES_MAX) return made;
    }
  }
  return null;
}

async function take() {
  if (video.videoWidth === 0 || video.readyState < HTMLMediaElement.HAVE_CURRENT_DATA) return show('live', said.dataset.dark);
  show('taking');
  video.pause(); // The picture is the one of the press, however long it takes to make it small.
  const made = await shrunk(video, video.videoWidth, video.videoHeight).catch(() => null);
  if (!made) return live(said.dataset.failed);
  jpeg = made;
  picture.src = URL.createObjectURL(made); // What is kept, not what the camera showed.
  show('taken');
}

function retake() {
  URL.revokeObjectURL(picture.src);
  jpeg = null;
  live();
}

/** Look through the camera, unless it has gone meanwhile. @param {string} [words] */
function live(words) {
  const stream = video.srcObject;
  if (!(stream instanceof MediaStream) || !stream.active) return show('without');
  video.play().then(() => show('live', words), () => show('without'));
}

/** Hand the photo to the handheld and go on. @param {string | undefined} address ends where the digest belongs */
async function keep(address) {
  show('sending');
  try {
    const answer = await fetch(page.dataset.post ?? '', {
      method: 'POST',
      headers: { 'Content-Type': 'image/jpeg' },
      body: jpeg,
      signal: AbortSignal.timeout(ANSWER_MS),
    });
    if (answer.redirected) return location.replace(answer.url); // The log-in, which comes back here.
    const told = /** @type {{ sha256?: string, sentence?: string }} */ (await answer.json());
    if (answer.ok && told.sha256) return location.replace((address ?? '') + told.sha256);
    show('refused', told.sentence ?? said.dataset.failed);
  } catch {
    show('taken', said.dataset.failed);
  }
}

main.addEventListener('click', () => {
  if (state === 'live') void take();
  else if (state === 'taken') void keep(page.dataset.keep);
  else if (state === 'without' || state === 'refused') location.assign(page.dataset.leave ?? '/');
});
cannot.addEventListener('click', () => {
  if (state === 'taken') void keep(page.dataset.reasons);
});
again.addEventListener('click', () => {
  if (state === 'taken' || state === 'refused') retake();
});

async function open() {
  const stream = await navigator.mediaDevices.getUserMedia({
    video: { facingMode: 'environment', width: { ideal: 1920 }, height: { ideal: 1080 } },
    audio: false,
  });
  addEventListener('pagehide', () => stream.getTracks().forEach((track) => track.stop()));
  for (const track of stream.getTracks()) track.addEventListener('ended', () => jpeg === null && show('without'));
  video.srcObject = stream;
  await video.play();
  show('live');
}

open().catch(() => show('without'));
