// What the lessons fit in the browser: members of a form are found, and no fit is worse than a simpler one.

import assert from "node:assert/strict";
import { test } from "node:test";

import {
  nearestBlocks,
  nearestWaves,
  relativeError,
  scaledBlocks,
  TASKS,
} from "../../assets/js/learn/fits.js";
import { bestOfRank } from "../../assets/js/learn/singular.js";
import { BlockCirculant, CirculantDiagonal, Dense } from "../../assets/js/shared/circulant.js";
import { irregular } from "./numbers.js";

const blocksOf = (rows, cols, p, seed) => {
  const q1 = Math.ceil(rows / p),
    q2 = Math.ceil(cols / p);
  return new BlockCirculant(irregular(q1 * q2 * p, seed), q1, q2, p, rows, cols);
};

for (const [rows, cols, p] of [
  [12, 8, 4],
  [10, 7, 4],
  [9, 9, 9],
])
  test(`blocks of ${p} in ${rows} x ${cols} are found, alone and between diagonals`, () => {
    const blocks = blocksOf(rows, cols, p, 3);
    assert.ok(relativeError(blocks, nearestBlocks(blocks, p)) < 1e-12);
    const positive = (n, seed) => irregular(n, seed).map((value) => 1.5 + value); // near which the search finds them
    const scaled = new CirculantDiagonal([positive(cols, 4), positive(rows, 5)], [blocks]);
    assert.ok(relativeError(scaled, nearestBlocks(scaled, p)) > 0.1);
    assert.ok(relativeError(scaled, scaledBlocks(scaled, p)) < 1e-4);
  });

test("no fit between diagonals is worse than blocks alone, or than rank one", () => {
  for (const seed of [1, 2, 3]) {
    const target = new Dense(Float32Array.from(irregular(12 * 9, seed)), 12, 9);
    for (const p of [3, 4, 12]) {
      const error = relativeError(target, scaledBlocks(target, p));
      assert.ok(error <= relativeError(target, nearestBlocks(target, p)) + 1e-9);
      assert.ok(error <= bestOfRank(target, 1).error + 1e-6);
    }
  }
});

test("each of the lesson's changes is fitted by the method whose form it has, with 96 numbers", () => {
  assert.ok(relativeError(TASKS.scaled.matrix, scaledBlocks(TASKS.scaled.matrix, 32)) < 1e-3);
  assert.ok(relativeError(TASKS.circulant.matrix, scaledBlocks(TASKS.circulant.matrix, 32)) < 1e-9);
  assert.ok(relativeError(TASKS.circulant.matrix, nearestBlocks(TASKS.circulant.matrix, 32)) < 1e-12);
  assert.ok(bestOfRank(TASKS.low.matrix, 2).error < 1e-6 && bestOfRank(TASKS.low.matrix, 1).error > 0.1);
  const wave = TASKS.wave.matrix;
  assert.ok(relativeError(wave, nearestWaves(wave, [3 * 32 + 5])) < 1e-6);
  assert.ok(relativeError(wave, nearestWaves(wave, [29 * 32 + 27, 3 * 32 + 5])) < 1e-6); // the same, twice
  assert.ok(relativeError(wave, nearestWaves(wave, [3 * 32 + 6])) > 0.9);
});
