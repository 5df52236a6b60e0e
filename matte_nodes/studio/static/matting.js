// @ts-check
// SPDX-License-Identifier: Apache-2.0
// Asks for the matte of the frame that is shown: at once after an edit, a moment after a seek.
import { failed, post } from "./api.js";
import { isDone, say, server, set, state, watch } from "./state.js";
import { looked } from "./viewer.js";

const AFTER_SEEK = 250;
let asking = false, again = false, inFlight = "", tickets = 0, timer = 0;
/** Keys and frames that failed: they are not asked for again by themselves. @type {Set<string>} */
const broken = new Set();

/** Whether the session says what the subject is, or a model was chosen that needs no hint. */
function isAsked() {
  const { objects, trimaps, model, hints } = server().session;
  const isMarked = objects.some((one) => Object.keys(one.frames).length > 0) || Object.keys(trimaps).length > 0;
  return isMarked || model !== "auto" || Object.keys(hints).length > 0;
}

/** Matte this frame now: first the mask, then the edges. A newer call gives up the edges of an older one.
 * @param {boolean} [isWanted] a person asked for it */
export async function matteNow(isWanted = true) {
  const { key } = server(), frame = state.frame, name = `${key} ${frame}`;
  if (asking) again = true;
  if (asking || isDone(frame) || inFlight === name || (!isWanted && broken.has(name))) return;
  asking = true;
  inFlight = name;
  const ticket = ++tickets;
  set({ busy: `matting frame ${frame}` });
  if (state.message.kind === "warning") say("");
  try {
    if (server().models.length > 1) await maskFirst(frame, key);
    asking = false;
    if (again || state.frame !== frame || server().key !== key) return;
    const found = await post("/api/matte", { frame, ...looked() });
    addDone(found.key, frame);
    broken.delete(name);
    if (found.key === server().key && state.message.kind !== "warning") say(`Frame ${frame}: ${found.milliseconds} ms.`);
    if (state.view === "plate") set({ view: "outline" });
  } catch (error) {
    if (ticket === tickets) {
      broken.add(name);
      failed(error);
    }
  } finally {
    asking = false;
    if (inFlight === name) inFlight = "";
    if (ticket === tickets) set({ busy: "" });
    const isOld = again || (ticket === tickets && (server().key !== key || state.frame !== frame));
    again = false;
    if (isOld && state.live) void matteNow(false);
  }
}

/** Show the mask of the selector, which answers at once, before its edges are solved.
 * @param {number} frame @param {string} of the settings that it belongs to */
async function maskFirst(frame, of) {
  const found = await post("/api/mask", { frame, ...looked() });
  if (!found.key || server().key !== of) return;
  set({ mask: { key: found.key, frame, of }, busy: `solving the edges of frame ${frame}` });
  if (found.milliseconds) say(`Mask of frame ${frame}: ${found.milliseconds} ms.`);
  if (state.view === "plate") set({ view: "outline" });
}

/** A frame has a matte with these settings now.
 * @param {string} key @param {number} frame */
export function addDone(key, frame) {
  const found = server();
  if (found.key !== key || found.done.includes(frame)) return;
  set({ server: { ...found, done: [...found.done, frame].sort((a, b) => a - b), stale: found.stale.filter((one) => one !== frame) } });
}

/** Matte by itself where that is on. */
export function start() {
  let key = "";
  watch(["server", "frame", "live"], () => {
    if (!state.live || state.playing || !isAsked() || server().run.state === "running") return;
    const isEdit = key !== server().key;
    key = server().key;
    clearTimeout(timer);
    if (!isDone(state.frame)) timer = setTimeout(() => void matteNow(false), isEdit ? 0 : AFTER_SEEK);
  });
}
