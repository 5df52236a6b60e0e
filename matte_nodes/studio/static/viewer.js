// @ts-check
// SPDX-License-Identifier: Apache-2.0
// Draws the frame: zoom, pan, fit, views, the wipe between A and B, and what lies on top.
import { failed } from "./api.js";
import { codesOf, compose, isOver, isPlain, outline } from "./compose.js";
import { byId } from "./dom.js";
import { codes, giveUp, have, load } from "./pictures.js";
import { isDone, server, set, state, watch } from "./state.js";

const WIDTHS = [480, 960, 1920];
/** @type {HTMLCanvasElement} */
const screen = byId("screen");
const pen = /** @type {CanvasRenderingContext2D} */ (screen.getContext("2d"));
/** @type {((pen: CanvasRenderingContext2D, zoom: Zoom) => void)[]} */
const onTop = [];
/** @type {Map<string, HTMLCanvasElement>} */
const composed = new Map();

/** Let something draw over the picture, in the picture's own coordinates.
 * @param {(pen: CanvasRenderingContext2D, zoom: Zoom) => void} draw */
export function overlay(draw) {
  onTop.push(draw);
}

/** The width to ask for: enough for what is seen, 0 for full size. */
export function wantedWidth() {
  const { width } = server().plate;
  const seen = width * state.zoom.scale * devicePixelRatio;
  const found = WIDTHS.find((one) => one >= seen * 0.98 && one < width);
  return found ?? 0;
}

/** How this page looks at a frame: the service makes no more of it than is seen. */
export const looked = () => ({ width: wantedWidth(), foreground: state.view === "foreground" || isOver(state.view) });

/** @param {number} frame @param {number} width */
export const platePath = (frame, width) => `/api/plate/${frame}?width=${width}&look=${encodeURIComponent(server().plate.colorspace)}`;
/** @param {string} key @param {number} frame @param {string} part @param {number} width */
export const mattePath = (key, frame, part, width) => `/api/matte/${key}/${frame}/${part}?width=${width}`;

/** Addresses of all pictures that a view of a result needs.
 * @param {string | null} key @param {number} frame @param {number} width @returns {Record<string, string>} */
function needed(key, frame, width) {
  /** @type {Record<string, string>} */
  const found = { plate: platePath(frame, width) };
  const { view, b } = state;
  if (!key || (view === "plate" && !state.overlay)) return found;
  if (view !== "plate") found.alpha = mattePath(key, frame, "alpha", width);
  if (view === "foreground" || isOver(view)) found.color = mattePath(key, frame, "foreground", width);
  if (view === "picture" && server().session.behind) {
    found.behind = `/api/behind?width=${width}&path=${encodeURIComponent(server().session.behind)}`;
  }
  if (view === "difference" && b) found.other = mattePath(b.key, frame, "alpha", width);
  if (view === "outline") {
    for (const one of objectsShown()) found[`object.${one.name}`] = mattePath(key, frame, `object.${one.name}`, width);
  }
  return found;
}

/** Objects with a share of their own in the matte. */
function objectsShown() {
  const marked = server().session.objects.filter((one) => Object.keys(one.frames).length > 0);
  const soloed = marked.filter((one) => one.solo);
  const heard = (soloed.length ? soloed : marked).filter((one) => !one.mute);
  return heard.length > 1 ? heard : [];
}

/** The result that A is: that of the settings of now, where the frame has one. */
function keyOfA() {
  if (isDone(state.frame)) return server().key;
  const { mask } = state;  // the selector's, until the edges are solved
  return mask && mask.frame === state.frame && mask.of === server().key ? mask.key : null;
}

let asked = 0;
/** Load what the frame needs, then draw it. */
export async function show() {
  const width = wantedWidth(), frame = state.frame, number = ++asked;
  const { b, wipe, showB } = state;
  const sides = [needed(showB && b ? b.key : keyOfA(), frame, width)];
  if (wipe !== null && b) sides.push(needed(b.key, frame, width));
  const paths = new Set(sides.flatMap((side) => Object.values(side)));
  giveUp(new Set([...paths]), "/api/plate/");
  if (![...paths].every(have)) {
    try {
      await Promise.all([...paths].map(load));
    } catch (error) {
      if (number !== asked) return;
      failed(error);
      sides.splice(0, sides.length, { plate: platePath(frame, width) });
      await load(sides[0].plate).catch(() => undefined);
    }
  }
  if (number !== asked) return;
  draw(sides, frame);
}

/** @param {Record<string, string>[]} sides @param {number} frame */
function draw(sides, frame) {
  resize();
  const pictures = sides.map((side) => view(side)).filter((one) => one !== null);
  if (!pictures.length) return;
  const { width, height } = server().plate, { scale, x, y } = state.zoom, ratio = devicePixelRatio;
  pen.setTransform(1, 0, 0, 1, 0, 0);
  pen.fillStyle = "#141415";
  pen.fillRect(0, 0, screen.width, screen.height);
  pen.setTransform(scale * ratio, 0, 0, scale * ratio, x * ratio, y * ratio);
  pen.imageSmoothingEnabled = scale * ratio < 2;
  pictures.forEach((picture, index) => {
    pen.save();
    if (index === 1 && state.wipe !== null) {
      pen.beginPath();
      pen.rect(width * state.wipe, 0, width, height);
      pen.clip();
    }
    pen.drawImage(/** @type {CanvasImageSource} */ (picture), 0, 0, width, height);
    pen.restore();
  });
  if (state.wipe !== null && state.b) wipeLine(width, height, scale);
  for (const one of onTop) one(pen, state.zoom);
  screen.dataset.frame = String(frame);
  screen.dataset.view = state.view;
  screen.dataset.matted = String("alpha" in sides[0] && (state.showB || isDone(frame)));
  set({ loaded: state.loaded + 1 });
}

/** @param {number} width @param {number} height @param {number} scale */
function wipeLine(width, height, scale) {
  const at = width * (state.wipe ?? 0.5);
  pen.strokeStyle = "#e8a33d";
  pen.lineWidth = 1 / scale;
  pen.beginPath();
  pen.moveTo(at, 0);
  pen.lineTo(at, height);
  pen.stroke();
}

/** The picture of one side, composed once for each look.
 * @param {Record<string, string>} side @returns {CanvasImageSource | null} */
function view(side) {
  const plate = have(side.plate);
  if (!plate) return null;
  const look = { view: state.view, exposure: state.exposure, gamma: state.gamma, colour: state.colour };
  if (isPlain(look) && !side.alpha) return plate;
  const name = JSON.stringify([side, look]);
  const known = composed.get(name);
  if (known) return known;
  const { width, height } = plate;
  /** @param {string} part */
  const of = (part) => {
    const found = side[part] ? have(side[part]) : undefined;
    return found ? new Uint8ClampedArray(codes(found, width, height)) : null;
  };
  const layers = { width, height, plate: /** @type {Uint8ClampedArray} */ (of("plate")), alpha: of("alpha"),
    color: of("color"), behind: of("behind"), other: of("other") };
  const image = compose(layers, look);
  if (state.view === "outline" && layers.alpha) {
    outline(image, layers.alpha, [255, 220, 60]);
    for (const one of objectsShown()) {
      const share = of(`object.${one.name}`);
      if (share) outline(image, share, codesOf(one.colour));
    }
  }
  const canvas = document.createElement("canvas");
  canvas.width = width;
  canvas.height = height;
  /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d")).putImageData(image, 0, 0);
  composed.set(name, canvas);
  if (composed.size > 6) {
    const [old, other] = /** @type {[string, HTMLCanvasElement]} */ (composed.entries().next().value);
    composed.delete(old);
    other.width = other.height = 0;
  }
  return canvas;
}

/** The canvas as large as its place, in device pixels. */
function resize() {
  const width = Math.round(screen.clientWidth * devicePixelRatio);
  const height = Math.round(screen.clientHeight * devicePixelRatio);
  if (screen.width !== width || screen.height !== height) {
    screen.width = width;
    screen.height = height;
    if (state.zoom.fit) fit();
  }
}

/** The whole picture in the middle. */
export function fit() {
  const { width, height } = server().plate;
  const scale = Math.min(screen.clientWidth / width, screen.clientHeight / height) * 0.98;
  set({ zoom: { scale, x: (screen.clientWidth - width * scale) / 2, y: (screen.clientHeight - height * scale) / 2, fit: true } });
}

/** Zoom about a place of the screen.
 * @param {number} factor @param {number} [x] @param {number} [y] in pixels of the canvas */
export function zoomBy(factor, x = screen.clientWidth / 2, y = screen.clientHeight / 2) {
  const old = state.zoom, scale = Math.min(64, Math.max(0.02, old.scale * factor)), by = scale / old.scale;
  set({ zoom: { scale, x: x - (x - old.x) * by, y: y - (y - old.y) * by, fit: false } });
}

/** One pixel of the picture on one of the screen. */
export function actualSize() {
  zoomBy(1 / devicePixelRatio / state.zoom.scale);
}

/** A place of the screen in pixels of the picture.
 * @param {{ clientX: number, clientY: number }} event */
export function place(event) {
  const box = screen.getBoundingClientRect(), { scale, x, y } = state.zoom;
  return { x: (event.clientX - box.left - x) / scale, y: (event.clientY - box.top - y) / scale };
}

/** Draw when anything changes that is seen. */
export function start() {
  new ResizeObserver(() => { resize(); show(); }).observe(screen);
  watch(["server", "frame", "view", "exposure", "gamma", "colour", "b", "showB", "wipe", "zoom", "overlay", "object", "brush", "tool", "mask"], show);
}

/** Draw again what is here already. */
export const redraw = show;
