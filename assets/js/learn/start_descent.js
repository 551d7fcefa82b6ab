// Plain gradient descent on the factors of a small layer's change, with a wanted change that is a product of three vectors.

import { normals } from "./random.js";

export const D = 12,
  STEPS = 160;

/**
 * Factors in the order in which data meets them, with the rate at which they learn: diagonals and circulants, or LoRA's A
 * and B with r = 1.
 * @type {Record<string, {names: string[], kinds: ("diagonal" | "circulant" | "row" | "column")[], rate: number}>}
 */
export const FORMS = {
  m2: { names: ["a₁", "c₂", "a₃"], kinds: ["diagonal", "circulant", "diagonal"], rate: 0.12 },
  m3: {
    names: ["a₁", "c₂", "a₃", "c₄", "a₅"],
    kinds: ["diagonal", "circulant", "diagonal", "circulant", "diagonal"],
    rate: 0.006,
  },
  lora: { names: ["A", "B"], kinds: ["row", "column"], rate: 0.12 },
};

/** @typedef {keyof typeof FORMS} Form */
/** @typedef {Float64Array} Square D x D entries, row by row; a row or a column of LoRA's stands in the first one */

/** Which of its D numbers each entry of a factor is; -1: it is zero. @type {Record<string, Int8Array>} */
const PLACES = {
  diagonal: placed((i, j) => (i === j ? i : -1)),
  circulant: placed((i, j) => (i - j + D) % D),
  row: placed((i, j) => (i === 0 ? j : -1)),
  column: placed((i, j) => (j === 0 ? i : -1)),
};

/** @param {(i: number, j: number) => number} place */
function placed(place) {
  return Int8Array.from({ length: D * D }, (_, at) => place(Math.floor(at / D), at % D));
}

/** @param {Float64Array} vector */
const norm = (vector) => Math.hypot(...vector);

/**
 * The matrix of a factor.
 * @param {string} kind
 * @param {Float64Array} vector
 * @returns {Square}
 */
const square = (kind, vector) => Float64Array.from(PLACES[kind], (place) => (place < 0 ? 0 : vector[place]));

/**
 * The sum of a gradient's entries over the places of each number of a factor.
 * @param {string} kind
 * @param {Square} gradient
 */
function gathered(kind, gradient) {
  const sums = new Float64Array(D);
  PLACES[kind].forEach((place, at) => {
    if (place >= 0) sums[place] += gradient[at];
  });
  return sums;
}

/**
 * one other; with `turned`, one^T other ("left") or one other^T ("right").
 * @param {Square} one
 * @param {Square} other
 * @param {"" | "left" | "right"} turned
 */
function product(one, other, turned = "") {
  const out = new Float64Array(D * D);
  for (let i = 0; i < D; i++)
    for (let k = 0; k < D; k++) {
      const factor = turned === "left" ? one[k * D + i] : one[i * D + k];
      if (factor === 0) continue;
      for (let j = 0; j < D; j++)
        out[i * D + j] += factor * (turned === "right" ? other[j * D + k] : other[k * D + j]);
    }
  return out;
}

/** The identity. */
const ONE = Float64Array.from(PLACES.diagonal, (place) => (place < 0 ? 0 : 1));

/**
 * Of factors F_1 ... F_n the products F_(k-1) ... F_1 and F_n ... F_(k+1), for each k, and all of them.
 * @param {Square[]} factors
 */
function around(factors) {
  const before = [ONE],
    after = [ONE];
  for (const factor of factors) before.push(product(factor, /** @type {Square} */ (before.at(-1))));
  for (const factor of factors.slice(1).reverse()) after.unshift(product(after[0], factor));
  return { before, after, whole: /** @type {Square} */ (before.pop()) };
}

/**
 * A change of the layer that is itself a product of three random vectors.
 * @param {number} seed
 */
export function targetChange(seed) {
  const [a1, c, a3] = [0, 1, 2].map((more) => normals(D, seed + more));
  return Float64Array.from(PLACES.circulant, (place, at) => a3[Math.floor(at / D)] * c[place] * a1[at % D]);
}

/**
 * The loss of dW = 0.
 * @param {Float64Array} target
 */
export const lossOfNothing = (target) => norm(target) ** 2 / (2 * D);

/**
 * Plain gradient descent on ||dW - target||^2 / (2 d), from a start at which the factors at these places are zero.
 * `norms` are those of each factor's gradient (times 1 / d), step by step.
 * @param {Form} form
 * @param {number[]} zeros
 * @param {Float64Array} target
 * @param {number} seed
 * @param {number} steps
 */
export function descend(form, zeros, target, seed = 31, steps = STEPS) {
  const { kinds, rate } = FORMS[form];
  const vectors = kinds.map((_, place) =>
    zeros.includes(place) ? new Float64Array(D) : normals(D, seed + place),
  );
  /** @type {number[]} */
  const losses = [],
    norms = kinds.map(() => /** @type {number[]} */ ([]));
  let size = 0;
  for (let step = 0; step <= steps; step++) {
    const { before, after, whole } = around(kinds.map((kind, place) => square(kind, vectors[place])));
    if (step === 0) size = norm(whole);
    const residual = whole.map((value, at) => (value - target[at]) / D);
    losses.push((D * residual.reduce((sum, value) => sum + value * value, 0)) / 2);
    kinds.forEach((kind, place) => {
      const inner = product(after[place], residual, "left"),
        gradient = gathered(kind, product(inner, before[place], "right"));
      norms[place].push(norm(gradient));
      gradient.forEach((value, k) => {
        vectors[place][k] -= rate * value;
      });
    });
  }
  return { losses, norms, size };
}
