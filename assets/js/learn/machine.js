// The rank machine's arithmetic: three vectors of 8 numbers, the matrix that they make, its rank, and c's waves.

import { BlockCirculant, CirculantDiagonal } from "../shared/circulant.js";
import { irfft, magnitude, phase, rfft } from "../shared/fft.js";
import { rank, singularValues } from "./singular.js";

/** @import { Complex, Numbers } from "../shared/fft.js" */

export const D = 8;
/** Numbers of the half spectrum: c is real, so FFT(c)[D - k] is the conjugate of FFT(c)[k]. */
export const HALF = D / 2 + 1;
/** @param {number} place of the one among zeros */
export const unit = (place) => Float64Array.from({ length: D }, (_, k) => (k === place ? 1 : 0));
const ZERO = 1e-9; // of the largest: what rounding leaves of a zero

/** @typedef {{a1: Float64Array, c: Float64Array, a3: Float64Array}} Vectors */

/**
 * How many of the D values of FFT(c) go by the wave k: itself and its conjugate, or itself alone.
 * @param {number} k 0 ... D / 2
 */
export const members = (k) => (k === 0 || k === D / 2 ? 1 : 2);

/**
 * diag(a3) circ(c) diag(a1).
 * @param {Vectors} vectors
 */
export const matrixOf = ({ a1, c, a3 }) =>
  new CirculantDiagonal([a1, a3], [new BlockCirculant(c, 1, 1, D, D, D)]);

/**
 * How many numbers are not zero, up to rounding.
 * @param {Numbers} values
 */
function nonzero(values) {
  const sizes = Array.from(values, Math.abs),
    largest = Math.max(...sizes);
  return sizes.filter((size) => size > ZERO * largest).length;
}

/**
 * Singular values and rank of the matrix, and how many numbers of a1, of FFT(c) (all D) and of a3 are not zero.
 * @param {Vectors} vectors
 */
export function measure(vectors) {
  const values = singularValues(matrixOf(vectors));
  const half = magnitude(rfft(vectors.c)),
    whole = Array.from({ length: D }, (_, k) => half[Math.min(k, D - k)]);
  return {
    values,
    rank: rank(values),
    nonzero: { a1: nonzero(vectors.a1), waves: nonzero(whole), a3: nonzero(vectors.a3) },
  };
}

/**
 * Each wave of c: its factor's size, and the angle in degrees by which it is moved; of the real factors of the constant
 * and of the alternating wave the signed value, and no angle.
 * @param {Numbers} c
 */
export function waves(c) {
  const half = rfft(c),
    sizes = magnitude(half),
    angles = phase(half);
  const size = Float64Array.from({ length: HALF }, (_, k) => (members(k) === 1 ? half.re[k] : sizes[k]));
  const largest = Math.max(...sizes);
  const angle = Float64Array.from({ length: HALF }, (_, k) =>
    members(k) === 1 || sizes[k] <= ZERO * largest ? 0 : (angles[k] * 180) / Math.PI,
  );
  return { size, angle };
}

/**
 * The c whose waves are these.
 * @param {{size: Numbers, angle: Numbers}} given as `waves` gives them
 */
export function fromWaves({ size, angle }) {
  /** @type {Complex} */
  const half = { re: new Float64Array(HALF), im: new Float64Array(HALF) };
  for (let k = 0; k < HALF; k++) {
    const turn = members(k) === 1 ? 0 : (angle[k] * Math.PI) / 180;
    half.re[k] = size[k] * Math.cos(turn);
    half.im[k] = size[k] * Math.sin(turn);
  }
  return irfft(half, D);
}

/**
 * The waves that are left when so many values of FFT(c) are: pairs from the slowest on, and the constant where the
 * number is odd; all of them for D.
 * @param {number} values 0 ... D
 */
export function wavesLeft(values) {
  const pairs = Array.from({ length: HALF - 2 }, (_, at) => at + 1).slice(0, Math.floor(values / 2));
  if (values === D) return [0, ...pairs, D / 2];
  return values % 2 ? [0, ...pairs] : pairs;
}

/**
 * c with all other waves silenced.
 * @param {Numbers} c
 * @param {number[]} left
 */
export function onlyWaves(c, left) {
  const { size, angle } = waves(c);
  return fromWaves({ size: size.map((value, k) => (left.includes(k) ? value : 0)), angle });
}

/**
 * The wave k at a moment, at place s: cos(2 pi k s / D - moment); and what circ(c) makes of it.
 * @param {Numbers} c
 * @param {number} k
 * @param {number} moment in radians
 */
export function throughCirculant(c, k, moment) {
  const { re, im } = rfft(c),
    size = Math.hypot(re[k], im[k]),
    turn = Math.atan2(im[k], re[k]);
  const angle = (/** @type {number} */ s) => (2 * Math.PI * k * s) / D - moment;
  return {
    size,
    in: (/** @type {number} */ s) => Math.cos(angle(s)),
    out: (/** @type {number} */ s) => size * Math.cos(angle(s) + turn),
  };
}
