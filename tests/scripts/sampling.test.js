// Which entries of a matrix are drawn, where there are more than pixels.

import assert from "node:assert/strict";
import { test } from "node:test";
import { every } from "../../assets/js/shared/sampling.js";

test("all entries, every third, and those from a place on", () => {
  assert.deepEqual([...every(1, 0, 4)], [0, 1, 2, 3]);
  assert.deepEqual([...every(3, 0, 8)], [0, 3, 6]);
  assert.deepEqual([...every(2, 10, 5)], [10, 12, 14]);
});

test("768 entries on 296 pixels: one a pixel, in order, none beyond the last", () => {
  const places = every(768 / 296, 0, 768);
  assert.equal(places.length, 296);
  assert.ok(places.every((place, k) => place < 768 && (k === 0 || place > places[k - 1])));
});
