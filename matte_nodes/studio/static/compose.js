// @ts-check
// SPDX-License-Identifier: Apache-2.0
// Makes a view from the plate, the alpha and the foreground. Colours are mixed in linear light.

/** @typedef {{ width: number, height: number, plate: Uint8ClampedArray, alpha: Uint8ClampedArray | null,
 *   color: Uint8ClampedArray | null, behind: Uint8ClampedArray | null, other: Uint8ClampedArray | null }} Layers */
/** @typedef {{ view: string, exposure: number, gamma: number, colour: string }} Look */

const STEPS = 4096;
const toLinear = Float32Array.from({ length: 256 }, (_, code) => {
  const value = code / 255;
  return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
});

let tableKey = "";
let table = new Uint8ClampedArray(STEPS + 1);

/** Linear light 0..1 to codes, with exposure and gamma in between.
 * @param {number} exposure @param {number} gamma */
function encoder(exposure, gamma) {
  const key = `${exposure} ${gamma}`;
  if (key !== tableKey) {
    tableKey = key;
    const gain = 2 ** exposure;
    table = Uint8ClampedArray.from({ length: STEPS + 1 }, (_, step) => {
      const value = Math.min(1, (step / STEPS) ** 2 * gain) ** (1 / gamma);
      return 255 * (value <= 0.0031308 ? 12.92 * value : 1.055 * value ** (1 / 2.4) - 0.055);
    });
  }
  return table;
}

/** The steps of the table are squares, so that dark tones have enough of them.
 * @param {number} linear */
const step = (linear) => Math.min(STEPS, Math.round(Math.sqrt(linear) * STEPS));

/** @param {string} text "#rrggbb" @returns {[number, number, number]} linear */
export function linearColour(text) {
  const number = parseInt(text.slice(1), 16);
  return [toLinear[number >> 16], toLinear[(number >> 8) & 255], toLinear[number & 255]];
}

const PLAIN = new Map([["grey", 0.18], ["white", 1], ["black", 0]]);
const LIGHT = toLinear[150], DARK = toLinear[90];

/** Whether a view can be drawn as the picture is.
 * @param {Look} look */
export function isPlain(look) {
  return (look.view === "plate" || look.view === "outline") && look.exposure === 0 && look.gamma === 1;
}

/** One view of one result.
 * @param {Layers} layers @param {Look} look @returns {ImageData} */
export function compose(layers, look) {
  const { width, height } = layers;
  const image = new ImageData(width, height);
  const out = image.data, codes = encoder(look.exposure, look.gamma);
  if (look.view === "alpha" && layers.alpha) grey(out, layers.alpha, codes, look);
  else if (look.view === "difference" && layers.alpha) difference(out, layers.alpha, layers.other);
  else if (look.view === "foreground" && layers.color) graded(out, layers.color, codes);
  else if (layers.alpha && layers.color && isOver(look.view)) over(out, layers, look, codes);
  else graded(out, layers.plate, codes);
  return image;
}

/** @param {string} view */
export const isOver = (view) => PLAIN.has(view) || view === "checker" || view === "colour" || view === "picture";

/** @param {Uint8ClampedArray} out @param {Uint8ClampedArray} from @param {Uint8ClampedArray} codes */
function graded(out, from, codes) {
  for (let at = 0; at < out.length; at += 4) {
    out[at] = codes[step(toLinear[from[at]])];
    out[at + 1] = codes[step(toLinear[from[at + 1]])];
    out[at + 2] = codes[step(toLinear[from[at + 2]])];
    out[at + 3] = 255;
  }
}

/** Alpha is no colour: without exposure and gamma its codes are shown as they are.
 * @param {Uint8ClampedArray} out @param {Uint8ClampedArray} alpha @param {Uint8ClampedArray} codes @param {Look} look */
function grey(out, alpha, codes, look) {
  const isAsIs = look.exposure === 0 && look.gamma === 1;
  for (let at = 0; at < out.length; at += 4) {
    const code = isAsIs ? alpha[at] : codes[step(toLinear[alpha[at]])];
    out[at] = out[at + 1] = out[at + 2] = code;
    out[at + 3] = 255;
  }
}

/** What B has more is red, what it has less is blue, four times as strong.
 * @param {Uint8ClampedArray} out @param {Uint8ClampedArray} alpha @param {Uint8ClampedArray | null} other */
function difference(out, alpha, other) {
  for (let at = 0; at < out.length; at += 4) {
    const change = other ? 4 * (other[at] - alpha[at]) : 0;
    const base = alpha[at] >> 2;
    out[at] = base + Math.max(0, change);
    out[at + 1] = base;
    out[at + 2] = base + Math.max(0, -change);
    out[at + 3] = 255;
  }
}

/** @param {Uint8ClampedArray} out @param {Layers} layers @param {Look} look @param {Uint8ClampedArray} codes */
function over(out, layers, look, codes) {
  const { width, alpha, color, behind } = layers;
  if (!alpha || !color) return;
  const square = Math.max(8, Math.round(width / 48));
  const plain = PLAIN.get(look.view) ?? 0.18;
  const under = look.view === "colour" ? linearColour(look.colour) : [plain, plain, plain];
  const isChecker = look.view === "checker", isPicture = look.view === "picture" && behind !== null;
  for (let at = 0, x = 0, y = 0; at < out.length; at += 4) {
    const a = alpha[at] / 255, rest = 1 - a;
    if (isChecker) under[0] = under[1] = under[2] = ((x / square) ^ (y / square)) & 1 ? DARK : LIGHT;
    for (let c = 0; c < 3; c++) {
      const back = isPicture ? toLinear[behind[at + c]] : under[c];
      out[at + c] = codes[step(toLinear[color[at + c]] * a + back * rest)];
    }
    out[at + 3] = 255;
    if (++x === width) { x = 0; y++; }
  }
}

/** A line along alpha 0.5 on top of a picture.
 * @param {ImageData} image @param {Uint8ClampedArray} alpha @param {[number, number, number]} colour codes */
export function outline(image, alpha, colour) {
  const { width, height, data } = image;
  for (let y = 1; y < height - 1; y++) {
    for (let x = 1; x < width - 1; x++) {
      const at = 4 * (y * width + x), inside = alpha[at] > 127;
      if (inside !== alpha[at + 4] > 127 || inside !== alpha[at + 4 * width] > 127) {
        data[at] = colour[0];
        data[at + 1] = colour[1];
        data[at + 2] = colour[2];
      }
    }
  }
}

/** @param {string} text "#rrggbb" @returns {[number, number, number]} codes */
export function codesOf(text) {
  const number = parseInt(text.slice(1), 16);
  return [number >> 16, (number >> 8) & 255, number & 255];
}
