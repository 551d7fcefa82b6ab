// Plain gradient descent on the three vectors of a small layer, with a wanted change of the same form.

import { normals } from "./random.js";

export const D = 12,
  STEPS = 160;
const RATE = 0.02;
/** @type {(keyof Factors)[]} in the order in which they start at zero */
export const NAMES = ["a3", "c", "a1"];

/** @typedef {{a1: Float64Array, c: Float64Array, a3: Float64Array}} Factors */

/** @param {Float64Array} vector */
export const norm = (vector) => Math.hypot(...vector);
/**
 * @param {Factors} factors
 * @param {number} i
 * @param {number} j
 */
const change = ({ a1, c, a3 }, i, j) => a3[i] * c[(i - j + D) % D] * a1[j];

/**
 * Loss ||dW - target||^2 / (2 d) and its gradients, summed entry by entry.
 * @param {Factors} factors
 * @param {Float64Array} target
 */
function lossAndGradients(factors, target) {
  const { a1, c, a3 } = factors,
    gradients = { a1: new Float64Array(D), c: new Float64Array(D), a3: new Float64Array(D) };
  let loss = 0;
  for (let i = 0; i < D; i++)
    for (let j = 0; j < D; j++) {
      const k = (i - j + D) % D,
        residual = (a3[i] * c[k] * a1[j] - target[i * D + j]) / D;
      loss += (residual * residual * D) / 2;
      gradients.a3[i] += residual * c[k] * a1[j];
      gradients.c[k] += residual * a3[i] * a1[j];
      gradients.a1[j] += residual * a3[i] * c[k];
    }
  return { loss, gradients };
}

/**
 * A change of the layer that is itself a product of three random vectors.
 * @param {number} seed
 */
export function targetChange(seed) {
  const factors = { a1: normals(D, seed), c: normals(D, seed + 1), a3: normals(D, seed + 2) };
  return Float64Array.from({ length: D * D }, (_, at) => change(factors, Math.floor(at / D), at % D));
}

/**
 * Plain gradient descent from a start with so many factors at zero.
 * @param {number} zeros
 * @param {Float64Array} target
 * @param {number} seed
 * @param {number} steps
 */
export function descend(zeros, target, seed = 31, steps = STEPS) {
  const factors = { a1: normals(D, seed), c: normals(D, seed + 1), a3: normals(D, seed + 2) };
  for (const name of NAMES.slice(0, zeros)) factors[name].fill(0);
  let size = 0;
  for (let i = 0; i < D; i++) for (let j = 0; j < D; j++) size += change(factors, i, j) ** 2;
  /** @type {number[]} */
  const losses = [];
  /** @type {Record<keyof Factors, number[]>} */
  const norms = { a1: [], c: [], a3: [] };
  for (let step = 0; step <= steps; step++) {
    const { loss, gradients } = lossAndGradients(factors, target);
    losses.push(loss);
    for (const name of NAMES) {
      norms[name].push(norm(gradients[name]));
      for (let k = 0; k < D; k++) factors[name][k] -= (RATE * D * gradients[name][k]) / 2;
    }
  }
  return { losses, norms, size: Math.sqrt(size) };
}
