// The lesson on four shapes spends numbers as its methods can: sizes that PEFT takes, and never above the budget.

import assert from "node:assert/strict";
import { test } from "node:test";

import {
  BUDGETS,
  D,
  c3aBlock,
  blockNumbers,
  cdvftBlock,
  cdvftNumbers,
} from "../../assets/js/learn/shape_budgets.js";

test("C3A's blocks divide both sides, as PEFT asks, and spend the most that fits", () => {
  for (const budget of BUDGETS) {
    const b = c3aBlock(budget);
    assert.equal(D % b, 0, `b = ${b}`);
    assert.ok(blockNumbers(b) <= budget && (b === 1 || blockNumbers(b / 2) > budget), `${budget}: b = ${b}`);
  }
  assert.equal(blockNumbers(c3aBlock(1024)), 1024);
});

test("CDVFT stays within the budget, and says why of 1,024 it spends 576", () => {
  for (const budget of BUDGETS) assert.ok(cdvftNumbers(cdvftBlock(budget)) <= budget);
  assert.deepEqual([cdvftNumbers(2), cdvftNumbers(1), cdvftBlock(1024)], [576, 1088, 2]);
  assert.equal(cdvftNumbers(cdvftBlock(96)), 96);
});
