// @ts-check
// SPDX-License-Identifier: Apache-2.0
// Speaks to the server: requests with the page's key, edits, and the stream of events.
import { say, set, state } from "./state.js";

const KEY = "matte-studio-key";

/** Take the key from the address once, and keep it for this origin. */
export function takeKey() {
  const given = new URLSearchParams(location.hash.slice(1)).get("key");
  if (given) {
    localStorage.setItem(KEY, given);
    history.replaceState(null, "", location.pathname);
  }
}

/** @param {string} path @param {RequestInit} [options] @returns {Promise<Response>} */
async function ask(path, options = {}) {
  const headers = new Headers(options.headers);
  headers.set("X-Studio-Key", localStorage.getItem(KEY) ?? "");
  const answer = await fetch(path, { ...options, headers });
  if (answer.ok || answer.status === 304) return answer;
  const text = await answer.text();
  let message = text.trim();
  try {
    message = JSON.parse(text).error ?? message;
  } catch { /* a plain sentence */ }
  throw new Error(message);
}

/** @param {string} path @returns {Promise<any>} */
export async function get(path) {
  return (await ask(path)).json();
}

/** @param {string} path @param {AbortSignal} [signal] @returns {Promise<Blob>} */
export async function file(path, signal) {
  return (await ask(path, { signal })).blob();
}

/** @param {string} path @param {unknown} data @returns {Promise<any>} */
export async function post(path, data) {
  const headers = { "Content-Type": "application/json" };
  return (await ask(path, { method: "POST", headers, body: JSON.stringify(data) })).json();
}

/** Send a plane of codes, compressed.
 * @param {string} path @param {Uint8Array} plane @returns {Promise<any>} */
export async function postPlane(path, plane) {
  const packed = new Blob([/** @type {BlobPart} */ (plane)]).stream().pipeThrough(new CompressionStream("gzip"));
  const body = await new Response(packed).blob();
  const headers = { "Content-Type": "application/gzip" };
  return (await ask(path, { method: "POST", headers, body })).json();
}

/** Take a whole answer of the server as the state, unless it is older than what is there.
 * @param {ServerState} found */
export function take(found) {
  if (state.server && found.revision < state.server.revision) return;
  set({ server: { ...state.server, ...found } });
}

/** Load the session anew. */
export async function refresh() {
  take(await get("/api/state"));
}

/** Do one edit; errors are shown.
 * @param {Record<string, unknown>} asked @returns {Promise<boolean>} */
export async function edit(asked) {
  try {
    take(await post("/api/edit", asked));
    return true;
  } catch (error) {
    failed(error);
    return false;
  }
}

/** Show an error. @param {unknown} error */
export function failed(error) {
  if (error instanceof DOMException && error.name === "AbortError") return;
  say(error instanceof Error ? error.message : String(error), "error");
}

/** Do something and show its error. @template T @param {() => Promise<T>} work @returns {Promise<T | undefined>} */
export async function tried(work) {
  try {
    return await work();
  } catch (error) {
    failed(error);
    return undefined;
  }
}

/** Listen to the server for ever; `take` gets each event's name and facts.
 * @param {(event: string, facts: any) => void} take */
export async function listen(take) {
  for (;;) {
    try {
      const answer = await ask("/api/events");
      const reader = /** @type {ReadableStream<Uint8Array>} */ (answer.body).getReader();
      const decoder = new TextDecoder();
      let text = "";
      for (let part = await reader.read(); !part.done; part = await reader.read()) {
        text += decoder.decode(part.value, { stream: true });
        for (let end = text.indexOf("\n\n"); end >= 0; end = text.indexOf("\n\n")) {
          const lines = text.slice(0, end).split("\n");
          text = text.slice(end + 2);
          const name = lines.find((line) => line.startsWith("event: "))?.slice(7);
          const data = lines.find((line) => line.startsWith("data: "))?.slice(6);
          if (name && data) take(name, JSON.parse(data));
        }
      }
    } catch {
      take("gone", {});
    }
    await new Promise((done) => setTimeout(done, 1000));
  }
}
