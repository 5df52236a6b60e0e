// @ts-check
// SPDX-License-Identifier: Apache-2.0
// Frames in time: thumbnails, marks, in and out, and playing what is here at the clip's rate.
import { edit } from "./api.js";
import { byId, button, h } from "./dom.js";
import { have, load } from "./pictures.js";
import { server, set, span, state, watch } from "./state.js";
import { mattePath, platePath, wantedWidth } from "./viewer.js";

const THUMB = 96, PAD = 10, RULER = 16;
const COLOURS = { done: "#5f8f63", stale: "#8a6a2f", key: "#e8a33d", painted: "#9a86e0", now: "#f0f0f0" };
/** @type {HTMLCanvasElement} */
const canvas = byId("timeline");
const pen = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
/** @type {Map<string, HTMLCanvasElement>} */
const thumbs = new Map();
/** @type {string[]} */
let queue = [];
let working = 0;

/** Go to a frame of the clip, the nearest one to the number.
 * @param {number} frame */
export function goTo(frame) {
  const { frames } = server().plate;
  const nearest = frames.reduce((best, one) => (Math.abs(one - frame) < Math.abs(best - frame) ? one : best), frames[0]);
  set({ frame: nearest });
}

/** Go some frames on.
 * @param {number} steps */
export function stepBy(steps) {
  const { frames } = server().plate, at = frames.indexOf(state.frame);
  set({ frame: frames[Math.min(frames.length - 1, Math.max(0, at + steps))] });
}

/** Frames that have clicks, boxes or something painted. */
export function keyFrames() {
  const { objects, trimaps, keys } = server().session;
  const found = new Set([...objects.flatMap((one) => Object.keys(one.frames)), ...Object.keys(trimaps), ...Object.keys(keys)]);
  return [...found].map(Number).sort((a, b) => a - b);
}

/** Go to the next key, or the one before.
 * @param {number} way 1 or -1 */
export function toKey(way) {
  const keys = keyFrames();
  const found = way > 0 ? keys.find((one) => one > state.frame) : keys.reverse().find((one) => one < state.frame);
  if (found !== undefined) set({ frame: found });
}

/** Set the in or the out point to this frame. @param {"in" | "out"} end */
export function setEnd(end) {
  const [first, last] = span(), { frames } = server().plate;
  const next = end === "in" ? [state.frame, Math.max(last, state.frame)] : [Math.min(first, state.frame), state.frame];
  const isWhole = next[0] === frames[0] && next[1] === frames[frames.length - 1];
  void edit({ edit: "span", span: isWhole ? null : next });
}

/** @param {number} x in pixels of the canvas @returns {number} */
function frameAt(x) {
  const { frames } = server().plate, width = canvas.clientWidth - 2 * PAD;
  const at = Math.round(((x - PAD) / width) * (frames.length - 1));
  return frames[Math.min(frames.length - 1, Math.max(0, at))];
}

/** @param {number} frame */
function placeOf(frame) {
  const { frames } = server().plate, width = canvas.clientWidth - 2 * PAD;
  const at = frames.indexOf(frame);
  return PAD + (frames.length > 1 ? (at / (frames.length - 1)) * width : width / 2);
}

/** Draw the whole timeline. */
function draw() {
  if (!state.server) return;
  const ratio = devicePixelRatio, width = canvas.clientWidth, height = canvas.clientHeight;
  canvas.width = Math.round(width * ratio);
  canvas.height = Math.round(height * ratio);
  pen.setTransform(ratio, 0, 0, ratio, 0, 0);
  pen.fillStyle = "#1f2021";
  pen.fillRect(0, 0, width, height);
  strip(width, height);
  marks(height);
  const [first, last] = span();
  pen.fillStyle = "#0008";
  pen.fillRect(0, 0, placeOf(first), height);
  pen.fillRect(placeOf(last), 0, width, height);
  const now = placeOf(state.frame);
  pen.fillStyle = COLOURS.now;
  pen.fillRect(now - 0.75, 0, 1.5, height);
  pen.font = "10px system-ui";
  pen.fillText(String(state.frame), Math.min(width - 34, now + 4), height - 4);
  canvas.setAttribute("aria-valuenow", String(state.frame));
  canvas.setAttribute("aria-valuetext", `frame ${state.frame}`);
}

/** Thumbnails side by side. @param {number} width @param {number} height */
function strip(width, height) {
  const { plate } = server(), tall = height - RULER, wide = (tall * plate.width) / plate.height;
  const count = Math.max(1, Math.floor((width - 2 * PAD) / wide));
  const wanted = [];
  for (let index = 0; index < count; index++) {
    const x = PAD + (index * (width - 2 * PAD)) / count;
    const path = platePath(frameAt(x + wide / 2), THUMB);
    const found = thumbs.get(path);
    if (found) pen.drawImage(found, x, RULER, (width - 2 * PAD) / count - 1, tall);
    else wanted.push(path);
  }
  queue = wanted;
  fill();
}

/** Load thumbnails two at a time, after everything else. */
function fill() {
  while (working < 2 && queue.length && state.loaded > 0) {
    const path = /** @type {string} */ (queue.shift());
    working++;
    load(path).then((picture) => {
      const small = document.createElement("canvas");
      small.width = picture.width;
      small.height = picture.height;
      /** @type {CanvasRenderingContext2D} */ (small.getContext("2d")).drawImage(picture, 0, 0);
      if (thumbs.size > 300) thumbs.clear();
      thumbs.set(path, small);
    }).catch(() => undefined).finally(() => { working--; if (!queue.length) draw(); else fill(); });
  }
}

/** Bars for matted and stale frames, signs for keys. @param {number} height */
function marks(height) {
  const { plate, done, stale, session } = server();
  const wide = Math.max(1, (canvas.clientWidth - 2 * PAD) / Math.max(1, plate.frames.length - 1));
  for (const [frames, colour] of /** @type {[number[], string][]} */ ([[stale, COLOURS.stale], [done, COLOURS.done]])) {
    pen.fillStyle = colour;
    for (const frame of frames) pen.fillRect(placeOf(frame) - wide / 2, RULER - 5, wide + 0.5, 4);
  }
  for (const one of session.objects) {
    pen.fillStyle = one.colour;
    for (const frame of Object.keys(one.frames)) diamond(placeOf(Number(frame)), 5, 4);
  }
  pen.fillStyle = COLOURS.painted;
  for (const frame of Object.keys(session.trimaps)) pen.fillRect(placeOf(Number(frame)) - 3, 2, 6, 6);
  pen.fillStyle = COLOURS.key;
  for (const frame of Object.keys(session.keys)) pen.fillRect(placeOf(Number(frame)) - 1.5, height - 8, 3, 8);
}

/** @param {number} x @param {number} y @param {number} size */
function diamond(x, y, size) {
  pen.beginPath();
  pen.moveTo(x, y - size);
  pen.lineTo(x + size, y);
  pen.lineTo(x, y + size);
  pen.lineTo(x - size, y);
  pen.fill();
}

/** Play at the clip's rate; frames that are not here in time are waited for, none is skipped. */
export function toggle() {
  set({ playing: !state.playing });
  if (state.playing) void play();
}

async function play() {
  const [first, last] = span(), { frames, rate } = server().plate;
  const range = frames.filter((one) => one >= first && one <= last);
  let at = Math.max(0, range.indexOf(state.frame)), due = performance.now();
  while (state.playing && range.length > 1) {
    at = (at + 1) % range.length;
    await Promise.all(pathsOf(range[at]).map((path) => load(path).catch(() => undefined)));
    for (let ahead = 1; ahead < 6; ahead++) {
      for (const path of pathsOf(range[(at + ahead) % range.length])) if (!have(path)) void load(path).catch(() => undefined);
    }
    due = Math.max(due + 1000 / rate, performance.now() - 1000 / rate);
    await new Promise((next) => setTimeout(next, Math.max(0, due - performance.now())));
    await new Promise(requestAnimationFrame);
    if (state.playing) set({ frame: range[at] });
  }
}

/** What a frame needs in the view of now. @param {number} frame */
function pathsOf(frame) {
  const { key, done } = server(), width = wantedWidth(), found = [platePath(frame, width)];
  if (state.view !== "plate" && done.includes(frame)) {
    found.push(mattePath(key, frame, "alpha", width));
    if (!["alpha", "outline", "difference"].includes(state.view)) found.push(mattePath(key, frame, "foreground", width));
  }
  return found;
}

/** Listen, and draw on every change. */
export function start() {
  const bar = byId("transport"), number = h("output", { "aria-label": "Frame now" });
  const playing = button("Play", "Play or stop (Space)", toggle);
  const ends = h("span", { className: "note" });
  bar.append(
    button("|<", "First frame (Home)", () => goTo(span()[0]), { name: "First frame" }),
    button("<", "Frame before (Left)", () => stepBy(-1), { name: "Frame before" }), playing,
    button(">", "Next frame (Right)", () => stepBy(1), { name: "Next frame" }),
    button(">|", "Last frame (End)", () => goTo(span()[1]), { name: "Last frame" }), number,
    button("In", "Set the in point here (I)", () => setEnd("in")), button("Out", "Set the out point here (O)", () => setEnd("out")),
    ends, h("span", { className: "space" }),
    button("< Key", "Key before (Shift+N)", () => toKey(-1)), button("Key >", "Next key (N)", () => toKey(1)));
  const refreshed = () => {
    number.value = String(state.frame);
    playing.textContent = state.playing ? "Stop" : "Play";
    const [first, last] = span();
    ends.textContent = `${first}-${last}, ${last - first + 1} frames, ${server().plate.rate.toFixed(2).replace(/\.?0+$/, "")} fps`;
    draw();
  };
  watch(["frame", "server", "playing"], refreshed);
  watch(["loaded"], () => { if (queue.length && !working) fill(); });
  new ResizeObserver(draw).observe(canvas);
  const seek = (/** @type {PointerEvent} */ event) => set({ frame: frameAt(event.clientX - canvas.getBoundingClientRect().left), playing: false });
  canvas.addEventListener("pointerdown", (event) => { canvas.setPointerCapture(event.pointerId); seek(event); });
  canvas.addEventListener("pointermove", (event) => { if (event.buttons & 1) seek(event); });
}
