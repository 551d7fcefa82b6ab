import assert from "node:assert/strict";
import { test } from "node:test";

import { normals, uniform } from "../../assets/js/learn/random.js";
import { rounded, roundedProduct } from "../../assets/js/learn/rounding.js";
import { effectiveRank, rank, singularValues } from "../../assets/js/learn/singular.js";
import { circulantTimes, Dense } from "../../assets/js/shared/circulant.js";
import { smoothed } from "../../assets/js/shared/smoothing.js";
import { assertClose, irregular, product } from "./numbers.js";

const matrix = (rows, cols, values) => new Dense(Float64Array.from(values), rows, cols);

test("singular values of a diagonal are its entries' sizes, the largest first", () => {
  assertClose(singularValues(matrix(3, 3, [2, 0, 0, 0, -5, 0, 0, 0, 1])), [5, 2, 1], 1e-12);
});

test("a rotation has singular values of one", () => {
  const [cos, sin] = [Math.cos(0.7), Math.sin(0.7)];
  assertClose(singularValues(matrix(2, 2, [cos, -sin, sin, cos])), [1, 1], 1e-12);
});

test("the squares of the singular values add up to those of the entries; a transpose has the same", () => {
  const values = irregular(20),
    found = singularValues(matrix(5, 4, values));
  const transposed = Array.from({ length: 20 }, (_, at) => values[(at % 5) * 4 + Math.floor(at / 5)]);
  const squares = (list) => list.reduce((sum, value) => sum + value * value, 0);
  assert.ok(Math.abs(squares(found) - squares(values)) < 1e-12);
  assertClose(singularValues(matrix(4, 5, transposed)), found, 1e-7);
});

test("a product of a column and a row has rank one, a sum of two such rank two", () => {
  const [a, b] = [irregular(6, 1), irregular(6, 2)],
    [c, d] = [irregular(6, 3), irregular(6, 4)];
  const one = product(a, b, 6, 1, 6),
    other = product(c, d, 6, 1, 6),
    sum = one.map((value, k) => value + other[k]);
  assert.deepEqual(
    [one, sum].map((values) => rank(singularValues(matrix(6, 6, values)))),
    [1, 2],
  );
});

test("r equal singular values have the effective rank r, uneven ones less, none zero", () => {
  assert.ok(Math.abs(effectiveRank(Float64Array.of(3, 3, 3, 0, 0)) - 3) < 1e-12);
  const uneven = effectiveRank(Float64Array.of(9, 1, 1));
  assert.ok(uneven > 1 && uneven < 3);
  assert.equal(effectiveRank(Float64Array.of(0, 0)), 0);
});

test("random numbers are the same for the same seed, and others for another", () => {
  assert.deepEqual(normals(5, 3), normals(5, 3));
  assert.notDeepEqual(normals(5, 3), normals(5, 4));
});

test("uniform numbers fill 0 to 1 evenly", () => {
  const next = uniform(1),
    found = Array.from({ length: 20_000 }, next);
  const tenths = new Array(10).fill(0);
  for (const value of found) tenths[Math.floor(10 * value)] += 1; // one that is not in 0..1 makes a NaN
  for (const many of tenths) assert.ok(Math.abs(many - 2000) < 200, `${tenths}`);
});

test("normal numbers have mean 0 and variance 1, and two in three lie within one", () => {
  const found = normals(20_000, 2),
    mean = found.reduce((a, b) => a + b) / found.length,
    variance = found.reduce((sum, value) => sum + (value - mean) ** 2, 0) / found.length,
    within = found.filter((value) => Math.abs(value) < 1).length / found.length;
  assert.ok(Math.abs(mean) < 0.03 && Math.abs(variance - 1) < 0.05 && Math.abs(within - 0.6827) < 0.015);
});

test("rounding to b bits errs by half of the last one at most, and leaves what fits", () => {
  for (const value of irregular(50)) {
    const found = rounded(value, 7),
      unit = 2 ** (Math.floor(Math.log2(Math.abs(value))) - 7);
    assert.ok(Math.abs(found - value) <= unit / 2);
    assert.ok(Number.isInteger(found / unit));
  }
  assert.equal(rounded(1.5, 1), 1.5);
  assert.equal(rounded(0, 3), 0);
  assert.equal(rounded(-Infinity, 3), -Infinity);
});

test("a product in few bits errs, in many it does not, and the error halves with each bit", () => {
  const c = irregular(32, 1),
    x = irregular(32, 2),
    truth = circulantTimes(c, x);
  const error = (bits) => Math.hypot(...roundedProduct(c, x, bits).map((value, k) => value - truth[k]));
  assert.ok(error(50) < 1e-12);
  assert.ok(error(7) > 1e-3 && error(7) < 1);
  const ratio = error(8) / error(16);
  assert.ok(ratio > 100 && ratio < 700, `8 bits less: ${ratio} times the error`);
});

test("a running average of one value is that value, from the first on", () => {
  assertClose(smoothed([4, 4, 4], 0.9), [4, 4, 4], 1e-12);
});

test("the second value counts as much more than the first as it is newer", () => {
  // weights 0.5 and 1 of the two
  assertClose(smoothed([0, 3], 0.5), [0, 2], 1e-12);
});

test("without smoothing every value stays, and a gap stays a gap", () => {
  assert.deepEqual(smoothed([1, null, 3], 0), [1, null, 3]);
  assert.equal(smoothed([1, null, 3], 0.5)[1], null);
});
