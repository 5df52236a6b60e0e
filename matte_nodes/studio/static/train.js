// @ts-check
// SPDX-License-Identifier: Apache-2.0
// The panel that fine-tunes a model for this shot from the kept mattes.
import { edit, post, tried } from "./api.js";
import { WIDTH } from "./compare.js";
import { button, h, row } from "./dom.js";
import { fromMatte } from "./select.js";
import { isDone, server, set, state } from "./state.js";
import { looked } from "./viewer.js";

const wanted = { name: "", steps: 200 };

/** A line through numbers, scaled into 0..100 by 0..40.
 * @param {number[]} values @param {string} colour */
function line(values, colour) {
  const top = Math.max(...values, 1e-6);
  const points = values.map((value, at) => `${(100 * at) / Math.max(1, values.length - 1)},${40 - (38 * value) / top}`).join(" ");
  const found = document.createElementNS("http://www.w3.org/2000/svg", "polyline");
  found.setAttribute("points", points);
  found.setAttribute("stroke", colour);
  found.setAttribute("vector-effect", "non-scaling-stroke");
  return found;
}

/** @param {TrainState} train */
function plot(train) {
  const found = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  found.setAttribute("class", "plot");
  found.setAttribute("viewBox", "0 0 100 42");
  found.setAttribute("preserveAspectRatio", "none");
  found.setAttribute("aria-label", "Loss");
  if (train.losses?.length) found.append(line(train.losses, "#e8a33d"));
  if (train.scores?.length) found.append(line(train.scores.map((one) => one[1]), "#5aa9e6"));
  return found;
}

async function begin() {
  const found = await tried(() => post("/api/train", wanted));
  if (found) set({ server: { ...server(), train: found } });
}

/** @param {TrainState} train */
function progress(train) {
  if (train.state === "idle") return [];
  const isRunning = train.state === "running";
  const number = (/** @type {number | null | undefined} */ value) => (value === null || value === undefined ? "-" : value.toFixed(4));
  return [
    plot(train),
    h("p", { className: "note" }, "Orange: loss. Blue: error on the held-out key."),
    isRunning ? h("progress", { max: train.steps ?? 1, value: train.step ?? 0, "aria-label": "Steps" }) : null,
    h("p", { className: `note ${train.state === "error" ? "error" : train.state === "done" ? "good" : ""}`, data: { train: train.state } },
      isRunning ? `Step ${train.step ?? 0} of ${train.steps ?? "-"}` : train.state === "done" ? `${train.name} is ready after ${train.step} steps.` : train.message || "Cancelled."),
    train.heldout ? h("p", { className: "note" }, `Held-out key ${train.heldout}: error ${number(train.before)} before, ${number(train.after)} after.`) : null,
    train.state === "done" ? h("div", { className: "buttons" },
      button("Use it", "Matte this shot with the new model", () => void edit({ edit: "set", model: train.name, refine: "" }), { main: true }),
      train.heldout ? button("Look at the held-out key", "What it was, and what the model makes of it", () => void heldOut(train)) : null) : null,
  ];
}

/** The held-out key by the settings before and by the new model, as A and B of a comparison.
 * @param {TrainState} train */
async function heldOut(train) {
  if (!train.heldout || !train.name) return;
  set({ frame: train.heldout, compare: [] });
  const key = { key: `key-${train.heldout}`, label: "the key" };
  const asked = { frame: train.heldout, ...looked(), width: WIDTH };
  const before = await tried(() => post("/api/matte", asked));
  const found = before && await tried(() => post("/api/compare", { ...asked, model: train.name }));
  if (found) set({ compare: [{ key: server().key, label: "before" }, { key: found.key, label: train.name }].filter((one) => one.key !== key.key) });
}

/** The panel. @returns {Node[]} */
export function panel() {
  const { session, train } = server(), keys = Object.keys(session.keys), isRunning = train.state === "running";
  const field = (/** @type {"name" | "steps"} */ what, /** @type {string} */ type) => h("input", { type, value: wanted[what] || "", min: 1, placeholder: what === "name" ? "the shot's name" : "",
    onchange: (/** @type {Event} */ event) => { const { value } = /** @type {HTMLInputElement} */ (event.target); if (what === "name") wanted.name = value; else wanted.steps = Math.max(1, Number(value)); } });
  return [
    h("h2", {}, "Key mattes"),
    h("p", { className: "note" }, "Keep three or more mattes that are right, from different parts of the shot. A model learns the shot from them; the one in the middle is held out at first, to measure."),
    h("div", { className: "buttons" },
      button("Keep this matte", "The matte that is shown becomes a key (K)", () => void fromMatte("key"), { disabled: !isDone(state.frame), main: true }),
      button("Forget this key", "Take the key of this frame away", () => void edit({ edit: "forget", kind: "keys", frame: state.frame }), { disabled: !(String(state.frame) in session.keys) })),
    h("p", { className: "note" }, `Keys: ${keys.join(", ") || "none"}`),
    h("h2", {}, "Fine-tune"),
    row("Name", "Of the new model: lower case, digits and -", field("name", "text")), row("Steps", "At most this many", field("steps", "number")),
    h("div", { className: "buttons" },
      button("Fine-tune", "Train a model from the keys", () => void begin(), { disabled: isRunning || !keys.length, main: true }),
      button("Cancel", "End the training; nothing is kept", () => void tried(() => post("/api/train_cancel", {})), { disabled: !isRunning })),
    ...progress(train),
  ].filter((one) => one !== null);
}
