// @ts-check
// SPDX-License-Identifier: Apache-2.0
// A dialog to choose a clip, a file or a folder of this machine, inside of what Studio may open.
import { failed, get } from "./api.js";
import { button, byId, h } from "./dom.js";

/** @typedef {{ name: string, path: string, kind: "folder" | "clip" | "file", detail: string }} Entry */
/** @typedef {{ path: string, above: string | null, entries: Entry[] }} Listing */

const MARKS = { folder: "▸", clip: "▤", file: "▢" };

/** Ask a person for a path. `folders` asks for a folder and not for a file.
 * @param {string} title @param {string} from where to begin @param {(path: string) => void} take @param {boolean} [folders] */
export async function choosePath(title, from, take, folders = false) {
  const dialog = byId("files");
  const end = (/** @type {string} */ path) => {
    dialog.close();
    if (path) take(path);
  };
  /** @param {Listing} found */
  const show = (found) => {
    const line = (/** @type {Entry} */ one) => h("button", { type: "button", className: "entry", data: { kind: one.kind, name: one.name },
      onclick: () => (one.kind === "folder" ? void go(one.path) : end(one.path)) }, `${MARKS[one.kind]} ${one.name}`, h("span", { className: "note" }, one.detail));
    const shown = found.entries.filter((one) => !folders || one.kind === "folder").map(line);
    dialog.replaceChildren(
      h("h2", {}, title), h("p", { className: "note", id: "files-path" }, found.path || "Folders that Studio may open"),
      h("div", { className: "entries" }, ...(shown.length ? shown : [h("p", { className: "note" }, "Nothing here that can be chosen.")])),
      h("div", { className: "buttons" },
        button("Up", "The folder above", () => void go(found.above ?? ""), { disabled: found.above === null }),
        folders ? button("Choose this folder", "Take the folder that is shown", () => end(found.path), { disabled: !found.path, main: true }) : null,
        button("Close", "Choose nothing (Esc)", () => end(""))));
    /** @type {HTMLElement | null} */ (dialog.querySelector("button.entry"))?.focus();
  };
  /** @param {string} path */
  const go = async (path) => show(await get(`/api/list?path=${encodeURIComponent(path)}`));
  try {
    await go(from).catch(() => go(""));
    if (!dialog.open) dialog.showModal();
  } catch (error) {
    failed(error);
  }
}

/** The folder of a path, to begin with.
 * @param {string} path */
export const folderOf = (path) => path.slice(0, Math.max(0, path.lastIndexOf("/")));

/** A button that opens the dialog.
 * @param {string} title @param {() => string} from @param {(path: string) => void} take @param {boolean} [folders] */
export const browse = (title, from, take, folders = false) =>
  button("…", `Choose: ${title}`, () => void choosePath(title, from(), take, folders), { name: `Choose ${title}` });
