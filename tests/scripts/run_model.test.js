import assert from "node:assert/strict";
import { test } from "node:test";

import {
  isActive,
  isFinal,
  progress,
  raceSecondsLeft,
  RunModel,
  statusText,
} from "../../assets/js/train/run_model.js";
import { command } from "../../assets/js/train/copy_command.js";

/** What the server sends of a running run, with steps of two seconds each. */
const news = (id, steps, more = {}) => ({
  id,
  label: id.toUpperCase(),
  group: "race",
  state: "running",
  step: steps.at(-1) ?? 0,
  total_steps: 20,
  steps: steps.map((step) => [step, 2 * step, 1 / step]),
  evaluations: [],
  notes: [],
  cursor: 10,
  more: false,
  ...more,
});
const answer = (runs, missing = []) => ({ runs, missing });
const run = (id, last, more = {}) =>
  news(
    id,
    Array.from({ length: last }, (_, k) => 1 + k),
    more,
  );
const queued = (id, more = {}) => news(id, [], { state: "queued", ...more });
const rows = (found) => found.map(([step, , value]) => [step, value]);

test("RunModel: rows add up, and facts are the latest", () => {
  const model = new RunModel(["a"]);
  assert.equal(model.take(answer([news("a", [1, 2], { cursor: 5 })])), true);
  assert.equal(model.take(answer([news("a", [3], { cursor: 7, state: "stopping" })])), true);
  const [shown] = model.shown;
  assert.deepEqual(
    shown.steps.map(([step]) => step),
    [1, 2, 3],
  );
  assert.equal(shown.state, "stopping");
  assert.deepEqual(model.cursors, { a: 7 });
});

test("RunModel: repeated steps replace later rows", () => {
  const model = new RunModel(["a"]);
  const evaluations = [2, 4].map((step) => [step, 2 * step, step / 8]);
  model.take(answer([news("a", [1, 2, 3, 4], { evaluations })]));
  model.take(answer([{ ...news("a", [3]), steps: [[3, 6, 0.25]], evaluations: [[4, 8, 0.7]] }]));
  const [shown] = model.shown;
  assert.deepEqual(
    [1, 0.5, 0.25],
    rows(shown.steps).map(([, value]) => value),
  );
  assert.deepEqual([[2, 0.25], [4, 0.7]], rows(shown.evaluations)); // prettier-ignore
});

test("RunModel: deleted runs are dropped", () => {
  const model = new RunModel(["a", "b"]);
  assert.deepEqual(model.cursors, { a: 0, b: 0 });
  model.take(answer([news("a", [1])]));
  assert.equal(model.take(answer([], ["b"])), true);
  assert.deepEqual(Object.keys(model.cursors), ["a"]);
});

test("RunModel: settled when every run is final and no row is left", () => {
  const model = new RunModel(["a"]);
  for (const [more, settled] of [
    [{}, false],
    [{ state: "finished", more: true }, false],
    [{ state: "finished" }, true],
  ]) {
    model.take(answer([run("a", 2, more)]));
    assert.equal(model.settled, settled);
  }
});

test("isActive and isFinal: every state is of one kind", () => {
  const kind = (state) => [isActive({ state }), isFinal({ state })].map(Number).join("");
  assert.equal(kind("queued"), "00");
  for (const state of ["preparing", "running", "stopping"]) assert.equal(kind(state), "10");
  for (const state of ["finished", "stopped", "failed", "interrupted"]) assert.equal(kind(state), "01");
});

const forecast = { seconds: { value: 40 }, whole_seconds: { value: 60, low: 30, high: 90 } };
const slower = run("a", 100, { total_steps: 110 });
slower.steps = slower.steps.map(([step], k) => [step, k < 50 ? step : 50 + 5 * (step - 50), 1]);
const sideBySide = [run("a", 10), run("b", 4, { total_steps: 22 })]; // 20 and 36 seconds left

for (const [what, runs, value] of [
  ["the latest pace", [slower], 50],
  ["too few steps", [run("a", 2)], undefined],
  ["preparing", [run("a", 0, { state: "preparing" })], undefined],
  ["unknown total", [run("a", 10, { total_steps: null })], undefined],
  ["no runs", [], undefined],
  ["queued runs without estimates", [run("a", 10), queued("b"), queued("c")], 20 + 2 * 40],
  ["side by side", sideBySide, 36],
  ["side by side and queued", [...sideBySide, queued("c"), queued("d")], 36 + 40],
  ["resumed while preparing", [run("a", 10, { state: "preparing", forecast })], 20],
  [
    "a resumed run in the queue",
    [run("a", 10, { forecast }), run("b", 10, { state: "queued", forecast })],
    40,
  ],
  ["finished runs", [run("a", 20, { state: "finished" }), run("b", 10)], 20],
])
  test(`raceSecondsLeft: ${what}`, () => assert.equal(raceSecondsLeft(runs)?.value, value));

test("raceSecondsLeft: the range narrows with what is measured", () => {
  const promised = () => ({
    seconds: { value: 40, low: 10, high: 160 },
    whole_seconds: { value: 50, low: 12, high: 200 },
  });
  const second = queued("b", { forecast: promised() });
  const before = raceSecondsLeft([news("a", [], { state: "preparing", forecast: promised() }), second]);
  assert.deepEqual(before, { low: 24, value: 100, high: 400 });
  const begun = raceSecondsLeft([run("a", 10, { forecast: promised() }), second]);
  assert.equal(begun.value, 70);
  assert.ok(begun.low > before.low && begun.high < 100);
});

test("progress: the mean over runs, and 1 for those that ended", () => {
  const ended = [run("a", 3, { state: "failed" }), run("b", 10)];
  assert.equal(progress([...ended, queued("c"), run("d", 5, { total_steps: null })]), (1 + 0.5) / 4);
  assert.equal(progress([]), 0);
});

for (const [runs, shown] of [
  [[run("a", 10)], /^A .*10 .*20 .*0:20/],
  [
    [news("a", [], { state: "preparing", preparing: { text: "Reading MiniLM", fraction: 0.404 } })],
    /MiniLM.*40/,
  ],
  [[queued("a", { place: 3 })], /^A .*3/],
  [sideBySide, /^A .*0:36/],
  [[run("a", 20, { state: "finished" }), run("b", 2, { state: "failed" })], /^1 .*1 /],
])
  test(`statusText: ${shown}`, () => assert.match(statusText(runs), shown));

test("command: options repeat and values are quoted", () => {
  const words = command({
    recipe: "sentiment",
    lora_r: 8,
    target_modules: ["query", "value"],
    model: "it's mine",
  });
  const options = ["--recipe sentiment", "--lora-r 8", "--target-modules query", "--target-modules value"];
  assert.deepEqual(words, ["python -m cdvft_app train", ...options, "--model 'it'\\''s mine'"]);
});
