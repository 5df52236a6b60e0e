// @ts-check
// SPDX-License-Identifier: Apache-2.0
// Every key of the page, declared once: the sheet behind `?` is made from the same list.
import { edit, post, tried } from "./api.js";
import { byId, h } from "./dom.js";
import { matteNow } from "./matting.js";
import { setBrush } from "./paint.js";
import { cancel, run } from "./run.js";
import { fromMatte, nextPaint } from "./select.js";
import { isDone, say, server, set, span, state } from "./state.js";
import { goTo, setEnd, stepBy, toggle, toKey } from "./timeline.js";
import { actualSize, fit, zoomBy } from "./viewer.js";

export const VIEWS = [
  { name: "plate", label: "Plate" }, { name: "outline", label: "Outline" }, { name: "alpha", label: "Alpha" },
  { name: "foreground", label: "Foreground" }, { name: "grey", label: "Grey" }, { name: "white", label: "White" },
  { name: "black", label: "Black" }, { name: "checker", label: "Checker" }, { name: "colour", label: "Colour" },
  { name: "picture", label: "Picture" }, { name: "difference", label: "Difference" },
];
export const TOOLS = [
  { name: "click", label: "⊕", key: "c", help: "Click on the subject; Alt-click beside it" },
  { name: "box", label: "▭", key: "x", help: "Draw a box round the subject" },
  { name: "brush", label: "✎", key: "p", help: "Paint subject, background or unknown" },
  { name: "pan", label: "✥", key: "h", help: "Move the picture" },
];

/** Remember the result that is shown as B. */
export function keepB() {
  if (!isDone(state.frame)) return say("This frame has no matte to keep as B. Matte it first (M).", "error");
  set({ b: { key: server().key, label: `B of frame ${state.frame}` } });
  void tried(() => post("/api/matte", { frame: state.frame }));  // all of it, while it can be made
  say("Kept as B. Change something, then compare: W wipes, B toggles.", "good");
}

export function toggleWipe() {
  if (!state.b) keepB();
  if (state.b) set({ wipe: state.wipe === null ? 0.5 : null, showB: false });
}

/** A key (as the browser names it, after "Ctrl+" or "Shift+"), its help, and what it does.
 * @type {{ keys: string[], help: string, act: () => void }[]} */
export const KEYS = [
  { keys: [" "], help: "Play or stop", act: toggle },
  { keys: ["ArrowLeft"], help: "Frame before", act: () => stepBy(-1) },
  { keys: ["ArrowRight"], help: "Next frame", act: () => stepBy(1) },
  { keys: ["Shift+ArrowLeft"], help: "Ten frames back", act: () => stepBy(-10) },
  { keys: ["Shift+ArrowRight"], help: "Ten frames on", act: () => stepBy(10) },
  { keys: ["Home"], help: "In point", act: () => goTo(span()[0]) },
  { keys: ["End"], help: "Out point", act: () => goTo(span()[1]) },
  { keys: ["i"], help: "Set the in point", act: () => setEnd("in") },
  { keys: ["o"], help: "Set the out point", act: () => setEnd("out") },
  { keys: ["Shift+O"], help: "Whole shot again", act: () => void edit({ edit: "span", span: null }) },
  { keys: ["n"], help: "Next key", act: () => toKey(1) },
  { keys: ["Shift+N"], help: "Key before", act: () => toKey(-1) },
  ...VIEWS.map((view, at) => ({ keys: [at < 10 ? String((at + 1) % 10) : "d"], help: `View: ${view.label}`, act: () => set({ view: view.name }) })),
  ...TOOLS.map((tool) => ({ keys: [tool.key], help: tool.help, act: () => set({ tool: tool.name }) })),
  { keys: ["t"], help: "Next paint", act: () => { nextPaint(); set({ tool: "brush" }); } },
  { keys: ["["], help: "Smaller brush", act: () => setBrush({ size: Math.round(state.brush.size / 1.2) }) },
  { keys: ["]"], help: "Larger brush", act: () => setBrush({ size: Math.ceil(state.brush.size * 1.2) }) },
  { keys: ["Shift+{", "Shift+["], help: "Softer brush", act: () => setBrush({ hardness: state.brush.hardness - 0.1 }) },
  { keys: ["Shift+}", "Shift+]"], help: "Harder brush", act: () => setBrush({ hardness: state.brush.hardness + 0.1 }) },
  { keys: ["v"], help: "Show or hide marks", act: () => set({ overlay: !state.overlay }) },
  { keys: ["f"], help: "Fit the picture", act: fit },
  { keys: ["z"], help: "Pixel for pixel", act: actualSize },
  { keys: ["+", "Shift++", "="], help: "Zoom in", act: () => zoomBy(1.25) },
  { keys: ["-"], help: "Zoom out", act: () => zoomBy(0.8) },
  { keys: ["Shift+B"], help: "Keep this result as B", act: keepB },
  { keys: ["b"], help: "Toggle A and B", act: () => { if (state.b) set({ showB: !state.showB, wipe: null }); else keepB(); } },
  { keys: ["w"], help: "Wipe between A and B", act: toggleWipe },
  { keys: ["m"], help: "Matte this frame", act: () => void matteNow() },
  { keys: ["r"], help: "Run the range", act: () => void run(span()) },
  { keys: ["Escape"], help: "Cancel the run; close what is open", act: () => { if (state.compare.length) set({ compare: [] }); else void cancel(); } },
  { keys: ["k"], help: "Keep this matte as a key", act: () => void fromMatte("key") },
  { keys: ["Ctrl+z"], help: "Undo", act: () => void edit({ edit: "undo" }) },
  { keys: ["Ctrl+Shift+Z", "Ctrl+y"], help: "Redo", act: () => void edit({ edit: "redo" }) },
  { keys: ["Shift+?"], help: "This sheet", act: sheet },
];

/** Open or close the sheet of keys. */
export function sheet() {
  /** @type {HTMLDialogElement} */
  const dialog = byId("sheet");
  if (dialog.open) return dialog.close();
  /** @type {Record<string, string>} */
  const names = { " ": "Space", ArrowLeft: "←", ArrowRight: "→", "Shift+ArrowLeft": "Shift+←", "Shift+ArrowRight": "Shift+→", "Shift+?": "?", "Shift+{": "Shift+[", "Shift+}": "Shift+]" };
  dialog.replaceChildren(h("h2", {}, "Keys"), h("div", { className: "keys" },
    ...KEYS.map((one) => h("div", {}, h("kbd", {}, names[one.keys[0]] ?? one.keys[0]), h("span", {}, one.help)))));
  dialog.showModal();
}

/** Listen to the keyboard; fields that take text keep their keys. */
export function start() {
  document.addEventListener("keydown", (event) => {
    const target = /** @type {HTMLElement} */ (event.target);
    const isText = target.matches("input[type=text], input[type=number], select, textarea");
    if (isText) {
      if (event.key === "Escape" || event.key === "Enter") target.blur();
      return;
    }
    const dialog = document.querySelector("dialog[open]");
    if (dialog && !(dialog.id === "sheet" && event.key === "?")) return;
    if (target.matches("button, [role=tab], summary, input[type=checkbox]") && (event.key === " " || event.key === "Enter")) return;
    if (target.matches("input[type=range]") && /^(Arrow|Home|End)/.test(event.key)) return;
    const ctrl = event.ctrlKey || event.metaKey ? "Ctrl+" : "";
    const name = ctrl + (event.shiftKey ? "Shift+" : "") + event.key;
    const found = KEYS.find((one) => one.keys.includes(name));
    if (!found || event.altKey) return;
    event.preventDefault();
    found.act();
  });
}
