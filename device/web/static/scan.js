// @ts-check
// Reads the QR code of an enrolment through the camera and goes on with its text. Nothing leaves this machine.
import decodeQR from './vendor/qr/decode.js';

const LOOK_EVERY_MS = 250; // A code is held still for longer, and a slow machine needs the time.
const SIDE_MAX = 640; // Enough for a code that fills a third of the picture.
const video = /** @type {HTMLVideoElement} */ (document.querySelector('#camera'));
const said = /** @type {HTMLElement} */ (document.querySelector('#said'));
const target = document.querySelector('script[data-scan]')?.getAttribute('data-scan') ?? '/setup?qr=';
const canvas = document.createElement('canvas');

/** @returns {string} the text of a code in the picture, or "" */
function look() {
  const scale = Math.min(1, SIDE_MAX / Math.max(video.videoWidth, video.videoHeight, 1));
  canvas.width = Math.round(video.videoWidth * scale);
  canvas.height = Math.round(video.videoHeight * scale);
  const context = canvas.getContext('2d', { willReadFrequently: true });
  if (!context || canvas.width === 0) return '';
  context.drawImage(video, 0, 0, canvas.width, canvas.height);
  try {
    return decodeQR(context.getImageData(0, 0, canvas.width, canvas.height));
  } catch {
    return ''; // No code in this picture: the next one may have it.
  }
}

async function run() {
  const stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: 'environment' }, audio: false });
  video.srcObject = stream;
  addEventListener('pagehide', () => stream.getTracks().forEach((track) => track.stop()));
  const timer = setInterval(() => {
    const text = look();
    if (text.startsWith('ghithu:')) {
      clearInterval(timer);
      location.assign(target + encodeURIComponent(text));
    } else if (text) said.textContent = said.dataset.other ?? '';
  }, LOOK_EVERY_MS);
}

run().catch(() => {
  said.textContent = said.dataset.noCamera ?? '';
});
