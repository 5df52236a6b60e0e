// @ts-check
// SPDX-License-Identifier: Apache-2.0
// Exact values of the pixel under the pointer, from the server: linear plate, alpha, foreground.
import { get } from "./api.js";
import { byId } from "./dom.js";
import { isDone, server, state, watch } from "./state.js";

const place = byId("readout");
const AFTER_EDIT = 600;
let later = 0, asking = false, wanted = "";

/** @param {number[]} values */
const spelled = (values) => values.map((value) => value.toFixed(4)).join(" ");

async function ask() {
  if (asking) return;
  asking = true;
  for (let now = ""; wanted && wanted !== now;) {
    now = wanted;
    try {
      const found = await get(now);
      const matte = "alpha" in found ? `   A ${found.alpha.toFixed(4)}   F ${spelled(found.foreground)}` : "";
      const query = new URLSearchParams(now.split("?")[1]);
      if (now === wanted) place.textContent = `${query.get("x")}, ${query.get("y")}   RGB ${spelled(found.plate)}${matte}`;
    } catch {
      place.textContent = "";
    }
  }
  asking = false;
}

/** Follow the pointer. */
export function start() {
  let at = state.pointer;
  // Values are of the full size: while a knob is turned under a resting pointer, its picture comes first.
  watch(["pointer", "frame", "server", "showB", "loaded"], () => {
    clearTimeout(later);
    if (at === state.pointer) later = setTimeout(follow, AFTER_EDIT);
    else follow();
    at = state.pointer;
  });
}

/** Ask for the pixel under the pointer. */
function follow() {
  clearTimeout(later);
  if (state.busy) {
    later = setTimeout(follow, AFTER_EDIT);
    return;
  }
  const { width, height } = server().plate, at = state.pointer;
  const x = Math.floor(at?.x ?? -1), y = Math.floor(at?.y ?? -1);
  if (!at || x < 0 || y < 0 || x >= width || y >= height || state.playing) {
    wanted = "";
    place.textContent = "";
    return;
  }
  const key = state.showB && state.b ? state.b.key : isDone(state.frame) ? server().key : "";
  wanted = `/api/value?frame=${state.frame}&x=${x}&y=${y}&key=${key}`;
  void ask();
}
