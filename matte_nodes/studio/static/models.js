// @ts-check
// SPDX-License-Identifier: Apache-2.0
// The panel for models and knobs, all of it made from the library's declarations.
import { edit, post, tried } from "./api.js";
import { WIDTH } from "./compare.js";
import { button, chooser, h, row } from "./dom.js";
import { inputs } from "./inputs.js";
import { say, server, set, state } from "./state.js";
import { looked } from "./viewer.js";

const STAGES = { view: "What the network sees", step: "The model", finish: "Finishing (no step needed)" };

/** @param {string} name @returns {Card | undefined} */
const cardOf = (name) => state.declarations?.models.find((one) => one.name === name);

/** A model as a line of the list. @param {Card} card */
function label(card) {
  const needs = card.needs.length ? ` - needs ${card.needs.join(", ")}` : "";
  return `${card.title}${needs}${card.ready ? "" : " - weights are not here"}`;
}

/** What a person must know of a model before it is used. @param {string} name */
function about(name) {
  const card = cardOf(name);
  if (!card) return h("p", { className: "note" }, `Here this is ${server().models.join(", then ") || "no model yet: click on the subject"}.`);
  const memory = card.memory.kind === "still" ? "each frame alone" : `memory: ${card.memory.kind}`;
  return h("p", { className: "note", title: card.limits }, `${card.summary} Licence: ${card.licence}. Commercial use: ${card.commercial}. ${memory}.`);
}

/** The models that take part, for their knobs. @returns {Card[]} */
function taking() {
  return server().models.map(cardOf).filter((one) => one !== undefined);
}

/** A control for one knob. @param {Knob} knob */
function control(knob) {
  const given = server().session.knobs[knob.name], value = given ?? knob.default;
  const change = (/** @type {unknown} */ next) => void edit({ edit: "knob", name: knob.name, value: next === knob.default ? null : next });
  const title = `${knob.help} Default: ${knob.default}${knob.unit ? ` ${knob.unit}` : ""}.`;
  /** @type {HTMLElement} */
  let field;
  /** @type {Node[]} */
  const rest = [];
  if (knob.kind === "bool") {
    field = h("input", { type: "checkbox", checked: Boolean(value), onchange: () => change(/** @type {HTMLInputElement} */ (field).checked) });
  } else if (knob.kind === "choice") {
    field = chooser(knob.choices.map((one) => ({ value: one, label: one })), String(value), change);
  } else if (knob.kind === "text") {
    field = h("input", { type: "text", value, onchange: () => change(/** @type {HTMLInputElement} */ (field).value) });
  } else {
    const read = () => change(Number(/** @type {HTMLInputElement} */ (field).value));
    const step = knob.kind === "int" ? 1 : "any";
    field = h("input", { type: "number", value, min: knob.low ?? undefined, max: knob.high ?? undefined, step, onchange: read });
    const [low, high] = [knob.low ?? 0, knob.high ?? 100];
    if (high - low <= 1000) {
      const slider = h("input", { type: "range", min: low, max: high, step: knob.kind === "int" ? 1 : (high - low) / 200, value,
        "aria-label": knob.title, onchange: () => change(Number(slider.value)), oninput: () => { /** @type {HTMLInputElement} */ (field).value = slider.value; } });
      rest.push(slider);
    }
  }
  field.id = `knob-${knob.name}`;
  const found = row(knob.title, title, field, ...rest);
  if (given !== undefined) {
    found.classList.add("changed");
    found.append(button("×", `Back to ${knob.default}`, () => change(knob.default), { name: `Reset ${knob.label}` }));
  }
  return found;
}

/** Knobs in the groups of their stages. */
function knobs() {
  const own = taking().flatMap((card) => card.knobs), every = state.declarations?.knobs ?? [];
  const all = [...new Map([...own, ...every].map((knob) => [knob.name, knob])).values()];
  return /** @type {(keyof typeof STAGES)[]} */ (["finish", "step", "view"]).flatMap((stage) => {
    const some = all.filter((knob) => knob.stage === stage);
    return some.length ? [h("details", { open: stage === "finish" || some.some((one) => one.name in server().session.knobs) },
      h("summary", {}, STAGES[stage]), ...some.map(control))] : [];
  });
}

/** Compare these models on this frame. @param {string[]} names */
async function compare(names) {
  set({ compare: [], busy: `comparing ${names.length} models` });
  for (const name of names) {
    const found = await tried(() => post("/api/compare", { frame: state.frame, model: name, ...looked(), width: WIDTH }));
    if (found) set({ compare: [...state.compare, { key: found.key, label: `${name}, ${found.milliseconds} ms` }] });
  }
  set({ busy: "" });
}

/** The models that are ticked for a comparison. @returns {string[]} */
function ticked() {
  return [.../** @type {NodeListOf<HTMLInputElement>} */ (document.querySelectorAll("input.compare:checked"))].map((one) => one.value);
}

/** The panel. It may be drawn again at any time: ticks are taken over. @returns {Node[]} */
export function panel() {
  const { session } = server(), models = state.declarations?.models ?? [];
  const all = models.map((one) => ({ value: one.name, label: label(one) }));
  const refiners = models.filter((one) => one.needs.includes("trimap")).map((one) => ({ value: one.name, label: label(one) }));
  const set_ = (/** @type {string} */ name) => (/** @type {string} */ value) => void edit({ edit: "set", [name]: value });
  const picked = new Set(document.querySelector("input.compare") ? ticked() : state.compare.map((one) => one.label.split(",")[0]));
  const ready = models.filter((one) => one.ready && !one.needs.some((hint) => !(hint in session.hints) && hint !== "points" && hint !== "trimap"));
  const box = (/** @type {Card} */ one) => h("div", { className: "row" },
    h("input", { type: "checkbox", id: `compare-${one.name}`, className: "compare", value: one.name, checked: picked.has(one.name) }),
    h("label", { htmlFor: `compare-${one.name}` }, one.name));
  return [
    h("h2", {}, "Model"),
    row("Model", "The model that makes the matte", chooser([{ value: "auto", label: "Auto" }, { value: "select", label: "Select (clicks)" }, ...all], session.model, set_("model"))),
    about(session.model),
    row("Refined by", "A trimap model that solves the edges of the first one", chooser([{ value: "", label: session.model === "auto" ? "as auto does" : "nothing" }, ...refiners], session.refine, set_("refine"))),
    row("Segmentation by", "A model whose mask bounds the subject", chooser([{ value: "", label: "nothing" }, ...all], session.segmentation_model, set_("segmentation_model"))),
    inputs(),
    h("h2", {}, "Knobs"), ...knobs(),
    h("details", { open: state.compare.length > 0 }, h("summary", {}, "Compare on this frame"), h("p", { className: "note" }, "Up to four models, side by side."), ...ready.map(box),
      h("div", { className: "buttons" }, button("Compare", "Up to four models side by side", () => {
        const names = ticked();
        if (names.length < 1 || names.length > 4) return say(names.length ? "Tick at most four models." : "Tick the models to compare.", "error");
        void compare(names);
      }), button("Close", "Back to one picture", () => set({ compare: [] }), { disabled: !state.compare.length }))),
  ];
}
