// What m factors reach, on small matrices that were really fitted (see benchmarks/record_lesson_factors.py), beside LoRA with
// as many numbers.

import { dashes, h, legend, segmented } from "../shared/dom.js";
import { percent } from "../shared/format.js";
import { BlockCirculant, CirculantDiagonal, Dense } from "../shared/circulant.js";
import { Heatmap } from "../shared/heatmap.js";
import { LinePlot } from "../shared/line_plot.js";
import { table } from "../shared/table.js";
import { keptState } from "./kept_state.js";
import { numbers, panel, renderLesson, settleSlider, signs, slider, stage } from "./parts.js";
import { afterwards, onPrediction } from "./revealing.js";
import { bestOfRank } from "./singular.js";

/** @import { Part } from "../shared/part.js" */
/** @import { ReachFixed, RecordedTarget } from "../payloads.js" */

/** @type {number[][]} */
const DASHES = [[], [10, 3], [2, 3], [10, 3, 2, 3]]; // one a target, none LoRA's

const ABOUT_RANDOM = "reach-random"; // the question that is answered by numbers

/**
 * LoRA's largest r within the (2m - 1) n numbers of CDVFT, of 2n each.
 * @param {number} m
 */
const rankOfLora = (m) => Math.floor((2 * m - 1) / 2);

/**
 * @param {Dense} one
 * @param {Dense} other
 */
const minus = (one, other) =>
  new Dense(
    one.values.map((value, at) => value - other.values[at]),
    one.rows,
    one.cols,
  );

/** @param {Part<null, ReachFixed>} part */
export function mount({ element, props, life }) {
  const {
    n,
    targets,
    dimensions,
    factors_needed: [least, enough],
  } = props.recorded;
  const readout = numbers();
  const worst = (/** @type {number} */ at) => Math.max(...targets.map(({ fits }) => fits[at - 1].error));
  const [wanted, got, missed, lora, left] = [
    "The target",
    "Best product found",
    "What is left",
    "LoRA",
    "What LoRA leaves",
  ].map((title) => {
    const picture = new Heatmap({ label: title });
    return { picture, ...panel(title, picture.node) };
  });
  const errors = new LinePlot({
    label: "Error against m",
    height: 220,
    axes: {
      x: { title: "diagonal vectors (m)", low: 1, high: 8 },
      y: { title: "relative error, %", low: 0, high: 100 },
    },
  });
  const keys = legend("Targets"),
    byM = table({ label: "What is left by m", class: "numbers lesson-table" });
  const kept = keptState(element, "values");
  let target = targets[kept.number(1, 0, 0, targets.length - 1)],
    m = kept.number(0, 2, 1, target.fits.length);

  const show = () => {
    const fit = target.fits[m - 1],
      matrix = new Dense(Float32Array.from(target.target), n, n);
    const limit = target.target.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
    const product = dense(fit.vectors, n),
      r = rankOfLora(m),
      low = bestOfRank(matrix, r);
    wanted.picture.show(matrix, { limit });
    got.picture.show(product, { limit });
    missed.picture.show(minus(matrix, product), { limit });
    lora.picture.show(low.matrix, { limit });
    left.picture.show(minus(matrix, low.matrix), { limit });
    lora.retitle(`LoRA, B A with r = ${r}: ${2 * r * n} numbers`);
    byM.fill(
      [
        "m",
        "Numbers",
        "CDVFT",
        `LoRA, r\u00a0=\u00a0m\u00a0−\u00a01: ${n} numbers fewer`,
        `LoRA, r\u00a0=\u00a0m: ${n} numbers more`,
      ],
      target.fits.map((one) => ({
        class: one.m === m ? "chosen" : null,
        cells: [
          String(one.m),
          String((2 * one.m - 1) * n),
          ...[one.error, low.errors[rankOfLora(one.m)], low.errors[one.m]].map(leftOver),
        ],
      })),
      `${target.title}: what is left of it, by m`,
    );
    const line = (/** @type {RecordedTarget} */ one) =>
      one === target
        ? { color: "var(--method-cdvft)", width: 2.4 }
        : { color: "var(--ink-soft)", width: 1.3 };
    const ofLora = {
      color: props.lines.lora.line.color,
      width: 1.8,
      dash: dashes(props.lines.lora.line.dash),
    };
    keys.show([
      ...targets.map((one, place) => ({
        style: { line: { ...line(one), dash: DASHES[place] } },
        text: one.title,
      })),
      { style: { line: ofLora }, text: `LoRA, ${target.title.toLowerCase()}` },
    ]);
    errors.show(
      [
        ...targets.map((one, place) => ({
          x: one.fits.map((each) => each.m),
          y: one.fits.map((each) => 100 * each.error),
          points: one === target,
          ...line(one),
          dash: DASHES[place],
        })),
        {
          x: target.fits.map((each) => each.m),
          y: target.fits.map((each) => 100 * low.errors[rankOfLora(each.m)]),
          ...ofLora,
        },
      ],
      { cursor: m, marks: [{ x: least, text: `m = ${least}: as many dimensions as entries` }] },
    );
    readout.set([
      [`${(2 * m - 1) * n} of ${n * n}`, "numbers stored, against entries"],
      [`${dimensions[m - 1]} of ${n * n}`, "dimensions that products of this m can fill"],
      [`${2 * (m - 1)}`, "FFTs for each input x, one there and one back for each circulant"],
    ]);
  };

  const choice = segmented(
    "The target",
    `reach-${element.id}`,
    targets.map(({ key, title }) => [key, title]),
    target.key,
    (key) => {
      target = targets.find((one) => one.key === key) ?? target;
      kept.set(1, targets.indexOf(target));
      show();
    },
  );
  const dial = slider({
    label: "m",
    min: 1,
    max: target.fits.length,
    value: m,
    valueText: (value) =>
      `${value} ${value > 1 ? "diagonals" : "diagonal"}, ${value - 1} ${value === 2 ? "circulant" : "circulants"}`,
    oninput: (value) => {
      m = value;
      show();
    },
    onchange: (value) => kept.set(0, value),
  });
  onPrediction(element, life, (key) => {
    if (key !== ABOUT_RANDOM) return;
    /** @type {HTMLInputElement | null} */ (choice.querySelector("[value=gaussian]"))?.click();
    settleSlider(dial, 2);
  });
  renderLesson(
    element,
    h("div", { class: "choice" }, choice),
    dial,
    stage(h("div", { class: "three" }, wanted.node, got.node, missed.node)),
    signs(),
    afterwards(
      element,
      [
        byM.node,
        h("div", { class: "three" }, h("div", {}), lora.node, left.node),
        readout.node,
        panel("Error, %, as m grows", keys.node, errors.node).node,
        h(
          "p",
          { class: "quiet source" },
          `Enough dimensions are not enough for a search: with m = ${least} it still ends up to ${percent(worst(least))} off. ` +
            `The theorem promises m = ${enough}, complex, for almost every matrix. LoRA has the largest r whose 2rn numbers CDVFT has, ` +
            `too. ${n} × ${n}, real factors, recorded ${props.recorded.date}.`,
        ),
      ],
      ABOUT_RANDOM,
    ),
  );
  show();
}

/**
 * diag(v_{2m-2}) circ(v_{2m-3}) ... diag(v_0), all entries; m = 1 is a diagonal.
 * @param {number[][]} vectors
 * @param {number} n
 */
function dense(vectors, n) {
  if (vectors.length === 1) {
    const values = new Float32Array(n * n);
    vectors[0].forEach((value, i) => {
      values[i * n + i] = value;
    });
    return new Dense(values, n, n);
  }
  return new CirculantDiagonal(
    vectors.filter((_, k) => k % 2 === 0),
    vectors.filter((_, k) => k % 2).map((c) => new BlockCirculant(Float64Array.from(c), 1, 1, n, n, n)),
  ).dense();
}

/** @param {number} error */
const leftOver = (error) => (error < 1e-6 ? h("b", {}, "0\u00a0%") : percent(error));
