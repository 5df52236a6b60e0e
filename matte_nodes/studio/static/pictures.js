// @ts-check
// SPDX-License-Identifier: Apache-2.0
// Loads pictures and keeps the newest, up to a number of bytes; what is dropped is freed at once.
import { file } from "./api.js";

const MOST_BYTES = 192 * 1024 * 1024;
/** @type {Map<string, ImageBitmap>} */
const kept = new Map();
/** @type {Map<string, { promise: Promise<ImageBitmap>, abort: AbortController }>} */
const coming = new Map();
let bytes = 0;

/** @param {ImageBitmap} picture */
const size = (picture) => picture.width * picture.height * 4;

/** A picture that is here, or undefined.
 * @param {string} path @returns {ImageBitmap | undefined} */
export function have(path) {
  const found = kept.get(path);
  if (found) {
    kept.delete(path);
    kept.set(path, found);
  }
  return found;
}

/** Load a picture, or take it from what is kept.
 * @param {string} path @returns {Promise<ImageBitmap>} */
export async function load(path) {
  const found = have(path);
  if (found) return found;
  const known = coming.get(path);
  if (known) return known.promise;
  const abort = new AbortController();
  const promise = fetched(path, abort.signal).finally(() => coming.delete(path));
  coming.set(path, { promise, abort });
  return promise;
}

/** Give up what is still coming, but for these.
 * @param {Set<string>} wanted @param {string} kind only addresses that begin like this */
export function giveUp(wanted, kind) {
  for (const [path, one] of coming) {
    if (path.startsWith(kind) && !wanted.has(path)) one.abort.abort();
  }
}

/** @param {string} path @param {AbortSignal} signal */
async function fetched(path, signal) {
  const blob = await file(path, signal);
  const picture = await createImageBitmap(blob, { premultiplyAlpha: "none", colorSpaceConversion: "none" });
  kept.set(path, picture);
  bytes += size(picture);
  for (const [old, other] of kept) {
    if (bytes <= MOST_BYTES || old === path) break;
    kept.delete(old);
    bytes -= size(other);
    other.close();
  }
  return picture;
}

/** How many pictures are kept, and their bytes. */
export function held() {
  return { pictures: kept.size, bytes };
}

const scratch = document.createElement("canvas");
const pen = /** @type {CanvasRenderingContext2D} */ (scratch.getContext("2d", { willReadFrequently: true }));

/** The codes of a picture, R, G, B and A of each pixel.
 * @param {ImageBitmap} picture @param {number} width @param {number} height @returns {Uint8ClampedArray} */
export function codes(picture, width = picture.width, height = picture.height) {
  scratch.width = width;
  scratch.height = height;
  pen.drawImage(picture, 0, 0, width, height);
  return pen.getImageData(0, 0, width, height).data;
}
