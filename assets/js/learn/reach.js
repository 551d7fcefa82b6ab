// What m factors reach, on small matrices that were really fitted (see benchmarks/record_lesson_factors.py).

import { h, legend, segmented } from "../shared/dom.js";
import { short } from "../shared/format.js";
import { BlockCirculant, CirculantDiagonal, Dense } from "../shared/circulant.js";
import { Heatmap } from "../shared/heatmap.js";
import { LinePlot } from "../shared/line_plot.js";
import { keptState } from "./kept_state.js";
import { numbers, panel, renderLesson, slider } from "./parts.js";

/** @import { Part } from "../shared/part.js" */
/** @import { ReachFixed, RecordedTarget } from "../payloads.js" */

/** @type {number[][]} */
const DASHES = [[], [6, 3], [2, 3], [6, 3, 2, 3]]; // one a target

/** @param {Part<null, ReachFixed>} part */
export function mount({ element, props }) {
  const {
    n,
    targets,
    dimensions,
    factors_needed: [least, enough],
  } = props.recorded;
  const readout = numbers();
  const [wanted, got, missed] = ["The target", "The best product found", "Target minus product"].map(
    (title) => {
      const picture = new Heatmap({ label: title });
      return { picture, node: panel(title, picture.node).node };
    },
  );
  const errors = new LinePlot({
    label: "Error against m",
    height: 220,
    axes: {
      x: { title: "m, diagonal vectors", low: 1, high: 8 },
      y: { title: "relative error, %", low: 0, high: 100 },
    },
  });
  const keys = legend("Targets");
  const kept = keptState(element, "values");
  let target = targets[kept.number(1, 0, 0, targets.length - 1)],
    m = kept.number(0, 2, 1, target.fits.length);

  const show = () => {
    const fit = target.fits[m - 1],
      matrix = new Dense(Float32Array.from(target.target), n, n);
    const limit = target.target.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
    const product = dense(fit.vectors, n);
    const rest = new Dense(
      matrix.values.map((value, at) => value - product.values[at]),
      n,
      n,
    );
    wanted.picture.show(matrix, { limit });
    got.picture.show(product, { limit });
    missed.picture.show(rest, { limit });
    const line = (/** @type {RecordedTarget} */ one) =>
      one === target
        ? { color: "var(--method-cdvft)", width: 2.4 }
        : { color: "var(--ink-soft)", width: 1.3 };
    keys.show(
      targets.map((one, place) => ({
        style: { line: { ...line(one), dash: DASHES[place] } },
        text: one.title,
      })),
    );
    errors.show(
      targets.map((one, place) => ({
        x: one.fits.map((each) => each.m),
        y: one.fits.map((each) => 100 * each.error),
        points: one === target,
        ...line(one),
        dash: DASHES[place],
      })),
      { cursor: m, marks: [{ x: least, text: `m = ${least}: dimensions enough for all` }] },
    );
    readout.set([
      [percent(fit.error), "relative error of the best product found"],
      [`${(2 * m - 1) * n} of ${n * n}`, "numbers stored, against entries"],
      [`${dimensions[m - 1]} of ${n * n}`, "dimensions that products of this m can fill"],
    ]);
  };

  renderLesson(
    element,
    h(
      "div",
      { class: "choice" },
      segmented(
        "Target",
        `reach-${element.id}`,
        targets.map(({ key, title }) => [key, title]),
        target.key,
        (key) => {
          target = targets.find((one) => one.key === key) ?? target;
          kept.set(1, targets.indexOf(target));
          show();
        },
      ),
    ),
    slider({
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
    }),
    h("div", { class: "three" }, wanted.node, got.node, missed.node),
    panel("Error as m grows, for all four targets", keys.node, errors.node).node,
    readout.node,
    h(
      "p",
      { class: "quiet source" },
      `${n} × ${n}, real factors, recorded ${props.recorded.date} with `,
      h("code", {}, props.recorded.command),
      `. The theorem promises m = ${enough} for complex factors.`,
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
const percent = (error) => (error < 1e-6 ? "0\u00a0%" : `${short(100 * error)}\u00a0%`);
