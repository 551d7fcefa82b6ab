import assert from "node:assert/strict";
import { test } from "node:test";

import { effectiveRank, rank, singularValues } from "../../assets/js/learn/singular.js";
import { Dense } from "../../assets/js/shared/circulant.js";

import { assertClose, irregular, product } from "./numbers.js";

const matrix = (rows, cols, values) => new Dense(Float64Array.from(values), rows, cols);

test("singular values of a diagonal are its entries' sizes, the largest first", () => {
  assertClose(singularValues(matrix(3, 3, [2, 0, 0, 0, -5, 0, 0, 0, 1])), [5, 2, 1], 1e-12);
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
