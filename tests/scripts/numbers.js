// What the tests of the scripts compare with: numbers that are the same on every run, and closeness.

import assert from "node:assert/strict";

/** n numbers between -1 and 1 that follow no pattern. */
export function irregular(n, start = 1) {
  let state = start * 7919 + 17;
  return Float64Array.from({ length: n }, () => {
    state = (state * 48271) % 2147483647;
    return (2 * state) / 2147483647 - 1;
  });
}

/** Every number within `error` of the one expected at its place. */
export function assertClose(found, expected, error = 1e-9, what = "") {
  assert.equal(found.length, expected.length, `${what}: as many numbers`);
  for (let k = 0; k < expected.length; k++)
    assert.ok(
      Math.abs(found[k] - expected[k]) <= error,
      `${what}: ${found[k]} at ${k}, expected ${expected[k]}`,
    );
}

/** All entries of a matrix, row by row. */
export const entries = (matrix) =>
  Array.from({ length: matrix.rows * matrix.cols }, (_, at) =>
    matrix.entry(Math.floor(at / matrix.cols), at % matrix.cols),
  );

/** The product of a matrix of rows × inner with one of inner × cols, both row by row. */
export const product = (one, other, rows, inner, cols) =>
  Array.from({ length: rows * cols }, (_, at) => {
    let sum = 0;
    for (let k = 0; k < inner; k++)
      sum += one[Math.floor(at / cols) * inner + k] * other[k * cols + (at % cols)];
    return sum;
  });
