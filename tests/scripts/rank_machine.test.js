import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import {
  fromWaves,
  matrixOf,
  measure,
  members,
  onlyWaves,
  waves,
  wavesLeft,
} from "../../assets/js/learn/machine.js";
import { ABOUT, decoded, encoded, generic } from "../../assets/js/learn/machine_states.js";
import { assertClose, entries } from "./numbers.js";

// Written by tests/cdvft_app/lessons/test_rank_machine.py: what cdvft computes.
const { cases } = JSON.parse(readFileSync(new URL("rank_machine.json", import.meta.url), "utf-8"));
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
}

test("a negative angle moves a wave to the right, as the page says", () => {
  const shift = Float64Array.from([0, 1, 0, 0, 0, 0, 0, 0]); // every place goes to the next one
  const { angle } = waves(shift);
  assertClose(Array.from(angle).slice(1, 4), [-45, -90, -135], 1e-9);
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
