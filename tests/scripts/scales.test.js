import assert from "node:assert/strict";
import { test } from "node:test";

import { decades, ends, scale, thinned, ticks } from "../../assets/js/shared/scales.js";
import { assertClose } from "./numbers.js";

for (const [low, high] of [
  [0, 1],
  [0, 128],
  [-0.4, 1.4],
  [0.62, 0.69],
  [-3e-5, 7e-5],
  [1000, 12345],
])
  test(`numbers beside an axis from ${low} to ${high} are round, even and inside`, () => {
    const found = ticks(low, high),
      step = found[1] - found[0];
    assert.ok(found.length >= 2 && found.length <= 9);
    const mantissa = step / 10 ** Math.floor(Math.log10(step * (1 + 1e-9)));
    assert.ok(
      [1, 2, 5].some((round) => Math.abs(mantissa - round) < 1e-6),
      `steps of ${step}`,
    );
    found.forEach((value, k) => {
      assert.ok(value >= low - 1e-9 && value <= high + step * 1e-6);
      if (k) assert.ok(Math.abs(value - found[k - 1] - step) < 1e-9 * Math.max(1, Math.abs(value)));
    });
  });

test("over many decades only the powers of ten are written", () => {
  assert.deepEqual(decades(1, 1000), [1, 10, 100, 1000]);
});

test("over few decades their doubles and fives are, too", () => {
  assertClose(decades(1, 20), [1, 2, 5, 10, 20], 1e-12);
  assertClose(decades(30, 130), [50, 100], 1e-12);
  assertClose(decades(60, 130), [60, 80, 100, 120], 1e-12); // one alone would give no scale
});

for (const [what, values, options, expected, room] of [
  ["where its numbers end, and what is no number does not count", [3, NaN, -1, Infinity, 2], {}, [-1, 3]],
  ["at a given low end, also zero", [3, 5], { low: 0 }, [0, 5]],
  ["at a given high end", [3, 5], { high: 100 }, [3, 100]],
  [
    "with room where it is logarithmic, without what is not above zero",
    [0, -5, 2, 8],
    { log: true },
    [1, 16],
    2,
  ],
  ["above a given end where there are zeros alone", [0, 0], { low: 0 }, [0, 1]],
  ["around one number", [4], {}, [2, 6]],
  ["around one negative number", [-4], {}, [-6, -2]],
  ["around zero alone", [0], {}, [-1, 1]],
  ["around zero where there is no number", [], {}, [-1, 1]],
  ["somewhere where there is no logarithm", [], { log: true }, [0.1, 1]],
])
  test(`an axis ends ${what}`, () =>
    assert.deepEqual(
      ends(() => values, options, room),
      expected,
    ));

test("a linear scale puts the ends at the ends and the middle in the middle", () => {
  const y = scale([10, 20], false, 200, 0);
  assert.deepEqual([10, 15, 20, 25].map(y), [200, 100, 0, -100]);
});

for (const [values, most, left] of [
  [[0.2, 0.4, 0.6], 3, [0.2, 0.4, 0.6]],
  [[-0.4, -0.2, 0, 0.2, 0.4], 4, [-0.4, 0, 0.4]],
  [[-2, -1, 0, 1], 3, [-2, 0]],
  [[1, 2, 3, 4, 5], 2, [1, 5]],
  [[-1, 0, 1], 2, [-1, 1]],
])
  test(`of ${values} at most ${most} are written, zero among them where it may be`, () =>
    assert.deepEqual(thinned(values, most), left));
