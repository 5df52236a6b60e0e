// @ts-check
// SPDX-License-Identifier: Apache-2.0
// Paths and spaces: the clean plate and other hints, the colour space, the picture behind.
import { edit } from "./api.js";
import { browse, folderOf } from "./chooser.js";
import { h, row } from "./dom.js";
import { server } from "./state.js";

/** A field for a path or a name that is sent when it is left; a path can be chosen from the disk.
 * @param {string} id @param {string} label @param {string} title @param {string} value @param {(value: string) => void} change
 * @param {boolean} [isPath] */
function field(id, label, title, value, change, isPath = true) {
  const found = h("input", { type: "text", id, value, spellcheck: false, placeholder: "none", onchange: () => change(found.value.trim()) });
  const from = () => folderOf(found.value || server().session.plate);
  return row(label, title, found, ...(isPath ? [browse(label, from, change)] : []));
}

/** The group of fields, closed until one of them says something. @returns {HTMLElement} */
export function inputs() {
  const { session, plate, roots } = server();
  const hint = (/** @type {string} */ name) => (/** @type {string} */ path) => void edit({ edit: "hint", name, path });
  const set = (/** @type {string} */ name) => (/** @type {string} */ value) => void edit({ edit: "set", [name]: value });
  const isUsed = Object.keys(session.hints).length > 0 || Boolean(session.colorspace || session.behind || session.layer);
  const where = `A file, a pattern or a movie inside of ${roots.join(", ")}.`;
  return h("details", { open: isUsed }, h("summary", {}, "Inputs"),
    field("input-background", "Clean plate", `The same place without the subject. ${where}`, session.hints.background ?? "", hint("background")),
    field("input-segmentation", "Segmentation", `A rough mask that bounds the subject. ${where}`, session.hints.segmentation ?? "", hint("segmentation")),
    field("input-trimap", "Trimap files", `Trimaps from elsewhere; paint stands in their place where there is any. ${where}`, session.hints.trimap ?? "", hint("trimap")),
    field("input-colorspace", "Colour space", `Of the plate. Without a name: ${plate.colorspace}.`, session.colorspace, set("colorspace"), false),
    field("input-layer", "Layer", "A layer of the plate's files, by its name.", session.layer, set("layer"), false),
    field("input-behind", "Picture behind", `For the view Picture. ${where}`, session.behind, set("behind")),
    h("p", { className: "note" }, `Paths are inside of ${roots.join(", ")}.`));
}
