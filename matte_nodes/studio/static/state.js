// @ts-check
// SPDX-License-Identifier: Apache-2.0
// The state of the page, in one place. Modules read it, change it by `set`, and are told by `watch`.

/** @type {State} */
export const state = {
  server: null, declarations: null, frame: 0, view: "plate", exposure: 0, gamma: 1, colour: "#2f6fb5",
  b: null, showB: false, wipe: null, tool: "click", object: "", brush: { size: 30, hardness: 0.8, value: 255 },
  tab: "select", live: true, overlay: true, playing: false, zoom: { scale: 1, x: 0, y: 0, fit: true },
  message: { kind: "", text: "" }, busy: "", compare: [], mask: null, pointer: null, loaded: 0,
};

/** @type {{ names: (keyof State)[], call: () => void }[]} */
const watchers = [];
/** @type {Set<keyof State>} */
const changed = new Set();
let planned = false;

/** Change entries of the state; watchers are called once, before the next picture.
 * @param {Partial<State>} patch */
export function set(patch) {
  for (const name of /** @type {(keyof State)[]} */ (Object.keys(patch))) {
    if (state[name] === patch[name]) continue;
    /** @type {any} */ (state)[name] = patch[name];
    changed.add(name);
  }
  if (changed.size && !planned) {
    planned = true;
    queueMicrotask(flush);
  }
}

function flush() {
  planned = false;
  const names = new Set(changed);
  changed.clear();
  for (const one of watchers) if (one.names.some((name) => names.has(name))) one.call();
}

/** Call a function when one of these entries has changed.
 * @param {(keyof State)[]} names @param {() => void} call */
export function watch(names, call) {
  watchers.push({ names, call });
}

/** The server's state, which is there once the page has started.
 * @returns {ServerState} */
export function server() {
  if (!state.server) throw new Error("The session is not loaded yet.");
  return state.server;
}

/** @param {string} text @param {string} [kind] "", "error" or "good" */
export function say(text, kind = "") {
  set({ message: { kind, text } });
}

/** First and last frame of the range that is in use.
 * @returns {[number, number]} */
export function span() {
  const { session, plate } = server();
  return session.span ?? [plate.frames[0], plate.frames[plate.frames.length - 1]];
}

/** Whether a frame has a matte with the settings of now.
 * @param {number} frame */
export function isDone(frame) {
  return server().done.includes(frame);
}
