// @ts-check
// SPDX-License-Identifier: Apache-2.0
// Starts the page: loads the session, builds the bars, follows the server.
import { edit, get, listen, refresh, take, takeKey, tried } from "./api.js";
import * as compare from "./compare.js";
import { button, byId, h, whenCalm } from "./dom.js";
import * as keys from "./keys.js";
import * as matting from "./matting.js";
import * as models from "./models.js";
import * as paint from "./paint.js";
import * as readout from "./readout.js";
import * as run from "./run.js";
import * as select from "./select.js";
import { isDone, say, server, set, state, watch } from "./state.js";
import * as timeline from "./timeline.js";
import * as tools from "./tools.js";
import * as train from "./train.js";
import * as viewer from "./viewer.js";

const PANELS = [
  { name: "select", label: "Select", make: select.panel }, { name: "model", label: "Model", make: models.panel },
  { name: "run", label: "Run", make: run.panel }, { name: "train", label: "Fine-tune", make: train.panel },
];

function bars() {
  byId("tools").replaceChildren(
    ...keys.TOOLS.map((one) => button(one.label, `${one.help} (${one.key.toUpperCase()})`, () => set({ tool: one.name }), { pressed: state.tool === one.name, name: one.help })),
    h("hr"), button("↶", "Undo (Ctrl+Z)", () => void edit({ edit: "undo" }), { disabled: !server().undo, name: "Undo" }),
    button("↷", "Redo (Ctrl+Shift+Z)", () => void edit({ edit: "redo" }), { disabled: !server().redo, name: "Redo" }),
    h("hr"), button("▣", "Fit (F)", viewer.fit, { name: "Fit" }),
    button("◧", "Wipe between A and B (W)", keys.toggleWipe, { pressed: state.wipe !== null, name: "Wipe" }),
    button("⚡", "Matte by itself after each edit and seek", () => set({ live: !state.live }), { pressed: state.live, name: "Matte by itself" }),
    button("?", "Keys (?)", keys.sheet, { name: "Keys" }));
  byId("views").replaceChildren(...keys.VIEWS.map((one, at) =>
    button(one.label, `View ${one.label} (${at < 10 ? (at + 1) % 10 : "D"})`, () => set({ view: one.name }), { pressed: state.view === one.name })));
  byId("tabs").replaceChildren(...PANELS.map((one) => h("button", { type: "button", role: "tab", "aria-selected": String(state.tab === one.name), onclick: () => set({ tab: one.name }) }, one.label)));
}

function look() {
  const slider = (/** @type {string} */ name, /** @type {"exposure" | "gamma"} */ what, /** @type {number} */ low, /** @type {number} */ high) => {
    const value = h("output", {}, String(state[what]));
    const field = h("input", { type: "range", min: low, max: high, step: 0.1, value: state[what], "aria-label": name,
      oninput: () => { set({ [what]: Number(field.value) }); value.value = field.value; }, ondblclick: () => { field.value = what === "gamma" ? "1" : "0"; field.oninput?.(); set({ [what]: Number(field.value) }); value.value = field.value; } });
    return h("label", { title: `${name} of the viewer alone; double-click sets it back` }, name, field, value);
  };
  byId("look").replaceChildren(slider("Exposure", "exposure", -6, 6), slider("Gamma", "gamma", 0.2, 3),
    h("input", { type: "color", value: state.colour, "aria-label": "Colour of the colour view", title: "Colour of the colour view", oninput: (/** @type {Event} */ event) => set({ colour: /** @type {HTMLInputElement} */ (event.target).value }) }));
}

let isOld = false;
/** Make the panel anew, unless a person is in the middle of a field: then when it is left. */
function pane() {
  const place = byId("pane"), active = document.activeElement;
  const held = active && place.contains(active) ? active : null;
  isOld = held !== null && held.matches("input[type=text], input[type=number]");
  if (isOld) return;
  const open = new Map([...place.querySelectorAll("details")].map((one) => [one.querySelector("summary")?.textContent, one.open]));
  const top = place.scrollTop;
  place.replaceChildren(...(PANELS.find((one) => one.name === state.tab)?.make() ?? []));
  for (const one of place.querySelectorAll("details")) one.open = open.get(one.querySelector("summary")?.textContent) ?? one.open;
  place.scrollTop = top;
  if (held?.id) document.getElementById(held.id)?.focus();
}

function badge() {
  const place = byId("badge"), { stale } = server();
  const isStale = stale.includes(state.frame) && !isDone(state.frame);
  const isMask = !isDone(state.frame) && state.mask?.frame === state.frame && state.mask.of === server().key;
  place.className = isStale ? "stale" : "";
  place.textContent = [state.showB ? "B" : "", isStale ? "stale: the settings changed" : "", isDone(state.frame) || isStale || isMask ? "" : "no matte yet", isMask ? "mask: its edges are not solved yet" : ""].filter(Boolean).join(" | ");
  byId("clip-name").textContent = server().plate.name.split("/").pop() ?? "";
  byId("clip-name").title = [server().plate.name, `Colour space: ${server().plate.colorspace}`, ...server().plate.assumptions].join("\n");
  document.title = `${server().plate.name.split("/").pop()} - Matte Studio`;
}

/** @param {string} event @param {any} facts */
function happened(event, facts) {
  if (event === "session" && facts.revision !== server().revision) void refresh();
  else if (event === "hello") void refresh();
  else if (event === "matted") matting.addDone(facts.key, facts.frame);
  else if (event === "warning") say(`Frame ${facts.frame}: ${facts.message}`, "warning");
  else if (event === "run") {
    set({ server: { ...server(), run: facts } });
    // A cancelled run may have written a frame that it did not tell of: the server looks on disk.
    if (!["queued", "running"].includes(facts.state)) void tried(refresh);
  }
  else if (event === "train") {
    set({ server: { ...server(), train: facts } });
    if (facts.state === "done") void tried(async () => set({ declarations: await get("/api/declarations") }));
  } else if (event === "gone") set({ message: { kind: "error", text: "Studio does not answer. Start it again: matte studio." } });
}

async function begin() {
  takeKey();
  take(await get("/api/state"));
  set({ frame: server().plate.frames[0] });
  for (const one of [viewer, paint, tools, timeline, matting, readout, compare, keys]) one.start();
  look();
  watch(["tool", "server", "view", "wipe", "live", "tab"], () => whenCalm(bars));
  watch(["server", "tab", "object", "brush", "tool", "declarations", "compare"], () => whenCalm(pane));
  let later = 0;
  watch(["frame"], () => { clearTimeout(later); later = setTimeout(() => whenCalm(pane), 120); });
  byId("pane").addEventListener("focusout", () => setTimeout(() => { if (isOld) whenCalm(pane); }));
  watch(["server", "frame", "showB", "mask"], badge);
  watch(["frame"], () => { if (state.message.kind !== "error") say(""); });
  watch(["message", "busy"], () => {
    const place = byId("message");
    place.textContent = state.message.text;
    place.title = state.message.text;
    place.className = state.message.kind;
    byId("busy").textContent = state.busy;
  });
  bars();
  viewer.fit();
  badge();
  await viewer.show();
  document.documentElement.dataset.ready = "yes";
  void listen(happened);
  set({ declarations: await get("/api/declarations") });
}

begin().catch((error) => {
  byId("message").textContent = error.message;
  byId("message").className = "error";
});
