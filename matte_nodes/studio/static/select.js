// @ts-check
// SPDX-License-Identifier: Apache-2.0
// The panel for objects, clicks and the brush.
import { edit, post, take, tried } from "./api.js";
import { button, chooser, h, row } from "./dom.js";
import { BACKGROUND, setBrush, SUBJECT, UNKNOWN } from "./paint.js";
import { isDone, server, set, state } from "./state.js";
import { objectNow } from "./tools.js";

const KEY_MODES = [
  { value: "only", label: "their own frame" }, { value: "hold", label: "frames after them" },
  { value: "nearest", label: "the nearest frames" },
];

/** One object: colour, name, solo, mute, order. @param {Subject} one @param {number} place */
function objectRow(one, place) {
  const name = h("input", { type: "text", value: one.name, "aria-label": `Name of ${one.name}`, maxLength: 64,
    onchange: () => void renamed(one, name) });
  /** @param {string} label @param {"solo" | "mute"} what */
  const toggle = (label, what) => button(label, `${what} ${one.name}`, () => void edit({ edit: "object_set", object: one.name, [what]: !one[what] }),
    { pressed: one[what], name: `${what} ${one.name}` });
  return h("div", { className: "object", "aria-current": objectNow()?.name === one.name, onpointerdown: () => set({ object: one.name }) },
    h("input", { type: "color", value: one.colour, "aria-label": `Colour of ${one.name}`,
      onchange: (/** @type {Event} */ event) => void edit({ edit: "object_set", object: one.name, colour: /** @type {HTMLInputElement} */ (event.target).value }) }),
    name, toggle("S", "solo"), toggle("M", "mute"),
    button("↑", "Move up", () => void edit({ edit: "object_set", object: one.name, place: place - 1 }), { disabled: place === 0, name: `Move ${one.name} up` }),
    button("×", `Remove ${one.name}`, () => void edit({ edit: "object_remove", object: one.name }), { name: `Remove ${one.name}` }));
}

/** @param {Subject} one @param {HTMLInputElement} field */
async function renamed(one, field) {
  const wanted = field.value;
  if (await edit({ edit: "object_set", object: one.name, name: wanted })) set({ object: wanted });
  else field.value = one.name;
}

/** Go to another kind of paint. */
export function nextPaint() {
  const order = [SUBJECT, BACKGROUND, UNKNOWN];
  setBrush({ value: order[(order.indexOf(state.brush.value) + 1) % order.length] });
}

/** @param {"trimap" | "key"} what */
export async function fromMatte(what) {
  const found = await tried(() => post(`/api/from_matte`, { frame: state.frame, what, key: server().key }));
  if (found) take(found);
}

function objects() {
  const { session } = server(), object = objectNow(), marks = object?.frames[String(state.frame)] ?? {};
  const count = (marks.subject?.length ?? 0) + (marks.not?.length ?? 0) + (marks.box ? 1 : 0);
  return [
    h("h2", {}, "Objects"), ...session.objects.map(objectRow),
    session.objects.length ? null : h("p", { className: "note" }, "Click on the subject in the picture. Alt-click or right-click beside it takes a part away."),
    h("div", { className: "buttons" },
      button("Add object", "A further object with marks of its own", () => void edit({ edit: "object_add", name: "" }).then(() => set({ object: server().session.objects.at(-1)?.name ?? "" }))),
      button("Clear marks here", "Take the marks of this object away from this frame", () => void edit({ edit: "clear_marks", object: object?.name, frame: state.frame }), { disabled: !count })),
  ];
}

function brush() {
  const { session } = server(), { size, hardness, value } = state.brush;
  const paint = (/** @type {string} */ label, /** @type {number} */ kind, /** @type {string} */ title) =>
    button(label, title, () => { setBrush({ value: kind }); set({ tool: "brush" }); }, { pressed: state.tool === "brush" && value === kind });
  const slider = (/** @type {string} */ name, /** @type {number} */ low, /** @type {number} */ high, /** @type {number} */ step, /** @type {number} */ now, /** @type {(n: number) => void} */ change, /** @type {string} */ title) => {
    const field = h("input", { type: "range", min: low, max: high, step, value: now, oninput: () => change(Number(field.value)) });
    return row(name, title, field, h("span", {}, String(now)));
  };
  const here = String(state.frame) in session.trimaps;
  return [
    h("h2", {}, "Brush"),
    h("div", { className: "buttons" }, paint("Subject", SUBJECT, "Solid: alpha becomes 1 here"),
      paint("Background", BACKGROUND, "Empty: alpha becomes 0 here"), paint("Unknown", UNKNOWN, "The model decides; takes paint away")),
    slider("Size", 1, 300, 1, size, (n) => setBrush({ size: n }), "[ and ]"),
    slider("Hardness", 0, 1, 0.05, hardness, (n) => setBrush({ hardness: n }), "Shift+[ and Shift+]. The soft rim is left to the model."),
    row("Paint serves", "Which frames a painted key is for", chooser(KEY_MODES, session.hint_keys, (mode) => void edit({ edit: "hint_keys", value: mode }))),
    h("div", { className: "buttons" },
      button("Trimap from matte", "A trimap of this frame's matte, to correct by hand", () => void fromMatte("trimap"), { disabled: !isDone(state.frame) }),
      button("Clear paint here", "Take the paint away from this frame", () => void edit({ edit: "forget", kind: "trimaps", frame: state.frame }), { disabled: !here })),
    h("p", { className: "note" }, `Painted frames: ${Object.keys(session.trimaps).join(", ") || "none"}`),
  ];
}

/** The panel. @returns {Node[]} */
export function panel() {
  return [...objects(), ...brush()].filter((one) => one !== null);
}
