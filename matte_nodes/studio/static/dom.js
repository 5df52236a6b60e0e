// @ts-check
// SPDX-License-Identifier: Apache-2.0
// Makes elements. Text is always text: nothing that comes from a file is ever read as HTML.

/** An element with attributes and children. `on...` attributes are listeners, `data` its dataset.
 * @param {string} tag @param {Record<string, any>} [attributes] @param {...(Node | string | null)} children
 * @returns {any} */
export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "data") Object.assign(element.dataset, value);
    else if (name in element && name !== "list") /** @type {any} */ (element)[name] = value;
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...children.filter((child) => child !== null).map((child) => /** @type {Node | string} */ (child)));
  return element;
}

/** @param {string} id @returns {any} */
export function byId(id) {
  const found = document.getElementById(id);
  if (!found) throw new Error(`The page has no ${id}.`);
  return found;
}

/** A button; `pressed` makes it a switch.
 * @param {string} label @param {string} title @param {() => void} click
 * @param {{ pressed?: boolean, name?: string, disabled?: boolean, main?: boolean }} [more] */
export function button(label, title, click, more = {}) {
  return h("button", {
    type: "button", title, "aria-label": more.name ?? null, disabled: more.disabled ?? false,
    "aria-pressed": more.pressed === undefined ? null : String(more.pressed),
    className: more.main ? "main" : "", onclick: click,
  }, label);
}

/** A label and a control in one row.
 * @param {string} name @param {string} title @param {HTMLElement} control @param {...Node} rest */
export function row(name, title, control, ...rest) {
  control.id ||= `c-${name.toLowerCase().replace(/[^a-z0-9]+/g, "-")}`;
  return h("div", { className: "row", title }, h("label", { htmlFor: control.id }, name), control, ...rest);
}

/** A list to choose from.
 * @param {{ value: string, label: string }[]} choices @param {string} value @param {(value: string) => void} change */
export function chooser(choices, value, change) {
  const found = h("select", { onchange: () => change(found.value) },
    ...choices.map((one) => h("option", { value: one.value, selected: one.value === value }, one.label)));
  return found;
}

let pressed = false;
/** @type {Set<() => void>} */
const waiting = new Set();
addEventListener("pointerdown", () => { pressed = true; }, true);
for (const name of ["pointerup", "pointercancel"]) {
  addEventListener(name, () => setTimeout(() => {
    pressed = false;
    const all = [...waiting];
    waiting.clear();
    for (const one of all) one();
  }), true);
}

/** Do something that replaces elements, but never between the two halves of a person's click.
 * @param {() => void} work */
export function whenCalm(work) {
  if (pressed) waiting.add(work);
  else work();
}
