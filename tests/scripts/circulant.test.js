import assert from "node:assert/strict";
import { test } from "node:test";

import {
  BlockCirculant,
  CirculantDiagonal,
  circulantTimes,
  Dense,
  denseTimes,
} from "../../assets/js/shared/circulant.js";
import { assertClose, entries, irregular, product } from "./numbers.js";

const diagonal = (values) =>
  Array.from({ length: values.length ** 2 }, (_, at) => {
    const i = Math.floor(at / values.length);
    return i === at % values.length ? values[i] : 0;
  });

for (const n of [1, 2, 5, 12, 37])
  test(`the product with a circulant of ${n} is the sum of its definition`, () => {
    const c = irregular(n, 1),
      x = irregular(n, 2);
    const expected = Array.from({ length: n }, (_, i) =>
      x.reduce((sum, value, j) => sum + c[(((i - j) % n) + n) % n] * value, 0),
    );
    assertClose(circulantTimes(c, x), expected, 1e-12 * n);
  });

// 2 × 3 blocks of 4 × 4, cut to 7 × 10: the last row and the last two columns are padding.
const blocks = () => new BlockCirculant(irregular(24, 5), 2, 3, 4, 7, 10);

test("a matrix of blocks holds one circulant in each", () => {
  const matrix = blocks();
  for (let i = 0; i < 7; i++)
    for (let j = 0; j < 10; j++) {
      const number = Math.floor(i / 4) * 3 + Math.floor(j / 4),
        c = irregular(24, 5).slice(4 * number, 4 * number + 4);
      assert.equal(matrix.entry(i, j), c[((i % 4) - (j % 4) + 4) % 4]);
      assert.deepEqual(matrix.block(Math.floor(i / 4), Math.floor(j / 4)), c);
    }
});

test("blocks multiply as their entries do", () => {
  const matrix = blocks(),
    x = irregular(10, 6);
  const expected = product(entries(matrix), x, 7, 10, 1);
  assertClose(matrix.times(x), expected, 1e-12);
  assertClose(denseTimes(matrix, x), expected, 1e-12);
});

const sampled = (matrix, is, js) => {
  const out = new Float32Array(is.length * js.length);
  matrix.sample(Int32Array.from(is), Int32Array.from(js), out);
  return out;
};

const MATRICES = {
  blocks: blocks(),
  "diagonals around blocks": new CirculantDiagonal([irregular(10, 1), irregular(7, 2)], [blocks()], 1.5),
  "three diagonals": new CirculantDiagonal(
    [1, 2, 3].map((start) => irregular(6, start)),
    [4, 5].map((start) => new BlockCirculant(irregular(6, start), 1, 1, 6, 6, 6)),
  ),
  dense: new Dense(Float32Array.from(irregular(12)), 3, 4),
};

for (const [name, matrix] of Object.entries(MATRICES))
  test(`entries sampled at once are the entries: ${name}`, () => {
    const is = [0, 2, matrix.rows - 1],
      js = [matrix.cols - 1, 1];
    const expected = is.flatMap((i) => js.map((j) => matrix.entry(i, j)));
    assertClose(sampled(matrix, is, js), expected, 1e-6);
  });

for (const m of [2, 3, 4])
  test(`with ${m} diagonals it is the product of its ${2 * m - 1} factors, right to left`, () => {
    const n = 5,
      diagonals = Array.from({ length: m }, (_, k) => irregular(n, 10 + k)),
      circulants = Array.from(
        { length: m - 1 },
        (_, k) => new BlockCirculant(irregular(n, 20 + k), 1, 1, n, n, n),
      );
    let expected = diagonal(diagonals[0]);
    circulants.forEach((circulant, k) => {
      expected = product(entries(circulant), expected, n, n, n);
      expected = product(diagonal(diagonals[k + 1]), expected, n, n, n);
    });
    expected = expected.map((value) => 2 * value);
    const matrix = new CirculantDiagonal(diagonals, circulants, 2),
      x = irregular(n, 30);
    assert.equal(matrix.m, m);
    assertClose(entries(matrix), expected, 1e-6);
    assertClose(matrix.times(x), product(expected, x, n, n, 1), 1e-12);
  });
