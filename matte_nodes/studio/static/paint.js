// @ts-check
// SPDX-License-Identifier: Apache-2.0
// The painted trimap of a frame: subject, unknown, background. Strokes go to the server as they end.
import { failed, file, postPlane, take, tried } from "./api.js";
import { overlay, redraw } from "./viewer.js";
import { server, set, state, watch } from "./state.js";

export const SUBJECT = 255, UNKNOWN = 128, BACKGROUND = 0;
const TINT = new Map([[SUBJECT, [90, 220, 110, 100]], [BACKGROUND, [235, 70, 70, 80]], [UNKNOWN, [0, 0, 0, 0]]]);

/** @type {{ frame: number, sha: string, labels: Uint8Array, canvas: HTMLCanvasElement } | null} */
let layer = null;
/** @type {{ x: number, y: number } | null} */
let last = null;
let loads = 0;
/** @type {Promise<void>} */
let sending = Promise.resolve();

/** The painted picture of this frame as the session names it. */
const named = () => server().session.trimaps[String(state.frame)]?.sha ?? "";

/** The layer of the frame that is shown, empty where nothing was painted. */
function current() {
  const { width, height } = server().plate;
  if (!layer || layer.frame !== state.frame) {
    const canvas = document.createElement("canvas");
    canvas.width = width;
    canvas.height = height;
    layer = { frame: state.frame, sha: "", labels: new Uint8Array(width * height).fill(UNKNOWN), canvas };
  }
  return layer;
}

/** Load what the session has for this frame, when it is not what is shown. */
async function follow() {
  const sha = named(), own = current();
  if (own.sha === sha || last) return;
  own.sha = sha;
  const version = ++loads;
  if (sha) {
    try {
      const picture = await createImageBitmap(await file(`/api/painted/${sha}`));
      const scratch = new OffscreenCanvas(picture.width, picture.height);
      const pen = /** @type {OffscreenCanvasRenderingContext2D} */ (scratch.getContext("2d"));
      pen.drawImage(picture, 0, 0);
      const found = pen.getImageData(0, 0, picture.width, picture.height).data;
      picture.close();
      if (own !== layer || version !== loads || last) return;
      for (let at = 0; at < own.labels.length; at++) {
        const code = found[4 * at];
        own.labels[at] = code < 64 ? BACKGROUND : code > 191 ? SUBJECT : UNKNOWN;
      }
    } catch (error) {
      failed(error);
      return;
    }
  } else {
    own.labels.fill(UNKNOWN);
  }
  tint(0, 0, own.canvas.width, own.canvas.height);
  redraw();
}

/** Colour a part of the layer by its labels.
 * @param {number} x @param {number} y @param {number} width @param {number} height */
function tint(x, y, width, height) {
  if (width <= 0 || height <= 0) return;
  const own = current(), side = own.canvas.width, image = new ImageData(width, height);
  for (let row = 0; row < height; row++) {
    for (let column = 0; column < width; column++) {
      const colour = TINT.get(own.labels[(y + row) * side + x + column]);
      if (colour) image.data.set(colour, 4 * (row * width + column));
    }
  }
  /** @type {CanvasRenderingContext2D} */ (own.canvas.getContext("2d")).putImageData(image, x, y);
}

/** One round dab: hard inside, and its soft rim is left to the model.
 * @param {number} x @param {number} y @param {number} pressure 0..1 */
function dab(x, y, pressure) {
  const own = current(), { width, height } = own.canvas, { value, hardness, size } = state.brush;
  const radius = Math.max(0.5, (size / 2) * pressure), hard = Math.max(0.5, radius * hardness);
  const left = Math.max(0, Math.floor(x - radius)), top = Math.max(0, Math.floor(y - radius));
  const right = Math.min(width, Math.ceil(x + radius) + 1), bottom = Math.min(height, Math.ceil(y + radius) + 1);
  for (let row = top; row < bottom; row++) {
    for (let column = left; column < right; column++) {
      const far = Math.hypot(column + 0.5 - x, row + 0.5 - y);
      if (far > radius) continue;
      const at = row * width + column;
      if (far <= hard) own.labels[at] = value;
      else if (own.labels[at] !== value) own.labels[at] = UNKNOWN;
    }
  }
  tint(left, top, right - left, bottom - top);
}

/** Begin or go on with a stroke.
 * @param {number} x @param {number} y @param {number} pressure */
export function stroke(x, y, pressure) {
  const from = last ?? { x, y };
  const far = Math.hypot(x - from.x, y - from.y), step = Math.max(1, state.brush.size / 8);
  for (let along = last ? step : 0; along < far; along += step) {
    dab(from.x + ((x - from.x) * along) / far, from.y + ((y - from.y) * along) / far, pressure);
  }
  dab(x, y, pressure);
  last = { x, y };
  redraw();
}

/** End a stroke: it goes to the server, which keeps it and lets it be undone. */
export async function finish() {
  if (!last) return;
  last = null;
  await send();
}

/** Send the layer as it is, after those that were sent before. */
async function send() {
  const own = current(), { width, height } = own.canvas, plane = own.labels.slice();
  sending = sending.then(async () => {
    set({ busy: `keeping the paint of frame ${own.frame}` });
    const found = await tried(() => postPlane(`/api/paint/${own.frame}?width=${width}&height=${height}`, plane));
    if (found) {
      // What the server completed by the frame's matte is loaded; what it took as it was is here.
      own.sha = found.completed ? "?" : found.session.trimaps[String(own.frame)]?.sha ?? "";
      take(found);
    } else {
      own.sha = "?";
      await follow();
    }
    set({ busy: "" });
  });
  await sending;
}

/** Draw the layer, and the ring of the brush. */
export function start() {
  overlay((pen, zoom) => {
    const isBrush = state.tool === "brush";
    if (layer && layer.frame === state.frame && isBrush && state.overlay) pen.drawImage(layer.canvas, 0, 0);
    if (isBrush && state.pointer) {
      pen.lineWidth = 1 / zoom.scale;
      for (const [part, colour] of /** @type {[number, string][]} */ ([[1, "#fff"], [state.brush.hardness, "#ffffff66"]])) {
        pen.strokeStyle = colour;
        pen.beginPath();
        pen.arc(state.pointer.x, state.pointer.y, (state.brush.size / 2) * part, 0, 2 * Math.PI);
        pen.stroke();
      }
    }
  });
  watch(["server", "frame"], () => void follow());
  watch(["pointer"], () => { if (state.tool === "brush") redraw(); });
}

/** @param {Partial<State["brush"]>} patch */
export function setBrush(patch) {
  const brush = { ...state.brush, ...patch };
  brush.size = Math.min(500, Math.max(1, brush.size));
  brush.hardness = Math.min(1, Math.max(0, Math.round(brush.hardness * 100) / 100));
  set({ brush });
}
