import assert from "node:assert/strict";
import { test } from "node:test";

import { accepted, Answers, Refusal } from "../../assets/js/factors/answers.js";
import { changes, meaning, shiftSentence } from "../../assets/js/factors/changes.js";
import { answerText, effectSentence, owner, pairSentence } from "../../assets/js/factors/effects.js";
import { colorLimit, LayerData, sizeOf, symbol } from "../../assets/js/factors/data.js";
import { partsOfEntry } from "../../assets/js/factors/entries.js";
import { ordered } from "../../assets/js/factors/overview.js";
import { difference, stages } from "../../assets/js/factors/stages.js";
import { waveOf } from "../../assets/js/factors/waves.js";
import { blockKernel, pairSizes, sparseSpectrum, turned } from "../../assets/js/factors/updates.js";
import { BlockCirculant, Dense } from "../../assets/js/shared/circulant.js";
import { Piecewise } from "../../assets/js/shared/piecewise.js";
import { assertClose, entries, irregular, product } from "./numbers.js";

const base64 = (values, Kind = Float32Array) => Buffer.from(Kind.from(values).buffer).toString("base64");
const stack = (shape, values) => ({ shape, type: "float32", data: base64(values) });

test("FourierFT's update is the real part of an inverse transform, also of an odd number of columns", () => {
  const [rows, cols, spectrum] = [5, 3, [2, -1, 0.5]],
    us = [1, 0, rows - 1],
    vs = [2, 0, 1];
  const expected = Array.from({ length: rows * cols }, (_, at) => {
    const i = Math.floor(at / cols),
      j = at % cols;
    const wave = (n) => spectrum[n] * Math.cos(2 * Math.PI * ((us[n] * i) / rows + (vs[n] * j) / cols));
    return (3 * (wave(0) + wave(1) + wave(2))) / (rows * cols);
  });
  const built = new Piecewise(sparseSpectrum(spectrum, [...us, ...vs], rows, cols, 3)).result;
  assertClose(entries(built), expected, 1e-6);
});

test("C3A's blocks have the kernel as first row, each next row a place further right", () => {
  const kernel = [1, 2, 3, 10, 20, 30],
    matrix = blockKernel(kernel, 3, 3, 6, 0.5);
  assert.deepEqual(
    entries(matrix).map((value) => 2 * value),
    [1, 2, 3, 10, 20, 30, 3, 1, 2, 30, 10, 20, 2, 3, 1, 20, 30, 10],
  );
});

const RUN = { id: "run", method: "cdvft", label: "CDVFT", kind: "text", steps: [0, 5, 20] };
const FACTS = { module: "encoder.0.query", depth: 0, kind: "query", d_out: 4, d_in: 4, scale: 0.5 };

/** A layer of 4 × 4 with two diagonals at three snapshots, the first of which has a zero output diagonal. */
function layer() {
  const [a1, c, a3] = [1, 2, 3].map((start) => irregular(12, start));
  a3.fill(0, 0, 4);
  const vectors = {
    "circulant.0": stack([1, 1, 4], c),
    "diagonal.0": stack([4], a1),
    "diagonal.1": stack([4], a3),
  };
  return new LayerData({ ...FACTS, vectors, steps: RUN.steps, bytes: 1, trained: 12, texts: [] }, FACTS, RUN);
}

test("a layer has its vectors at each snapshot, in the order in which they are applied", () => {
  const found = layer();
  assert.deepEqual(found.order, ["diagonal.0", "circulant.0", "diagonal.1"]);
  assertClose(found.at("diagonal.0", 1), irregular(12, 1).slice(4, 8), 1e-6);
  assert.equal(found.parameters, 12);
  assert.equal(found.block, null);
});

test("what was kept only once stands at every snapshot", () => {
  const vectors = {
    indices: { shape: [2, 2], type: "int32", data: base64([0, 1, 2, 3], Int32Array) },
    spectrum: stack([2], [1, 2, 3, 4, 5, 6]),
  };
  const run = { ...RUN, method: "fourierft" };
  const answer = { ...FACTS, vectors, steps: RUN.steps, bytes: 1, trained: 2, texts: [] };
  const found = new LayerData(answer, FACTS, run);
  assert.deepEqual([...found.at("indices", 2)], [0, 1, 2, 3]);
  assert.deepEqual([...found.at("spectrum", 2)], [5, 6]);
  assert.equal(found.parameters, 2);
});

test("a change that the server computed is drawn as it came, and moves straight to the next snapshot", () => {
  const facts = { ...FACTS, d_out: 2, d_in: 3 };
  const vectors = { update: stack([2, 3], [0, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6]) };
  const answer = { ...facts, vectors, steps: [0, 5], bytes: 1, trained: 7, texts: [] };
  const found = new LayerData(answer, facts, { ...RUN, method: "vera" });
  assert.deepEqual(entries(found.update(1)), [1, 2, 3, 4, 5, 6]);
  assert.deepEqual(entries(found.update(0.5)), [0.5, 1, 1.5, 2, 2.5, 3]);
  assert.equal(found.parameters, 7);
});

test("between two snapshots each number lies on the line from one to the other", () => {
  const found = layer(),
    [before, after] = [1, 2].map((t) => Array.from(found.at("diagonal.0", t)));
  assertClose(
    found.at("diagonal.0", 1.25),
    before.map((value, k) => 0.75 * value + 0.25 * after[k]),
    1e-6,
  );
  assert.equal(found.stepAt(1.25), 9); // from 5 to 20
  assert.equal(found.stepAt(2), 20);
});

test("the update between two snapshots is that of the vectors there", () => {
  const found = layer(),
    [a1, c, a3] = found.order.map((name) => Array.from(found.at(name, 1.5)));
  const expected = Array.from({ length: 16 }, (_, at) => {
    const i = at >> 2,
      j = at % 4;
    return 0.5 * a3[i] * c[(i - j + 4) % 4] * a1[j];
  });
  assertClose(entries(found.update(1.5)), expected, 1e-6);
});

/** Layers whose entries all have to be computed: of LoRA's factors, of a spectrum, of a product with m = 3. */
const COSTLY = {
  lora: { A: stack([2, 4], irregular(24, 1)), B: stack([4, 2], irregular(24, 2)) },
  fourierft: {
    indices: { shape: [2, 2], type: "int32", data: base64([0, 1, 2, 3], Int32Array) },
    spectrum: stack([2], irregular(6, 3)),
  },
  cdvft: {
    ...Object.fromEntries([0, 1, 2].map((k) => [`diagonal.${k}`, stack([4], irregular(12, 4 + k))])),
    ...Object.fromEntries([0, 1].map((k) => [`circulant.${k}`, stack([1, 1, 4], irregular(12, 8 + k))])),
  },
};

/** So many of the numbers that `irregular` gave: those of a snapshot. */
const snapshot = (values, many, at) => Array.from(values).slice(many * at, many * (at + 1));
const byPlace = (entry) => Array.from({ length: 16 }, (_, at) => entry(at >> 2, at % 4));

/** Their changes at a snapshot, by definition and unscaled. */
const DEFINED = {
  lora: (at) => product(snapshot(irregular(24, 2), 8, at), snapshot(irregular(24, 1), 8, at), 4, 2, 4),
  fourierft(at) {
    const [one, other] = snapshot(irregular(6, 3), 2, at);
    const wave = (u, v, i, j) => Math.cos((2 * Math.PI * (u * i + v * j)) / 4);
    return byPlace((i, j) => (one * wave(0, 2, i, j) + other * wave(1, 3, i, j)) / 16);
  },
  cdvft(at) {
    const [a1, a3, a5] = [4, 5, 6].map((start) => snapshot(irregular(12, start), 4, at));
    const [c2, c4] = [8, 9].map((start) => snapshot(irregular(12, start), 4, at));
    const first = byPlace((i, j) => a3[i] * c2[(i - j + 4) % 4] * a1[j]),
      second = byPlace((i, j) => a5[i] * c4[(i - j + 4) % 4]);
    return product(second, first, 4, 4, 4);
  },
};
for (const [method, vectors] of Object.entries(COSTLY))
  test(`a costly update of ${method} is built in pieces, and is what it is at once and by its definition`, () => {
    const made = () =>
      new LayerData({ ...FACTS, vectors, steps: RUN.steps, bytes: 1, trained: 12, texts: [] }, FACTS, {
        ...RUN,
        method,
      });
    for (const t of [1, 0.5]) {
      const found = made();
      let pieces = 1;
      while (!found.ready(t, 0)) pieces += 1;
      assert.ok(pieces > 2, `${pieces} pieces`);
      assert.deepEqual(entries(found.update(t)), entries(made().update(t)));
      const [before, after] = [Math.floor(t), Math.ceil(t)].map(DEFINED[method]); // half way between the two
      const expected = before.map((value, place) => (FACTS.scale * (value + after[place])) / 2);
      assertClose(entries(found.update(t)), expected, 1e-6);
    }
  });

test("an entry's parts are the column's number, the row's, and the circulant's of their difference", () => {
  assert.deepEqual(partsOfEntry(layer(), 0, 1, 3), {
    "diagonal.0": 3,
    "circulant.0": 2,
    "diagonal.1": 1,
  });
});

for (const [q1, q2, p] of [
  [1, 1, 6],
  [1, 1, 5],
  [2, 1, 4],
])
  test(`the waves of all frequencies add up to the numbers of c, ${q1} × ${q2} blocks of ${p}`, () => {
    const c = Float64Array.from(irregular(q1 * q2 * p, 4)),
      circulant = new BlockCirculant(c, q1, q2, p, q1 * p, q2 * p),
      each = (p >> 1) + 1;
    const sum = new Float64Array(c.length);
    for (let k = 0; k < q1 * q2 * each; k++)
      waveOf(circulant, k).forEach((value, j) => (sum[j] += Number.isNaN(value) ? 0 : value));
    assertClose(sum, c, 1e-6);
    const drawn = Array.from(waveOf(circulant, each - 1)).filter((value) => !Number.isNaN(value));
    assert.equal(drawn.length, p);
  });

test("the nearest snapshot, the earlier of two as near", () => {
  const found = [0, 3, 12, 13, 900].map((step) => layer().nearest(step));
  assert.deepEqual(found, [0, 1, 1, 2, 2]);
});

test("vectors are called a₁, c₂, a₃", () => {
  assert.deepEqual([0, 1, 2, 11].map(symbol), ["a₁", "c₂", "a₃", "c₁₂"]);
});

test("a matrix' size is the root mean square of its entries, and its largest", () => {
  const matrix = new Dense(Float32Array.of(3, -4, 0, 0), 2, 2);
  assert.deepEqual(sizeOf(matrix), { rms: 2.5, largest: 4 });
  assert.equal(colorLimit(matrix), 4); // three times the first would be more
});

test("one huge entry among many does not make the others pale", () => {
  const values = new Float32Array(100).fill(1);
  values[0] = 100;
  const limit = colorLimit(new Dense(values, 10, 10));
  assert.ok(limit < 100 && limit > 10);
});

test("the stages lead from x to alpha times the change of x, as entry by entry", () => {
  const x = irregular(4, 9),
    found = stages(layer(), 2, x, "token"),
    last = found.at(-2); // before the answer, which the server has
  const titles = found.map(({ title }) => title);
  assert.deepEqual(titles, ["x", "a₁ ⊙ x", "FFT", "× FFT(c₂)", "IFFT", "a₃ ⊙ y", "× α", "check", "answer"]);
  for (const { input, factor, numbers } of found.filter((stage) => stage.factor?.numbers))
    numbers.forEach((value, k) => assert.equal(value, input.numbers[k] * factor.numbers[k]));
  const turned = found.find(({ title }) => title === "× FFT(c₂)");
  assertClose(
    turned.spectrum.modulus,
    turned.input.spectrum.modulus.map((value, k) => value * turned.factor.spectrum.modulus[k]),
    1e-9,
  );
  assert.ok(
    found.slice(1, -2).every(({ input }) => input),
    "each stage says what comes in",
  );
  const expected = product(entries(layer().update(2)), x, 4, 4, 1);
  assertClose(last.numbers, expected, 1e-6);
  assertClose(last.before, expected, 1e-6);
});

test("LoRA's stages go through A and B, and end in the same as the whole matrix", () => {
  const facts = { ...FACTS, d_out: 3, d_in: 4, scale: 2 },
    a = irregular(8, 1),
    b = irregular(6, 2),
    x = irregular(4, 3);
  const vectors = { A: stack([2, 4], a), B: stack([3, 2], b) };
  const answer = { ...facts, vectors, steps: [5], bytes: 1, trained: 14, texts: [] };
  const found = stages(new LayerData(answer, facts, { ...RUN, method: "lora" }), 0, x, "token");
  const titles = found.map(({ title }) => title);
  assert.deepEqual(titles, ["x", "A x", "B z", "check", "answer"]);
  const inner = product(a, x, 2, 4, 1),
    expected = product(b, inner, 3, 2, 1).map((value) => 2 * value);
  assertClose(found[1].numbers, inner, 1e-6);
  assertClose(found[2].numbers, expected, 1e-6);
  assertClose(found[3].numbers, expected, 1e-6);
});

test("a difference is the largest of all places, beside the largest value", () => {
  assert.deepEqual(difference(Float64Array.of(1, -8), Float64Array.of(1.5, -8)), { error: 0.5, largest: 8 });
});

test("numbers of vectors come in the order of the vectors, beyond ten too", () => {
  const names = ["circulant.0", "circulant.10", "diagonal.0", "diagonal.1", "diagonal.10"];
  const inOrder = ["diagonal.0", "circulant.0", "diagonal.1", "diagonal.10", "circulant.10"];
  assert.deepEqual(Object.keys(ordered(Object.fromEntries(names.map((name) => [name, 1])))), inOrder);
});

const changed = (depth, kind, norm, ratio, rank) => ({ ...FACTS, depth, kind, norm, ratio, rank });

test("in a sentence: where the change is largest and smallest, the medians, and its rank", () => {
  const layers = [
    changed(0, "query", 1, 0.01, 3.2),
    changed(1, "query", 2, 0.02, 3.4),
    changed(0, "value", 8, 0.08, 2),
    changed(1, "value", 6, 0.06, 3),
    changed(2, "value", 3, 0.03, 3),
  ];
  assert.equal(
    changes(RUN, layers, true),
    "After 20 steps CDVFT changed the value weights of layer 0 most, by 8 % of their norm, " +
      "8 times as much as the query weights of layer 0, which changed least. " +
      "The median change of a layer is 6 % for its value weights and 1.50 % for its query weights. " +
      "The changes have an effective rank of 2 to 3.4 out of 4; LoRA with r = 8 reaches 8 at most.",
  );
});

test("while nothing has changed that is said, and nothing of sizes and ranks", () => {
  const still = [changed(0, "query", 0, 0, 1), changed(0, "value", 0, 0, 1)];
  const said = (steps, ofNorm) => changes({ ...RUN, steps }, still, ofNorm);
  assert.equal(said([0, 1], true), "Nothing has changed yet, after 1 step of CDVFT.");
  assert.equal(said([0], false), "Nothing has changed yet, after 0 steps of CDVFT.");
  assert.equal(meaning([0, 0], { label: "LoRA", ratios: [0.1, 0.3] }), "");
});

test("one step is one step", () => {
  assert.match(
    changes({ ...RUN, steps: [0, 1] }, [changed(0, "query", 1, 0.01, null)], true),
    /^After 1 step CDVFT changed/,
  );
});

test("the size of a change in words, beside the other run of the race", () => {
  assert.equal(
    meaning([0.5, 0.3, 0.4], { label: "LoRA r = 8", ratios: [0.1, 0.3] }),
    "In the median layer ‖ΔW‖ is 40 % of ‖W‖ (LoRA r = 8 of the same race: 20 %), Frobenius norms. How far that " +
      "moves what the layer puts out depends on its inputs.",
  );
  assert.match(meaning([0.5], null), /is 50 % of ‖W‖, Frobenius/);
  assert.equal(meaning([0.5, null], null), "", "nothing is said while a norm is unknown");
  assert.match(meaning([0.5], { label: "LoRA", ratios: [null] }), /is 50 % of ‖W‖, Frobenius/);
});

test("without the norms of the weights the change's own is said", () => {
  assert.match(
    changes(RUN, [changed(null, "head", 0.5, null, null)], false),
    /changed the head weights most, by a norm of 0\.5\.$/,
  );
});

test("a refusal is an error that says whether to ask again", () => {
  assert.deepEqual(accepted({ runs: [] }), { runs: [] });
  assert.throws(
    () => accepted({ error: "Somebody else computes.", busy: true }),
    (error) => error instanceof Refusal && !error.final && error.message === "Somebody else computes.",
  );
  assert.throws(
    () => accepted({ error: "There is no such run.", busy: false }),
    (error) => error.final,
  );
});

/** What comes of it, while the time between two questions is over at once. */
async function atOnce(timers, asked) {
  timers.enable({ apis: ["setTimeout"] });
  let isOpen = true;
  const outcome = asked().finally(() => (isOpen = false));
  outcome.catch(() => {});
  for (; isOpen; timers.tick(2000)) await new Promise(setImmediate);
  timers.reset();
  return outcome;
}

const busyUntil = (time) => {
  const questions = { asked: 0 };
  const weights = async ({ run }) => {
    questions.asked++;
    return questions.asked < time ? { error: "busy", busy: true } : { weights: { [run]: questions.asked } };
  };
  return Object.assign(questions, { answers: new Answers({ weights }) });
};

test("a busy server is asked three times, and what it answered no more", async ({ mock }) => {
  const { answers } = busyUntil(3);
  const ask = (run) => answers.ask("weights", { run });
  assert.deepEqual(await atOnce(mock.timers, () => ask("x")), { weights: { x: 3 } });
  assert.deepEqual(await ask("x"), { weights: { x: 3 } });
  assert.deepEqual(await ask("y"), { weights: { y: 4 } });
});

test("a server that is busy for longer has refused", async ({ mock }) => {
  const questions = busyUntil(5);
  const ask = () => questions.answers.ask("weights", { run: "x" });
  await assert.rejects(atOnce(mock.timers, ask), Refusal);
  assert.equal(questions.asked, 3);
  assert.deepEqual(await atOnce(mock.timers, ask), { weights: { x: 5 } });
});

test("an answer is given that was on its way when another run was chosen", async () => {
  const answers = new Answers({ weights: async () => ({ weights: {} }) });
  const asked = answers.ask("weights", { run: "x" });
  answers.clear();
  assert.deepEqual(await asked, { weights: {} });
});

test("nothing is asked again of a run that is looked at no more, nor what is refused for good", async () => {
  const questions = busyUntil(5);
  const asked = questions.answers.ask("weights", { run: "x" });
  questions.answers.clear();
  await assert.rejects(asked, Refusal);
  assert.equal(questions.asked, 1);
  const gone = new Answers({ weights: async () => ({ error: "No such run.", busy: false }) });
  await assert.rejects(gone.ask("weights", { run: "x" }), Refusal);
});

test("a direction is one run's alone where the other does less than a quarter of that along it", () => {
  const labels = ["CDVFT", "LoRA r = 8"];
  assert.equal(owner({ shares: [0.4, 0.05], cosine: 0.9 }, labels), "CDVFT alone");
  assert.equal(owner({ shares: [0.1, 0.6], cosine: 0.9 }, labels), "LoRA r = 8 alone");
  assert.equal(owner({ shares: [0.4, 0.3], cosine: 0.9 }, labels), "shared");
  assert.equal(owner({ shares: [0.4, 0.3], cosine: -0.9 }, labels), "shared, in opposite senses");
  assert.equal(owner({ shares: [0.4], cosine: null }, ["CDVFT"]), "");
});

test("what a layer's change does is said in one number, its spread, and what of it is one shift", () => {
  const said = effectSentence({ ratio: [0.48, 0.55, 0.64] }, 0.53, {
    tokens: 500,
    unit: "tokens",
    label: "CDVFT",
  });
  assert.match(said, /^On 500 held-out tokens CDVFT moves what this layer gives by 55\.?0? % /);
  assert.match(said, /48\.?0? % to 64\.?0? %\)\. 53\.?0? % of its energy is one shift common to all of them/);
  assert.equal(effectSentence(undefined, 0, { tokens: 0, unit: "tokens", label: "" }), "");
});

test("two runs are compared by their updates and by what these do", () => {
  const found = {
    updates: 0.0349,
    effects: 0.4628,
    centred: 0.1239,
    alone: [0.75, 0.58],
    common: [0.53, 0.89],
  };
  const said = pairSentence(found, ["CDVFT", "LoRA"]);
  assert.match(
    said,
    /^CDVFT and LoRA: the updates have cosine 0\.035, what they do to real inputs 0\.463, and 0\.124 without/,
  );
  assert.match(
    said,
    /75\.?0? % of CDVFT's effect and 58\.?0? % of LoRA's lie outside the other's eight leading/,
  );
  assert.equal(pairSentence({ ...found, updates: null, effects: null }, ["CDVFT"]), "");
});

test("an answer is read by run and by the set of directions that is off", () => {
  const example = {
    labels: ["positive", "negative"],
    answers: [
      [
        [0, 0.9],
        [1, 0.6],
      ],
      [
        [0, 0.8],
        [0, 0.7],
      ],
    ],
  };
  assert.equal(answerText(example, 0, 1).text, "negative");
  assert.match(answerText(example, 1, 1).shown, /^positive 70/);
  assert.equal(answerText({ labels: ["go 2"], answers: [[[0, null]]] }, 0, 0).shown, "go 2");
});

test("what one shift a layer does is said beside the whole change and none, in rows or as a loss", () => {
  const [trained, off, shifts] = [74, 65, 70].map((right) => ({ right, loss: 0.5, lost: 0, gained: 0 }));
  assert.match(
    shiftSentence({ rows: 96, trained, off, shifts }),
    /70 of 96 .* as trained 74, with everything off 65\.$/,
  );
  const none = { right: null, loss: 0.25, lost: 0, gained: 0 };
  assert.match(shiftSentence({ rows: 96, trained: none, off: none, shifts: none }), /the loss is 0\.25;/);
});

test("LoRA's pairs have the size of their products, and B's columns stand as rows", () => {
  const a = [3, 4, 0, 1],
    b = [1, 2, 0, 2, 0, 1]; // 3 x 2
  assert.deepEqual([...pairSizes(a, b, 2)], [5, 3]);
  const rows = turned(b, 2);
  assert.deepEqual([rows.rows, rows.cols, ...rows.values], [2, 3, 1, 0, 0, 2, 2, 1]);
});
