// What the lesson on the start says of descent, by its own descent from a hundred starts.

import assert from "node:assert/strict";
import { test } from "node:test";

import { descend, targetChange } from "../../assets/js/learn/start_descent.js";

/** @param {number} steps @param {number} trials */
function reached(steps, trials) {
  let found = 0;
  for (let trial = 0; trial < trials; trial++) {
    const { losses } = descend("m2", [2], targetChange(1000 + 10 * trial), 5000 + 10 * trial, steps);
    if (losses[steps] < 1e-3 * losses[0]) found++;
  }
  return found;
}

test("from few starts descent finds the wanted change in 160 steps, from more of them later", () => {
  const soon = reached(160, 100);
  assert.ok(soon < 10, `${soon} of 100`);
  assert.ok(reached(2000, 100) > 2 * soon + 5);
});
