// circ(c) x for 8 numbers by hand, multiplication by multiplication: row by row, and by FFT, product, inverse FFT.

import { rfft } from "../shared/fft.js";

/** @import { Numbers } from "../shared/fft.js" */

/** @typedef {{stage: string, place: number, left: number, right: number}} Step one multiplication of real numbers */
/** @typedef {{steps: Step[], y: Float64Array}} Way all multiplications in their order, and the result */

const D = 8;

/**
 * All D^2 products c[(i - j) mod D] x[j].
 * @param {Numbers} c
 * @param {Numbers} x
 * @returns {Way}
 */
export function byRows(c, x) {
  const steps = [],
    y = new Float64Array(D);
  for (let i = 0; i < D; i++)
    for (let j = 0; j < D; j++) {
      const left = c[(i - j + D) % D];
      steps.push({ stage: "rows", place: i * D + j, left, right: x[j] });
      y[i] += left * x[j];
    }
  return { steps, y };
}

/**
 * By FFT: 2 multiplications to transform x, 14 with FFT(c), which is known before any x comes, and 2 to go back.
 *
 * A transform of 8 real numbers multiplies by sqrt(1/2) alone, twice: all its other factors are 1, -1, i and -i. That
 * FFT(c) is divided by 8 for the way back is counted with FFT(c).
 * @param {Numbers} c
 * @param {Numbers} x
 * @returns {Way}
 */
export function byFft(c, x) {
  /** @type {Step[]} */
  const steps = [];
  const root = Math.SQRT1_2;
  /**
   * @param {string} stage
   * @param {number} place
   * @param {number} left
   * @param {number} right
   */
  const times = (stage, place, left, right) => {
    steps.push({ stage, place, left, right });
    return left * right;
  };

  // Four numbers at even places, four at odd ones, each transformed by sums alone.
  const [e, o] = [0, 1].map((odd) => {
    const [p, q, r, s] = [0, 2, 4, 6].map((k) => x[k + odd]);
    return { sum: p + q + r + s, alternating: p - q + r - s, re: p - r, im: s - q };
  });
  // e^(-i pi / 4) (re + i im) = sqrt(1/2) ((re + im) + i (im - re))
  const tr = times("fft", 1, root, o.re + o.im),
    ti = times("fft", 3, root, o.im - o.re);
  const X = {
    re: [e.sum + o.sum, e.re + tr, e.alternating, e.re - tr, e.sum - o.sum],
    im: [0, e.im + ti, -o.alternating, ti - e.im, 0],
  };

  const C = rfft(c);
  const Y = { re: new Float64Array(5), im: new Float64Array(5) };
  for (let k = 0; k <= 4; k++) {
    const cr = C.re[k] / D,
      ci = C.im[k] / D;
    Y.re[k] = times("product", k, cr, X.re[k]);
    if (k === 0 || k === 4) continue;
    Y.re[k] -= times("product", k, ci, X.im[k]);
    Y.im[k] = times("product", k, cr, X.im[k]) + times("product", k, ci, X.re[k]);
  }

  // The same butterflies backwards: sums over places of one parity, their differences turned by e^(i pi / 4).
  const even = fourBack(Y.re[0] + Y.re[4], 2 * Y.re[2], Y.re[1] + Y.re[3], Y.im[1] - Y.im[3]);
  const dr = Y.re[1] - Y.re[3],
    di = Y.im[1] + Y.im[3];
  const odd = fourBack(
    Y.re[0] - Y.re[4],
    -2 * Y.im[2],
    times("inverse", 1, root, dr - di),
    times("inverse", 3, root, dr + di),
  );
  const y = Float64Array.from({ length: D }, (_, i) => (i % 2 ? odd : even)[i >> 1]);
  return { steps, y };
}

/**
 * sum over k = 0 ... 3 of Z[k] i^(k n) of a conjugate symmetric Z: Z[0], Z[2] real, Z[1] = re + i im = conj(Z[3]). Sums
 * alone: twice a number is it added to itself.
 * @param {number} zero
 * @param {number} two
 * @param {number} re
 * @param {number} im
 */
function fourBack(zero, two, re, im) {
  return [zero + two + 2 * re, zero - two - 2 * im, zero + two - 2 * re, zero - two + 2 * im];
}

const realFft = (/** @type {number} */ n) => 2.5 * n * Math.log2(n);

/**
 * FLOPs counted as cdvft.cost does: a multiply-add 2, a real FFT 2.5 d log2 d, a complex product 6, an added one 8. Of one
 * product with a circulant, and of a token's way through a layer of p x p blocks between two diagonals.
 */
export const work = {
  dense: (/** @type {number} */ d) => 2 * d * d,
  fft: (/** @type {number} */ d) => 2 * realFft(d) + 6 * (Math.floor(d / 2) + 1),
  /**
   * @param {number} rows
   * @param {number} cols
   * @param {number} p
   */
  blocks(rows, cols, p) {
    const q1 = Math.ceil(rows / p),
      q2 = Math.ceil(cols / p),
      bins = Math.floor(p / 2) + 1;
    return rows + cols + (q1 + q2) * realFft(p) + q1 * bins * (q2 === 1 ? 6 : 8 * q2);
  },
};

/**
 * Real multiplications of a product, FFT(c) known, for a power of two: the transforms are of radix 2, where factors 1, -1,
 * i and -i are none, and sqrt(1/2) takes two in place of four.
 */
export const multiplications = {
  rows: (/** @type {number} */ d) => d * d,
  waves: (/** @type {number} */ d) => 2 * ofTransform(d) + 4 * (d / 2 - 1) + 2,
};

/**
 * @param {number} d
 * @returns {number}
 */
function ofTransform(d) {
  if (d <= 4) return 0;
  let own = 0;
  for (let k = 1; 4 * k < d; k++) own += 8 * k === d ? 2 : 4;
  return own + 2 * ofTransform(d / 2);
}
