// What the lesson on the start says of descent, by its own descent from a hundred starts.

import assert from "node:assert/strict";
import { test } from "node:test";

import { descend, lossOfNothing, targetChange } from "../../assets/js/learn/start_descent.js";
import { LOSSES, training } from "../../assets/js/learn/trial.js";

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

test("a start at zero has the loss of no change", () => {
  const target = targetChange(41);
  assert.ok(Math.abs(descend("lora", [1], target, 31, 0).losses[0] / lossOfNothing(target) - 1) < 1e-12);
});

test("no loss of a training that holds lies below the axis", () => {
  for (const rate of [0.01, 0.03, 0.05]) {
    const run = training({ m: 2, rate });
    while (run.step());
    assert.ok(Math.min(...run.losses) > LOSSES.low, `rate ${rate}: ${Math.min(...run.losses)}`);
  }
});
