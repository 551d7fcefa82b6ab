import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { denseTimes } from "../../assets/js/shared/circulant.js";
import { byFft, byRows } from "../../assets/js/learn/by_hand.js";
import {
  fromWaves,
  matrixOf,
  measure,
  members,
  onlyWaves,
  throughCirculant,
  waves,
  wavesLeft,
} from "../../assets/js/learn/machine.js";
import {
  ABOUT,
  decoded,
  encoded,
  fromWavesText,
  generic,
  wavesText,
} from "../../assets/js/learn/machine_states.js";
import { assertClose, entries, irregular } from "./numbers.js";

// Written by tests/cdvft_app/lessons/test_rank_machine.py: what cdvft computes.
const { x, cases } = JSON.parse(readFileSync(new URL("rank_machine.json", import.meta.url), "utf-8"));
const vectorsOf = ({ a1, c, a3 }) => ({
  a1: Float64Array.from(a1),
  c: Float64Array.from(c),
  a3: Float64Array.from(a3),
});
const ones = (n) => new Float64Array(n).fill(1);

for (const given of cases) {
  const vectors = vectorsOf(given);
  test(`matrix, singular values and rank are those of cdvft: ${given.name}`, () => {
    assertClose(entries(matrixOf(vectors)), given.dense, 1e-12);
    const { values, rank } = measure(vectors);
    assertClose(values, given.singular, 1e-10);
    assert.equal(rank, given.rank);
  });

  test(`waves are FFT(c), and c comes back from them: ${given.name}`, () => {
    const { size, angle } = waves(vectors.c);
    given.spectrum.forEach(([re, im], k) => {
      const turn = (Math.PI * angle[k]) / 180;
      assertClose([size[k] * Math.cos(turn), size[k] * Math.sin(turn)], [re, im], 1e-9, `wave ${k}`);
    });
    assertClose(fromWaves({ size, angle }), given.c, 1e-9);
  });

  test(`by hand, both ways give circ(c) x: ${given.name}`, () => {
    const rows = byRows(given.c, x),
      fft = byFft(given.c, x);
    assertClose(rows.y, given.times, 1e-12);
    assertClose(fft.y, given.times, 1e-12);
    assert.equal(rows.steps.length, 64);
    const many = (stage) => fft.steps.filter((step) => step.stage === stage).length;
    assert.deepEqual(["fft", "product", "inverse"].map(many), [2, 14, 2]);
  });
}

test("a negative angle moves a wave to the right, as the page says", () => {
  const shift = Float64Array.from([0, 1, 0, 0, 0, 0, 0, 0]); // every place goes to the next one
  const { angle } = waves(shift);
  assertClose(Array.from(angle).slice(1, 4), [-45, -90, -135], 1e-9);
});

test("numbers that are not zero are counted, FFT(c) in full", () => {
  const { a1, c, a3 } = vectorsOf(cases[0]);
  a1[2] = a3[0] = a3[7] = 0;
  const left = onlyWaves(c, [0, 2, 3]);
  assert.deepEqual(measure({ a1, c: left, a3 }).nonzero, { a1: 7, waves: 5, a3: 6 });
  assert.deepEqual(measure({ a1, c: new Float64Array(8), a3 }).nonzero, { a1: 7, waves: 0, a3: 6 });
  assert.equal(measure({ a1, c: new Float64Array(8), a3 }).rank, 0);
});

for (const left of [0, 1, 2, 3, 4, 5, 6, 7, 8])
  test(`with ${left} values of FFT(c) left and no zero on the diagonals the rank is ${left}`, () => {
    const { a1, c, a3 } = generic(),
      kept = wavesLeft(left);
    assert.equal(
      kept.reduce((sum, k) => sum + members(k), 0),
      left,
    );
    assert.equal(measure({ a1, c: onlyWaves(c, kept), a3 }).rank, left);
  });

test("every matrix of rank one is there: c all ones gives a₃ a₁ᵀ", () => {
  const a1 = irregular(8, 1),
    a3 = irregular(8, 2);
  const outer = Array.from({ length: 64 }, (_, at) => a3[at >> 3] * a1[at % 8]);
  assertClose(entries(matrixOf({ a1, c: ones(8), a3 })), outer, 1e-15);
});

for (const k of [0, 1, 2, 3, 4])
  test(`wave ${k} comes out of circ(c) as it is drawn: scaled and moved`, () => {
    const c = irregular(8, 3),
      circulant = matrixOf({ a1: ones(8), c, a3: ones(8) });
    for (const moment of [0, 0.7, 2.9]) {
      const wave = throughCirculant(c, k, moment),
        places = [0, 1, 2, 3, 4, 5, 6, 7];
      assertClose(places.map(wave.out), denseTimes(circulant, places.map(wave.in)), 1e-12);
    }
  });

test("each question is followed by the rank that is graded as right", () => {
  const ranks = Object.entries(ABOUT).map(([key, about]) => [key, measure(about()).rank]);
  assert.deepEqual(Object.fromEntries(ranks), {
    "rank-zero": 7,
    "rank-both": 7,
    "rank-c": 8,
    "rank-pair": 6,
    "rank-pair-zero": 6,
    "rank-full": 8,
  });
  assert.equal(measure(generic()).rank, 8);
});

test("an address keeps the vectors to two digits, and the rank", () => {
  const states = [...Object.values(ABOUT).map((about) => about()), { ...generic(), c: ones(8) }];
  for (const state of states) {
    const back = decoded(encoded(state));
    for (const name of ["a1", "c", "a3"]) assertClose(back[name], state[name], 0.02, name);
    assert.equal(measure(back).rank, measure(state).rank);
  }
});

test("an address that holds no vectors is refused", () => {
  const [a1, wave, a3] = encoded(generic());
  for (const texts of [
    ["", "", ""],
    [a1, wave, ""],
    [a1, "1.2", a3],
    ["x" + a1, wave, a3],
    [a1.replace("67", "999"), wave, a3],
  ])
    assert.equal(decoded(texts), null);
});

test("an address keeps a c by its waves, and none that is no such", () => {
  for (const c of [ones(8), irregular(8, 4), onlyWaves(irregular(8, 4), [0, 3])])
    assertClose(fromWavesText(wavesText(c)), c, 0.02);
  for (const text of ["", "1.2", wavesText(ones(8)) + "x", wavesText(ones(8)) + ".0"])
    assert.equal(fromWavesText(text), null);
});
