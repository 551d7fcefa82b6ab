import assert from "node:assert/strict";
import { test } from "node:test";

import { answersAt, snapshots } from "../../assets/js/train/answer_strip.js";
import { fieldOf, isWrong, lines } from "../../assets/js/shared/tokens.js";
import { fieldNames, pace } from "../../assets/js/use/write.js";
import { RunModel } from "../../assets/js/train/run_model.js";

/** @import { Run } from "../../assets/js/train/run_model.js" */

/** @param {...number} steps */
const run = (...steps) =>
  /** @type {Run} */ (
    /** @type {unknown} */ ({
      answers: steps.map((step) => ({ step, prompts: ["p"], answers: [`after ${step}`] })),
    })
  );

test("snapshots of all runs are in order, each once", () => {
  assert.deepEqual(snapshots([run(0, 12, 24), run(0, 6)]), [0, 6, 12, 24]);
  assert.deepEqual(snapshots([/** @type {Run} */ (/** @type {unknown} */ ({}))]), []);
});

test("a run is shown as it was at its latest snapshot until then", () => {
  assert.deepEqual(answersAt(run(0, 12, 24), 20)?.answers, ["after 12"]);
  assert.equal(answersAt(run(12), 6), undefined);
});

test("what was answered after a step that is computed anew is void", () => {
  const model = new RunModel(["a"]);
  /** @param {number[]} steps @param {number[]} answered */
  const news = (steps, answered) =>
    model.take(
      /** @type {import("../../assets/js/payloads.js").RunsPoll} */ (
        /** @type {unknown} */ ({
          runs: [
            {
              id: "a",
              steps: steps.map((step) => [step, step, 1]),
              evaluations: [],
              notes: [],
              answers: run(...answered).answers,
            },
          ],
          missing: [],
        })
      ),
    );
  news([1, 2, 3], [0, 3]);
  news([3, 4], [4]);
  const kept = model.shown[0].answers?.map(({ step }) => step);
  assert.deepEqual(kept, [0, 4]);
});

test("an answer is told line by line, each piece with its probability", () => {
  assert.deepEqual(
    lines("a: 1\nb: 2…", [
      ["a: 1\nb", 0.5],
      [": 2", 1],
    ]),
    [
      [["a: 1", 0.5]],
      [
        ["b", 0.5],
        [": 2", 1],
        ["…", null],
      ],
    ],
  );
  assert.deepEqual(lines("a: 1\nb", []), [[["a: 1", null]], [["b", null]]]);
});

test("the field of a line is what stands before its colon", () => {
  assert.equal(
    fieldOf([
      ["Ci", 1],
      ["ty: Ames: 1", 1],
    ]),
    "city",
  );
  assert.equal(fieldOf([["Sure, here it is", 1]]), "");
});

test("a line is marked by its field, or because all of the answer is wrong", () => {
  /** @type {[string, number][]} */
  const line = [["city: Ames", 1]];
  assert.equal(isWrong(line, ["zip"]), false);
  assert.equal(isWrong(line, ["zip", "city"]), true);
  assert.equal(isWrong([["SELECT t WHERE at = '10:00'", 1]], [""]), true);
  assert.equal(isWrong([["Sure, here it is", 1]], []), false);
});

test("a column says how many tokens, and how fast", () => {
  assert.equal(pace({ tokens: 0, seconds: 0, ended: false }), "…");
  assert.equal(pace({ tokens: 1, seconds: 0.5, ended: false }), "1 token, 2.0 a second");
  assert.equal(pace({ tokens: 40, seconds: 2, ended: true }), "40 tokens, 20 a second");
  assert.equal(pace({ tokens: 0, seconds: 0, ended: true }), "");
});

test("the fields of all columns are named once", () => {
  assert.deepEqual(fieldNames([{ fields: { city: "a" } }, { fields: { zip: "1", city: "b" } }]), [
    "city",
    "zip",
  ]);
});
