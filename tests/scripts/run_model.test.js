import assert from "node:assert/strict";
import { test } from "node:test";

import { outcome } from "../../assets/js/train/run_cards.js";
import {
  curveOf,
  isActive,
  isFinal,
  lossTitle,
  progress,
  raceSecondsLeft,
  RunModel,
  sharedMetric,
  shownRace,
  statusText,
  titleOf,
  titleOfAll,
} from "../../assets/js/train/run_model.js";
import { rangeText } from "../../assets/js/train/predicted.js";
import { command } from "../../assets/js/train/reproduce.js";

/** What the server says of a run that trains, with so many steps of two seconds each. */
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
const upTo = (last, first = 1) => Array.from({ length: last - first + 1 }, (_, k) => first + k);
const answer = (runs, missing = []) => ({ runs, missing });
const run = (id, last, more = {}) => news(id, upTo(last), more);
const numbersOf = (rows) => rows.map(([step]) => step);

test("rows add up from one answer to the next, and facts are the latest", () => {
  const model = new RunModel(["a"]);
  assert.equal(model.take(answer([news("a", [1, 2], { cursor: 5 })])), true);
  assert.equal(model.take(answer([news("a", [3], { cursor: 7, state: "stopping" })])), true);
  const [shown] = model.shown;
  assert.deepEqual(numbersOf(shown.steps), [1, 2, 3]);
  assert.equal(shown.state, "stopping");
  assert.deepEqual(model.cursors, { a: 7 });
});

test("an answer without rows changes no chart", () => {
  const model = new RunModel(["a"]);
  model.take(answer([news("a", [1])]));
  assert.equal(model.take(answer([news("a", [])])), false);
});

test("after a resume the steps that come again replace those of before, and so do evaluations after them", () => {
  const model = new RunModel(["a"]);
  const evaluated = [2, 4].map((step) => [step, 2 * step, step / 8]);
  model.take(answer([news("a", [1, 2, 3, 4], { evaluations: evaluated })]));
  model.take(answer([{ ...news("a", [3]), steps: [[3, 6, 0.25]], evaluations: [[4, 8, 0.7]] }]));
  const [{ steps, evaluations }] = model.shown;
  const told = (rows) => rows.map(([step, , value]) => `${value} at ${step}`);
  assert.deepEqual(told(steps), ["1 at 1", "0.5 at 2", "0.25 at 3"]);
  assert.deepEqual(told(evaluations), ["0.25 at 2", "0.7 at 4"]);
});

test("a deleted run is gone, one that was never told of is asked for from the start", () => {
  const model = new RunModel(["a", "b"]);
  assert.deepEqual(model.cursors, { a: 0, b: 0 });
  model.take(answer([news("a", [1])]));
  assert.equal(model.take(answer([], ["b"])), true);
  assert.deepEqual(Object.keys(model.cursors), ["a"]);
});

test("it is settled once every run is over and no row waits", () => {
  const model = new RunModel(["a"]);
  model.take(answer([run("a", 2)]));
  assert.equal(model.settled, false);
  model.take(answer([run("a", 2, { state: "finished", more: true })]));
  assert.equal(model.settled, false);
  model.take(answer([run("a", 2, { state: "finished" })]));
  assert.equal(model.settled, true);
});

test("a run that is laid over another race is called by its time or its name", () => {
  assert.equal(titleOf({ label: "CDVFT", overlay: "25 Nov 10:18" }), "CDVFT, 25 Nov 10:18");
  assert.equal(titleOf({ label: "CDVFT", overlay: null }), "CDVFT");
});

test("notes are kept", () => {
  const model = new RunModel(["a"]);
  for (const text of ["one", "two"])
    model.take(answer([news("a", [], { notes: [{ text, level: "info" }] })]));
  const kept = model.shown[0].notes.map(({ text }) => text);
  assert.deepEqual(kept, ["one", "two"]);
});

test("each state is waiting, at work or over", () => {
  const kind = (state) => [isActive({ state }), isFinal({ state })].map(Number).join("");
  assert.equal(kind("queued"), "00");
  for (const state of ["preparing", "running", "stopping"]) assert.equal(kind(state), "10");
  for (const state of ["finished", "stopped", "failed", "interrupted"]) assert.equal(kind(state), "01");
});

test("a pace that has changed counts as it is now", () => {
  const slow = run("a", 100, { total_steps: 110 });
  slow.steps = slow.steps.map(([step], k) => [step, k < 50 ? step : 50 + 5 * (step - 50), 1]);
  assert.equal(raceSecondsLeft([slow]).value, 50);
});

test("nobody knows how long it takes before the first steps, or while nothing trains, without a promise", () => {
  assert.equal(raceSecondsLeft([run("a", 2)]), null);
  assert.equal(raceSecondsLeft([run("a", 0, { state: "preparing" })]), null);
  assert.equal(raceSecondsLeft([run("a", 10, { total_steps: null })]), null);
  assert.equal(raceSecondsLeft([]), null);
});

test("who waits takes as long as the one that trains, where nothing was promised", () => {
  // 20 left of the first, which takes 40 in all; 40 for each of the two that wait
  const waiting = ["b", "c"].map((id) => news(id, [], { state: "queued" }));
  const { low, value, high } = raceSecondsLeft([run("a", 10), ...waiting]);
  assert.equal(value, 100);
  assert.ok(low > 60 && low < 100 && high > 100 && high < 140, `${low} to ${high}`);
});

test("runs that train side by side take as long as the last of them, and so do those that wait", () => {
  // 20 and 36 left; the two that wait take 40 each, one after 20 and one after 36
  const training = [run("a", 10), run("b", 4, { total_steps: 22 })];
  const waiting = ["c", "d"].map((id) => news(id, [], { state: "queued" }));
  assert.equal(raceSecondsLeft(training).value, 36);
  assert.equal(raceSecondsLeft([...training, ...waiting]).value, 36 + 40);
  assert.equal(statusText(training), "A running, 1 beside it · step 10 of 20 · 0:36 left for all 2");
});

test("promises of those that wait are stretched as this one's came out", () => {
  const promise = (value, whole) => ({ seconds: { value }, whole_seconds: whole && { value: whole } });
  const first = run("a", 10, { forecast: promise(20) }); // takes 40: twice as long
  const waiting = [
    news("b", [], { state: "queued", forecast: promise(30) }),
    news("c", [], { state: "queued", forecast: promise(30, 35) }),
  ];
  assert.equal(raceSecondsLeft([first, ...waiting]).value, 20 + 60 + 70);
});

test("evaluations still to come take their time, stretched as training came out", () => {
  const evaluating = { times: 5, seconds: 3, last_seconds: 7 };
  const first = run("a", 10, { forecast: { seconds: { value: 20 }, evaluating } }); // takes 40: twice as long
  assert.equal(raceSecondsLeft([first]).value, 20 + 2 * (4 * 3 + 7));
  first.evaluations = [4, 8].map((step) => [step, 2 * step, 1, 0.5]);
  assert.equal(raceSecondsLeft([first]).value, 20 + 2 * (2 * 3 + 7));
});

test("a run that goes on takes what is left at its own pace, not what was promised of all of it", () => {
  const forecast = { seconds: { value: 40 }, whole_seconds: { value: 60, low: 30, high: 90 } };
  const again = { value: 20, low: 20, high: 20 };
  assert.deepEqual(raceSecondsLeft([run("a", 10, { state: "preparing", forecast })]), again);
  const queued = run("b", 10, { state: "queued", forecast });
  assert.equal(raceSecondsLeft([run("a", 10, { forecast }), queued]).value, 40);
  assert.equal(raceSecondsLeft([news("a", [], { state: "preparing", forecast }), queued]).value, 80);
});

test("runs that are over add no time", () => {
  assert.equal(raceSecondsLeft([run("a", 20, { state: "finished" }), run("b", 10)]).value, 20);
});

test("the range of a whole race narrows, from what was promised to what has been seen here", () => {
  const promise = () => ({
    seconds: { value: 40, low: 10, high: 160 },
    whole_seconds: { value: 50, low: 12, high: 200 },
  });
  const second = news("b", [], { state: "queued", forecast: promise() });
  const preparing = news("a", [], { state: "preparing", forecast: promise() });
  const before = raceSecondsLeft([preparing, second]);
  assert.deepEqual(before, { low: 24, value: 100, high: 400 });
  const begun = raceSecondsLeft([run("a", 10, { forecast: promise() }), second]); // takes 40, as promised
  assert.equal(begun.value, 70);
  assert.ok(begun.low > before.low && begun.high < 100);
  const alone = raceSecondsLeft([run("a", 20, { state: "finished" }), run("b", 10, { forecast: promise() })]);
  assert.equal(alone.low, alone.high);
});

test("a race is as far as its runs on average; one that is over is done, whatever its steps", () => {
  const [over, half] = [run("a", 3, { state: "failed" }), run("b", 10)];
  const without = [news("c", [], { state: "queued" }), run("d", 5, { total_steps: null })];
  assert.equal(progress([over, half, ...without]), (1 + 0.5 + 0 + 0) / 4);
  assert.equal(progress([]), 0);
});

test("what is laid over a race is not of it", () => {
  const [a, b, c] = [run("a", 1), run("b", 1), run("c", 1, { group: "other" })];
  assert.deepEqual(shownRace([a, b, c]), [a, b]);
});

/** 10 of 100 steps of a second each are done. */
const begun = (more = {}) =>
  run("a", 10, { total_steps: 100, steps: upTo(10).map((step) => [step, step, 0.5]), ...more });

test("a race with two to come, or with promises, says how long all of it takes, more or less", () => {
  const waits = (id, more = {}) => news(id, [], { state: "queued", ...more });
  const promised = (value, whole) => ({
    forecast: { seconds: { value }, whole_seconds: { value: whole } },
  });
  const said = (...runs) => statusText(shownRace(runs));
  assert.equal(said(begun()), "A running · step 10 of 100 · 1:30 left");
  // 1:30, and twice 1:40, 1.4 times more or less
  const three = "A running · step 10 of 100 · 3:53 to 6:10 left for all 3 · next: B";
  assert.equal(said(begun(), waits("b"), waits("c")), three);
  // A, promised 50 s, will have trained for 100 s: B's 65 s become 130.
  const pair = "A running · step 10 of 100 · 3:03 to 4:32 left for all 2 · next: B";
  assert.equal(said(begun(promised(50, 52)), waits("b", promised(60, 65))), pair);
});

test("a stopped race laid over another changes nothing of it", () => {
  const race = [begun(), news("b", [], { state: "queued" })];
  const over = ["stopped", "queued"].map((state) => run("b", 3, { state, group: "other", total_steps: 10 }));
  const told = (runs) => [statusText(shownRace(runs)), progress(shownRace(runs))];
  assert.deepEqual(told([...race, ...over]), told(race));
  assert.equal(told(race)[1], 0.05);
  assert.deepEqual(told([run("a", 20, { state: "finished" }), ...over]), ["Finished", 1]);
});

for (const [what, runs, text] of [
  ["that trains", [run("a", 10)], "A running · step 10 of 20 · 0:20 left"],
  ["at its last evaluation", [run("a", 20)], "A running · step 20 of 20 · evaluating"],
  [
    "that stops",
    [run("a", 10, { state: "stopping" })],
    "A stopping · step 10 of 20 · a last evaluation follows",
  ],
  [
    "that loads",
    [news("a", [], { state: "preparing", preparing: { text: "Reading MiniLM", fraction: 0.404 } })],
    "A preparing · Reading MiniLM, 40 %",
  ],
  [
    "that starts",
    [news("a", [], { state: "preparing", preparing: { text: "Starting", fraction: null } })],
    "A preparing · Starting",
  ],
  [
    "that is next",
    [news("a", [], { state: "queued", place: 1 })],
    "A queued · starts as soon as the worker is free",
  ],
  ["that waits", [news("a", [], { state: "queued", place: 3 })], "A queued · place 3 in the queue"],
  ["that is over", [run("a", 20, { state: "stopped" })], "Stopped"],
  ["all done", ["a", "b"].map((id) => run(id, 20, { state: "finished" })), "All 2 finished"],
  [
    "that ended in two ways",
    [run("a", 20, { state: "finished" }), run("b", 2, { state: "failed" })],
    "1 finished · 1 failed",
  ],
])
  test(`of a race ${what} the page says: ${text}`, () => assert.equal(statusText(runs), text));

const scored = (method, metric, trainable_parameters) =>
  run(method, 20, { state: "finished", method, metric, metric_name: "accuracy", trainable_parameters });

test("a race that is over shows the verdict as it came, and doubts a gap too wide for methods", () => {
  const near = [scored("cdvft", 0.85, 100), scored("lora", 0.83, 500)];
  const wide = [near[0], scored("lora", 0.175, 500)];
  assert.deepEqual(outcome(near, ["CDVFT is ahead."]), ["CDVFT is ahead."]);
  assert.match(outcome(wide, ["CDVFT is ahead."])[1], /has hardly learned yet/);
  assert.deepEqual(outcome(wide, []), [], "not before the judge has spoken");
  const laid = { ...wide[1], overlay: "a race of yesterday" };
  assert.equal(
    outcome([near[0], laid], ["CDVFT is ahead."]).length,
    1,
    "what is laid over counts for nothing",
  );
  const head = { ...wide[1], method: "head" };
  assert.equal(outcome([near[0], head], ["CDVFT is ahead."]).length, 1, "a head alone is expected to lag");
});

test("the curve is of the evaluations that choose the step that is kept, where there are some", () => {
  const [chosen, of] = [true, false].map((chooses) => [8, 4].map((step) => [step, 16, step / 10, chooses]));
  assert.deepEqual(curveOf({ evaluations: [...chosen, ...of] }), chosen);
  assert.deepEqual(curveOf({ evaluations: of }), of);
});

test("an evaluation of an earlier step, which is kept, leaves those after it", () => {
  const model = new RunModel(["a"]);
  model.take(answer([{ ...run("a", 8), evaluations: [[4, 8, 0.9, true], [8, 16, 0.5, true]] }])); // prettier-ignore
  model.take(answer([{ ...news("a", []), evaluations: [[4, 16, 0.7, false]] }]));
  assert.deepEqual(numbersOf(model.shown[0].evaluations), [4, 8, 4]);
});

test("scores of several metrics stand under no name of one of them, and each race is named or counted", () => {
  const one = { metric_title: "Accuracy", group: "a", name: "Films" };
  const other = { metric_title: "Pearson", group: "b", name: "Stars" };
  assert.equal(sharedMetric([one, one]), "Accuracy");
  assert.equal(sharedMetric([one, other]), null);
  assert.equal(titleOfAll([one, one]), "Films");
  assert.equal(titleOfAll([one, one, other]), "Films and Stars");
  assert.equal(titleOfAll([one, other, { ...other, group: "c" }]), "Films and 2 other races");
});

test("a command repeats what an option lists, and quotes what a shell would split", () => {
  const [target_modules, model] = [["query", "value"], "it's mine"];
  const words = command({ recipe: "sentiment", lora_r: 8, target_modules, model });
  assert.deepEqual(words, [
    "python -m cdvft_app train",
    "--recipe sentiment",
    "--lora-r 8",
    "--target-modules query",
    "--target-modules value",
    "--model 'it'\\''s mine'",
  ]);
});

test("the loss of numbers has its unit, and one of several kinds none", () => {
  const classes = { metric_name: "accuracy", settings: {} };
  const scaled = { metric_name: "pearson", settings: { data: { label_deviation: 88 } } };
  const plain = { metric_name: "pearson", settings: { data: {} } };
  assert.equal(lossTitle([classes]), "Loss");
  assert.equal(lossTitle([scaled, scaled]), "Loss (squared error, in standard deviations)");
  assert.equal(lossTitle([plain]), "Loss (squared error)");
  assert.equal(lossTitle([plain, scaled]), "Loss");
});

test("both ends of a range of seconds have their own unit, and minutes are named once", () => {
  assert.equal(rangeText({ low: 40, high: 90 }, "seconds"), "40.0 s to 90.0 s");
  assert.equal(rangeText({ low: 40, high: 130 }, "seconds"), "0:40 to 2:10 min");
  assert.equal(rangeText({ low: 3000, high: 4200 }, "seconds"), "50:00 min to 1:10:00 h");
  assert.equal(rangeText({ low: 4000, high: 8000 }, "seconds"), "1:06:40 h to 2:13:20 h");
});
