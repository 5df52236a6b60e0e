// @ts-check
// SPDX-License-Identifier: Apache-2.0
// The panel that mattes ranges and exports them.
import { edit, get, post, tried } from "./api.js";
import { browse } from "./chooser.js";
import { button, chooser, h, row } from "./dom.js";
import { say, server, set, span, state } from "./state.js";

const exporting = { form: "", folder: "", name: "", over: "white" };
let command = "", commandFor = "";

/** Begin a range in the session's own frames.
 * @param {[number, number]} range */
export async function run(range) {
  const found = await tried(() => post("/api/run", { span: range }));
  if (found) set({ server: { ...server(), run: found } });
}

/** End what runs. */
export async function cancel() {
  await tried(() => post("/api/cancel", {}));
}

/** How far the run is, its error and its remedy. */
function progress() {
  const found = server().run;
  if (found.state === "idle") return [];
  const done = found.done ?? 0, total = found.total ?? 0;
  const text = { queued: "Waiting for the service", running: `Frame ${found.frame ?? "-"}, ${done} of ${total}`,
    done: `Done: ${total} frames`, cancelled: `Cancelled after ${done} of ${total} frames. Run again to go on.`,
    error: found.frame === null || found.frame === undefined ? "Stopped" : `Stopped at frame ${found.frame}` }[found.state];
  return [
    h("progress", { max: Math.max(1, total), value: done, "aria-label": "Progress" }),
    h("p", { className: `note ${found.state === "error" ? "error" : found.state === "done" ? "good" : ""}`, data: { state: found.state } }, text),
    found.message ? h("p", { className: "note error" }, found.message) : null,
    ...(found.notes ?? []).map((text) => h("p", { className: "note" }, text)),
    found.state === "error" ? h("div", { className: "buttons" },
      found.frame ? button(`Go to ${found.frame}`, "Show the frame", () => set({ frame: /** @type {number} */ (found.frame) })) : null,
      button("Run again", "Do what is missing", () => void run([found.first ?? span()[0], found.last ?? span()[1]]))) : null,
    found.state === "done" && !found.key ? h("p", { className: "note good" }, `Written: ${found.output}`) : null,
  ];
}

function ranges() {
  const { plate } = server(), [first, last] = span(), now = state.frame;
  const ends = /** @type {[number, number]} */ ([plate.frames[0], plate.frames[plate.frames.length - 1]]);
  const isRunning = ["queued", "running"].includes(server().run.state);
  const off = { disabled: isRunning };
  return [
    h("h2", {}, "Run"),
    h("div", { className: "buttons" },
      button("Run range", `Matte ${first}-${last} (R)`, () => void run([first, last]), { ...off, main: true }),
      button("Whole shot", `Matte ${ends[0]}-${ends[1]}`, () => void run(ends), off),
      button("Cancel", "End at the next step; whole frames stay (Esc)", () => void cancel(), { disabled: !isRunning })),
    h("div", { className: "buttons" },
      button("Forwards", "From this frame to the out point", () => void run([now, Math.max(now, last)]), off),
      button("Backwards", "From the in point to this frame", () => void run([Math.min(first, now), now]), off),
      button("This frame", "Matte the frame that is shown (M)", () => void run([now, now]), off)),
    ...progress(),
  ];
}

/** Ask for the command line that does the same. */
async function refreshCommand() {
  const wanted = JSON.stringify([exporting, server().key, span()]);
  if (wanted === commandFor) return;
  commandFor = wanted;
  const query = new URLSearchParams(exporting);
  const found = await tried(() => get(`/api/command?${query}`));
  if (!found) return;
  command = found.command;
  exporting.folder ||= found.folder;
  exporting.name ||= found.name;
  document.querySelectorAll("#command").forEach((one) => { one.textContent = command; });
  document.querySelectorAll("#export-folder").forEach((one) => { /** @type {HTMLInputElement} */ (one).value = exporting.folder; });
  document.querySelectorAll("#export-name").forEach((one) => { /** @type {HTMLInputElement} */ (one).value = exporting.name; });
}

async function begin() {
  const found = await tried(() => post("/api/export", { ...exporting, span: span() }));
  if (!found) return;
  if (found.run) set({ server: { ...server(), run: found.run } });
  if (found.message) say(found.message, "good");
}

function exports() {
  const forms = state.declarations?.forms ?? [];
  exporting.form ||= forms[0]?.name ?? "";
  void refreshCommand();
  const text = (/** @type {"folder" | "name" | "over"} */ what) => h("input", { type: "text", id: `export-${what}`, value: exporting[what],
    onchange: (/** @type {Event} */ event) => { exporting[what] = /** @type {HTMLInputElement} */ (event.target).value; void refreshCommand(); } });
  const isRunning = ["queued", "running"].includes(server().run.state);
  const about = forms.find((one) => one.name === exporting.form)?.help ?? "";
  return [
    h("h2", {}, "Export"),
    row("Form", about, chooser(forms.map((one) => ({ value: one.name, label: one.label })), exporting.form, (form) => { exporting.form = form; set({ server: { ...server() } }); })),
    h("p", { className: "note" }, about),
    row("Folder", "Where it goes, inside of what Studio may open", text("folder"),
      browse("Folder", () => exporting.folder, (path) => { exporting.folder = path; void refreshCommand(); }, true)), row("Name", "The beginning of the file names", text("name")),
    exporting.form.startsWith("over") ? row("Over", "A colour (white, #20c0ff), checker, blur, or a picture inside of what Studio may open", text("over")) : null,
    h("div", { className: "buttons" }, button("Export range", "Write the range in this form", () => void begin(), { disabled: isRunning, main: true })),
    h("h2", {}, "The same in a terminal"),
    h("p", { className: "code", id: "command" }, command),
    h("div", { className: "buttons" }, button("Copy", "Copy the command line", () => {
      navigator.clipboard.writeText(command).then(() => say("Copied."), () => say("The browser does not allow it: select the text.", "error"));
    })),
  ];
}

/** The panel. @returns {Node[]} */
export function panel() {
  return [...ranges(), ...exports()].filter((one) => one !== null);
}

/** Take the in and out points away. */
export function wholeSpan() {
  void edit({ edit: "span", span: null });
}
