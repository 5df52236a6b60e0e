// @ts-check
// SPDX-License-Identifier: Apache-2.0
// What the pointer does on the picture: pan, zoom, click, box, paint, move the wipe.
import { edit } from "./api.js";
import { byId } from "./dom.js";
import { finish, stroke } from "./paint.js";
import { server, set, state, watch } from "./state.js";
import { overlay, place, redraw, zoomBy } from "./viewer.js";

/** @type {HTMLCanvasElement} */
const screen = byId("screen");
/** @type {{ kind: string, x: number, y: number, zoom: Zoom, to: { x: number, y: number } } | null} */
let drag = null;
/** @type {Map<number, { x: number, y: number }>} */
const fingers = new Map();

/** The object that is clicked on now: the chosen one, else the first. */
export function objectNow() {
  const { objects } = server().session;
  return objects.find((one) => one.name === state.object) ?? objects[0] ?? null;
}

/** @param {{ x: number, y: number }} at */
const isInside = (at) => at.x >= 0 && at.y >= 0 && at.x < server().plate.width && at.y < server().plate.height;

/** @param {PointerEvent} event */
function kindOf(event) {
  if (event.button === 1 || (event.button === 0 && state.tool === "pan")) return "pan";
  const { width } = server().plate, at = place(event);
  if (state.wipe !== null && state.b && Math.abs(at.x - width * state.wipe) * state.zoom.scale < 6) return "wipe";
  if (event.button === 2) return state.tool === "click" ? "not" : "pan";
  return state.tool === "click" && event.altKey ? "not" : state.tool;
}

/** @param {PointerEvent} event */
function down(event) {
  screen.focus();
  screen.setPointerCapture(event.pointerId);
  fingers.set(event.pointerId, { x: event.clientX, y: event.clientY });
  const at = place(event), kind = fingers.size > 1 ? "pinch" : kindOf(event);
  drag = { kind, x: event.clientX, y: event.clientY, zoom: state.zoom, to: at };
  if (kind === "brush") stroke(at.x, at.y, pressure(event));
  event.preventDefault();
}

/** @param {PointerEvent} event */
const pressure = (event) => (event.pointerType === "pen" && event.pressure > 0 ? event.pressure : 1);

/** @param {PointerEvent} event */
function move(event) {
  const at = place(event);
  set({ pointer: at });
  if (!drag) return;
  if (drag.kind === "pinch") return pinch(event);
  fingers.set(event.pointerId, { x: event.clientX, y: event.clientY });
  if (drag.kind === "pan") {
    const { scale, x, y } = drag.zoom;
    set({ zoom: { scale, x: x + event.clientX - drag.x, y: y + event.clientY - drag.y, fit: false } });
  } else if (drag.kind === "wipe") {
    set({ wipe: Math.min(1, Math.max(0, at.x / server().plate.width)) });
  } else if (drag.kind === "brush") {
    const parts = event.getCoalescedEvents?.() ?? [];
    for (const part of parts.length ? parts : [event]) {
      const here = place(part);
      stroke(here.x, here.y, pressure(part));
    }
  } else if (drag.kind === "box") {
    drag.to = at;
    redraw();
  }
}

/** Two fingers zoom and pan. @param {PointerEvent} event */
function pinch(event) {
  const before = [...fingers.values()];
  fingers.set(event.pointerId, { x: event.clientX, y: event.clientY });
  const after = [...fingers.values()];
  if (before.length < 2) return;
  const far = (/** @type {{ x: number, y: number }[]} */ two) => Math.hypot(two[0].x - two[1].x, two[0].y - two[1].y);
  const box = screen.getBoundingClientRect();
  zoomBy(far(after) / Math.max(1, far(before)), (after[0].x + after[1].x) / 2 - box.left, (after[0].y + after[1].y) / 2 - box.top);
}

/** @param {PointerEvent} event */
function up(event) {
  fingers.delete(event.pointerId);
  const done = drag;
  if (fingers.size === 0) drag = null;
  if (!done) return;
  const at = place(event), frame = state.frame, object = objectNow()?.name ?? "";
  if (done.kind === "brush") void finish();
  else if ((done.kind === "click" || done.kind === "not") && isInside(at)) {
    const place = { x: Math.floor(at.x), y: Math.floor(at.y) };
    void edit({ edit: "click", object, frame, ...place, subject: done.kind === "click" });
  } else if (done.kind === "box") {
    const box = boxOf(done, at);
    if (box) void edit({ edit: "box", object, frame, box });
    redraw();
  }
}

/** @param {{ x: number, y: number }} done @param {{ x: number, y: number }} to */
function boxOf(done, to) {
  const from = place({ clientX: done.x, clientY: done.y }), { width, height } = server().plate;
  const xs = [from.x, to.x].map((x) => Math.round(Math.min(width, Math.max(0, x)))).sort((a, b) => a - b);
  const ys = [from.y, to.y].map((y) => Math.round(Math.min(height, Math.max(0, y)))).sort((a, b) => a - b);
  return xs[1] - xs[0] < 3 || ys[1] - ys[0] < 3 ? null : [xs[0], ys[0], xs[1], ys[1]];
}

/** Marks of all objects on this frame. @param {CanvasRenderingContext2D} pen @param {Zoom} zoom */
function marks(pen, zoom) {
  if (!state.overlay) return;
  for (const one of server().session.objects) {
    const found = one.frames[String(state.frame)];
    if (!found) continue;
    pen.lineWidth = 1.5 / zoom.scale;
    pen.strokeStyle = one.colour;
    if (found.box) pen.strokeRect(found.box[0], found.box[1], found.box[2] - found.box[0], found.box[3] - found.box[1]);
    for (const [x, y] of found.subject ?? []) mark(pen, x + 0.5, y + 0.5, 5 / zoom.scale, one.colour, true);
    for (const [x, y] of found.not ?? []) mark(pen, x + 0.5, y + 0.5, 5 / zoom.scale, one.colour, false);
  }
  if (drag?.kind === "box") {
    const from = place({ clientX: drag.x, clientY: drag.y });
    pen.lineWidth = 1 / zoom.scale;
    pen.strokeStyle = "#fff";
    pen.strokeRect(from.x, from.y, drag.to.x - from.x, drag.to.y - from.y);
  }
}

/** A full dot on the subject, a cross beside it.
 * @param {CanvasRenderingContext2D} pen @param {number} x @param {number} y @param {number} size
 * @param {string} colour @param {boolean} isSubject */
function mark(pen, x, y, size, colour, isSubject) {
  pen.strokeStyle = "#000";
  pen.fillStyle = colour;
  pen.lineWidth = size / 4;
  pen.beginPath();
  pen.arc(x, y, size, 0, 2 * Math.PI);
  if (isSubject) pen.fill();
  pen.stroke();
  if (isSubject) return;
  pen.strokeStyle = colour;
  pen.lineWidth = size / 2.5;
  for (const side of [-1, 1]) {
    pen.beginPath();
    pen.moveTo(x - size, y - side * size);
    pen.lineTo(x + size, y + side * size);
    pen.stroke();
  }
}

/** Listen to the pointer. */
export function start() {
  screen.addEventListener("pointerdown", down);
  screen.addEventListener("pointermove", move);
  screen.addEventListener("pointerup", up);
  screen.addEventListener("pointercancel", up);
  screen.addEventListener("pointerleave", () => set({ pointer: null }));
  screen.addEventListener("contextmenu", (event) => event.preventDefault());
  screen.addEventListener("wheel", (event) => {
    event.preventDefault();
    const box = screen.getBoundingClientRect();
    zoomBy(1.0015 ** -event.deltaY, event.clientX - box.left, event.clientY - box.top);
  }, { passive: false });
  overlay(marks);
  watch(["tool"], () => {
    screen.style.cursor = { pan: "grab", click: "crosshair", box: "crosshair", brush: "none" }[state.tool] ?? "default";
  });
  screen.style.cursor = "crosshair";
}
