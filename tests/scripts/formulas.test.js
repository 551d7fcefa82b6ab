import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { LayerData } from "../../assets/js/factors/data.js";
import { work } from "../../assets/js/learn/flops.js";
import { bestOfRank } from "../../assets/js/learn/singular.js";
import { goingWrong } from "../../assets/js/learn/trial.js";
import { Dense } from "../../assets/js/shared/circulant.js";
import { metricText } from "../../assets/js/shared/format.js";
import { SPREAD } from "../../assets/js/train/run_model.js";
import { entries } from "./numbers.js";

/** A layer as the server sends it, with one snapshot. */
function layerOf({ method, d_out, d_in, scale, vectors }) {
  const packed = Object.entries(vectors).map(([name, { shape, type, values }]) => {
    const numbers = type === "int32" ? Int32Array.from(values) : Float32Array.from(values);
    return [name, { shape, type, data: Buffer.from(numbers.buffer).toString("base64") }];
  });
  return new LayerData(
    { steps: [0], vectors: Object.fromEntries(packed), bytes: 0, trained: 0 },
    { module: "layer", depth: 0, kind: "query", d_out, d_in, scale },
    { method },
  );
}

const formulas = {
  update: (given) => entries(layerOf(given).update(0)),
  product: (d) => [work.dense(d), work.fft(d)],
  blocks: ([rows, cols, p]) => work.blocks(rows, cols, p),
  low_rank({ n, r, target }) {
    const { matrix, error } = bestOfRank(new Dense(Float64Array.from(target), n, n), r);
    return [error, ...matrix.values];
  },
  watch: (losses) =>
    1 + losses.findIndex((_, at) => goingWrong(losses.slice(0, at + 1).map((loss) => loss ?? NaN))),
  score: ([metric, value]) => metricText(metric, value).replace(" %", "\u00a0%"),
  spread: () => SPREAD,
};

// Written by tests/cdvft_app/ui/test_script_formulas.py: what Python computes.
const table = JSON.parse(readFileSync(new URL("formulas.json", import.meta.url), "utf-8"));
assert.deepEqual(Object.keys(table), Object.keys(formulas));

for (const [name, cases] of Object.entries(table))
  for (const { given, expected } of cases)
    test(`${name} as Python computes it: ${JSON.stringify(given)?.slice(0, 60)}`, () => {
      const found = formulas[name](given);
      if (typeof expected === "string") return assert.equal(found, expected);
      const wanted = [expected].flat();
      const close = 1e-6 * Math.max(...wanted.map(Math.abs));
      assert.equal([found].flat().length, wanted.length);
      [found]
        .flat()
        .forEach((value, at) => assert.ok(Math.abs(value - wanted[at]) <= close, `${value} at ${at}`));
    });
