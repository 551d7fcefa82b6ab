// States of the rank machine: where it starts, what its questions ask about, and as text in the address.

import { D, fromWaves, HALF, onlyWaves, waves } from "./machine.js";
import { uniform } from "./random.js";

/** @import { Vectors } from "./machine.js" */

export const LIMIT = 2; // of the numbers of a1, c and a3 that are dragged
/** @type {(keyof Vectors)[]} in the order in which data meets them */
export const ORDER = ["a1", "c", "a3"];

/**
 * Numbers of sizes from 0.5 to 1.4, and a c whose waves are all scaled by 1.4 to 2.8: a rank that is full, and seen.
 * @returns {Vectors}
 */
export function generic() {
  const next = uniform(17);
  const away = () => Math.round(100 * (next() < 0.5 ? -1 : 1) * (0.5 + 0.9 * next())) / 100;
  const [a1, a3] = [0, 1].map(() => Float64Array.from({ length: D }, away));
  const size = Float64Array.from({ length: HALF }, () => 1.4 + 1.4 * next()),
    angle = Float64Array.from({ length: HALF }, () => 360 * next() - 180);
  return { a1, c: fromWaves({ size, angle }), a3 };
}

/**
 * @param {Float64Array} vector
 * @param {number} place
 */
const zeroed = (vector, place) => vector.map((value, k) => (k === place ? 0 : value));

/** @type {Record<string, (() => Vectors) | undefined>} what each question asks about, done once it is answered */
export const ABOUT = {
  "rank-zero": () => ({ ...generic(), a1: zeroed(generic().a1, 2) }),
  "rank-both": () => ({ ...generic(), a1: zeroed(generic().a1, 2), a3: zeroed(generic().a3, 5) }),
  "rank-c": () => ({ ...generic(), c: zeroed(generic().c, 3) }),
  "rank-pair": () => ({ ...generic(), c: onlyWaves(generic().c, [0, 2, 3, 4]) }),
  "rank-pair-zero": () => ({
    ...generic(),
    a1: zeroed(generic().a1, 2),
    c: onlyWaves(generic().c, [0, 2, 3, 4]),
  }),
  "rank-full": generic,
};

/**
 * Numbers as a text for the address, in hundredths with points between them.
 * @param {ArrayLike<number>} values
 */
export const hundredths = (values) => Array.from(values, (value) => Math.round(100 * value)).join(".");

/**
 * The numbers of such a text, or null where these are not so many, or one is larger than a limit.
 * @param {string} text
 * @param {number} many
 * @param {number} limit
 */
export function fromHundredths(text, many, limit) {
  const values = Float64Array.from(text.split("."), (part) => Number(part || NaN) / 100);
  return values.length === many && values.every((value) => Math.abs(value) <= limit) ? values : null;
}

/**
 * c as the text of its waves, so that silenced ones stay so.
 * @param {Float64Array} c
 */
export function wavesText(c) {
  const { size, angle } = waves(c);
  return hundredths([...size, ...angle]);
}

/**
 * The c of such a text, or null where it is none.
 * @param {string} text
 */
export function fromWavesText(text) {
  const both = fromHundredths(text, 2 * HALF, 360);
  return both && fromWaves({ size: both.slice(0, HALF), angle: both.slice(HALF) });
}

/**
 * Three texts: a1, c's waves, a3.
 * @param {Vectors} vectors
 */
export const encoded = ({ a1, c, a3 }) => [hundredths(a1), wavesText(c), hundredths(a3)];

/**
 * The vectors of three such texts, or null where they are none.
 * @param {string[]} texts
 * @returns {Vectors | null}
 */
export function decoded(texts) {
  const [a1, a3] = [texts[0], texts[2]].map((text) => fromHundredths(text, D, LIMIT)),
    c = fromWavesText(texts[1]);
  return a1 && c && a3 ? { a1, c, a3 } : null;
}
