// Singular values of a small matrix, what they say, and the nearest matrix of a rank.

import { Dense } from "../shared/circulant.js";

/** @import { Matrix } from "../shared/circulant.js" */

/** @typedef {Pick<Matrix, "rows" | "cols" | "entry">} Entries */

/**
 * The matrix as sum over k of left[k] right[k]^T, both orthogonal, the right ones of length 1 and the left ones of the
 * singular values, in descending order: one-sided Jacobi rotations (Hestenes, 1958), fine up to about 64 x 64.
 * @param {Entries} matrix
 */
function decomposed(matrix) {
  const { rows, cols } = matrix;
  const left = Array.from({ length: cols }, (_, j) =>
    Float64Array.from({ length: rows }, (_, i) => matrix.entry(i, j)),
  );
  const right = Array.from({ length: cols }, (_, j) => {
    const column = new Float64Array(cols);
    column[j] = 1;
    return column;
  });
  /**
   * @param {Float64Array} a
   * @param {Float64Array} b
   * @param {number} c
   * @param {number} s
   */
  const turn = (a, b, c, s) => {
    for (let i = 0; i < a.length; i++) {
      const x = a[i];
      a[i] = c * x - s * b[i];
      b[i] = s * x + c * b[i];
    }
  };
  for (let sweep = 0; sweep < 30; sweep++) {
    let turned = false;
    for (let p = 0; p < cols - 1; p++)
      for (let q = p + 1; q < cols; q++) {
        const a = left[p],
          b = left[q];
        let aa = 0,
          bb = 0,
          ab = 0;
        for (let i = 0; i < rows; i++) {
          aa += a[i] * a[i];
          bb += b[i] * b[i];
          ab += a[i] * b[i];
        }
        if (Math.abs(ab) <= 1e-14 * Math.sqrt(aa * bb) || ab === 0) continue;
        turned = true;
        const zeta = (bb - aa) / (2 * ab),
          t = (zeta < 0 ? -1 : 1) / (Math.abs(zeta) + Math.hypot(1, zeta));
        const c = 1 / Math.hypot(1, t),
          s = c * t;
        turn(a, b, c, s);
        turn(right[p], right[q], c, s);
      }
    if (!turned) break;
  }
  return left
    .map((column, k) => ({ value: Math.hypot(...column), left: column, right: right[k] }))
    .sort((one, other) => other.value - one.value)
    .slice(0, Math.min(rows, cols));
}

/**
 * Singular values in descending order.
 * @param {Entries} matrix
 */
export const singularValues = (matrix) => Float64Array.from(decomposed(matrix), ({ value }) => value);

/**
 * The nearest matrix of rank r (Eckart and Young, 1936), its relative error, and the errors of every rank from 0.
 * @param {Entries} matrix
 * @param {number} r
 */
export function bestOfRank(matrix, r) {
  const { rows, cols } = matrix,
    found = decomposed(matrix),
    values = new Float32Array(rows * cols);
  for (const { left, right } of found.slice(0, r))
    for (let i = 0; i < rows; i++) for (let j = 0; j < cols; j++) values[i * cols + j] += left[i] * right[j];
  const size = Math.hypot(...found.map(({ value }) => value));
  const errors = Array.from(
    { length: found.length + 1 },
    (_, k) => Math.hypot(0, ...found.slice(k).map(({ value }) => value)) / size,
  );
  return { matrix: new Dense(values, rows, cols), error: errors[Math.min(r, found.length)], errors };
}

/**
 * How many singular values are not zero up to rounding.
 * @param {Float64Array} values
 */
export const rank = (values) => values.filter((value) => value > 1e-9 * values[0]).length;

/**
 * exp of the entropy of sigma / sum(sigma) (Roy and Vetterli, 2007): about how many directions carry weight.
 * @param {Float64Array} values
 */
export function effectiveRank(values) {
  const total = values.reduce((a, b) => a + b, 0);
  return total
    ? Math.exp(
        -values.reduce((sum, value) => sum + (value > 0 ? (value / total) * Math.log(value / total) : 0), 0),
      )
    : 0;
}
