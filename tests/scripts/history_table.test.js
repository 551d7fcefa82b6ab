// The rows of the history's table: which are found, and in which order.

import assert from "node:assert/strict";
import { test } from "node:test";
import { found, sorted } from "../../assets/js/train/history_table.js";

/** @param {Partial<import("../../assets/js/payloads.js").HistoryRun>} facts */
const run = (facts) =>
  /** @type {import("../../assets/js/payloads.js").HistoryRun} */ ({
    id: "a",
    name: "Tickets",
    label: "LoRA r = 8",
    method_title: "LoRA",
    data: "tickets.csv",
    state: "finished",
    tags: [],
    metric: null,
    ...facts,
  });

test("every word that is searched must occur, in whatever a row says", () => {
  const runs = [
    run({ id: "one", tags: ["baseline"] }),
    run({ id: "two", data: "mails.csv", method_title: "CDVFT" }),
  ];
  /** @type {(searched: string, filters?: Record<string, string>) => string[]} */
  const ids = (searched, filters = {}) => found(runs, searched, filters).map(({ id }) => id);
  assert.deepEqual(ids(""), ["one", "two"]);
  assert.deepEqual(ids("lora MAILS"), ["two"]);
  assert.deepEqual(ids("#baseline"), ["one"]);
  assert.deepEqual(ids("", { method: "CDVFT" }), ["two"]);
  assert.deepEqual(ids("", { tag: "baseline", data: "mails.csv" }), []);
});

test("rows are sorted by numbers as numbers, and those without one come last both ways", () => {
  const runs = [run({ id: "none" }), run({ id: "high", metric: 10 }), run({ id: "low", metric: 9 })];
  const column = { key: "metric", title: "Score", value: (/** @type {any} */ { metric }) => metric };
  const [up, down] = [false, true].map((falling) => sorted(runs, column, falling).map(({ id }) => id));
  assert.deepEqual(up, ["low", "high", "none"]);
  assert.deepEqual(down, ["high", "low", "none"]);
});
