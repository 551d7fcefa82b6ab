import assert from "node:assert/strict";
import { test } from "node:test";

import { accepted, Answers, Refusal } from "../../assets/js/factors/answers.js";

import { colorLimit, LayerData, sizeOf, symbol } from "../../assets/js/factors/data.js";
import { partsOfEntry } from "../../assets/js/factors/entries.js";
import { ordered } from "../../assets/js/factors/overview.js";
import { waveOf } from "../../assets/js/factors/waves.js";
import { blockKernel, pairSizes, sparseSpectrum, turned } from "../../assets/js/factors/updates.js";
import { BlockCirculant, Dense } from "../../assets/js/shared/circulant.js";
import { Piecewise } from "../../assets/js/shared/piecewise.js";
import { assertClose, entries, irregular } from "./numbers.js";

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
  return new LayerData({ ...FACTS, vectors, steps: RUN.steps, bytes: 1, trained: 12 }, FACTS, RUN);
}

test("a layer has its vectors at each snapshot, in the order in which they are applied", () => {
  const found = layer();
  assert.deepEqual(found.order, ["diagonal.0", "circulant.0", "diagonal.1"]);
  assertClose(found.at("diagonal.0", 1), irregular(12, 1).slice(4, 8), 1e-6);
  assert.equal(found.parameters, 12);
  assert.equal(found.block, null);
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

test("numbers of vectors come in the order of the vectors, beyond ten too", () => {
  const names = ["circulant.0", "circulant.10", "diagonal.0", "diagonal.1", "diagonal.10"];
  const inOrder = ["diagonal.0", "circulant.0", "diagonal.1", "diagonal.10", "circulant.10"];
  assert.deepEqual(Object.keys(ordered(Object.fromEntries(names.map((name) => [name, 1])))), inOrder);
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

test("nothing is asked again of a run that is looked at no more, nor what is refused for good", async () => {
  const questions = busyUntil(5);
  const asked = questions.answers.ask("weights", { run: "x" });
  questions.answers.clear();
  await assert.rejects(asked, Refusal);
  assert.equal(questions.asked, 1);
  const gone = new Answers({ weights: async () => ({ error: "No such run.", busy: false }) });
  await assert.rejects(gone.ask("weights", { run: "x" }), Refusal);
});

test("LoRA's pairs have the size of their products, and B's columns stand as rows", () => {
  const a = [3, 4, 0, 1],
    b = [1, 2, 0, 2, 0, 1]; // 3 x 2
  assert.deepEqual([...pairSizes(a, b, 2)], [5, 3]);
  const rows = turned(b, 2);
  assert.deepEqual([rows.rows, rows.cols, ...rows.values], [2, 3, 1, 0, 0, 2, 2, 1]);
});
