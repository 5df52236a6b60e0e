// @ts-check
// SPDX-License-Identifier: Apache-2.0
// Up to four results of one frame side by side, in the view of now.
import { compose, isOver } from "./compose.js";
import { byId, button, h } from "./dom.js";
import { codes, load } from "./pictures.js";
import { edit, failed } from "./api.js";
import { server, set, state, watch } from "./state.js";
import { mattePath, platePath } from "./viewer.js";

/** Pixels of each picture. */
export const WIDTH = 480;
const place = byId("compare");

/** @param {Slot} slot @param {HTMLCanvasElement} canvas */
async function draw(slot, canvas) {
  const { view, exposure, gamma, colour } = state, frame = state.frame;
  const look = { view: view === "plate" || view === "difference" ? "alpha" : view, exposure, gamma, colour };
  const paths = [platePath(frame, WIDTH), mattePath(slot.key, frame, "alpha", WIDTH)];
  if (look.view === "foreground" || isOver(look.view)) paths.push(mattePath(slot.key, frame, "foreground", WIDTH));
  const found = await Promise.all(paths.map(load));
  const { width, height } = found[0];
  const layers = found.map((one) => new Uint8ClampedArray(codes(one, width, height)));
  canvas.width = width;
  canvas.height = height;
  const image = compose({ width, height, plate: layers[0], alpha: layers[1], color: layers[2] ?? null, behind: null, other: null }, look);
  /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d")).putImageData(image, 0, 0);
}

/** Show the comparison, or nothing. */
function refresh() {
  place.hidden = state.compare.length === 0;
  if (place.hidden) return;
  const two = state.compare.length > 1;
  place.style.gridTemplate = `repeat(${Math.ceil(state.compare.length / 2)}, 1fr) / repeat(${two ? 2 : 1}, 1fr)`;
  place.replaceChildren(...state.compare.map((slot) => {
    const canvas = h("canvas", { "aria-label": slot.label });
    draw(slot, canvas).catch(failed);
    const model = slot.label.split(",")[0];
    return h("figure", {}, canvas, h("figcaption", {}, slot.label),
      button("Use", `Matte with ${model}`, () => void edit({ edit: "set", model }).then(() => set({ compare: [] })), { name: `Use ${model}` }));
  }));
}

/** Watch what is compared. */
export function start() {
  watch(["compare", "view", "exposure", "gamma", "colour"], refresh);
  watch(["frame"], () => { if (state.compare.length && server()) set({ compare: [] }); });
}
