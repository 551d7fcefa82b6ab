// Lesson 3: two diagonals break the shift symmetry, and the rank stays full.

import { h, swatch } from "../shared/dom.js";
import { count, short } from "../shared/format.js";
import { BlockCirculant, CirculantDiagonal } from "../shared/circulant.js";
import { Heatmap } from "../shared/heatmap.js";
import { LinePlot } from "../shared/line_plot.js";
import { numbers, panel, renderLesson, slider } from "./parts.js";
import { normals } from "./random.js";
import { rank, singularValues } from "./singular.js";

/** @import { LessonFixed } from "../payloads.js" */
/** @import { Part } from "../shared/part.js" */

const D = 24;
/** @typedef {{color: string, width: number, dash?: number[]}} Look of a line */
/** @type {Record<"alone" | "product" | "low", Look>} */
const LINES = {
  // of the singular values
  alone: { color: "var(--ink-soft)", width: 2, dash: [2, 3] },
  product: { color: "var(--method-cdvft)", width: 2.4 },
  low: { color: "var(--method-lora)", width: 2, dash: [8, 4] },
};

/**
 * Share of the squared entries that the best circulant explains: wrapped diagonals replaced by their means.
 * @param {CirculantDiagonal} matrix
 */
function circularity(matrix) {
  let explained = 0,
    all = 0;
  for (let k = 0; k < D; k++) {
    let sum = 0;
    for (let j = 0; j < D; j++) {
      const value = matrix.entry((j + k) % D, j);
      sum += value;
      all += value * value;
    }
    explained += (sum * sum) / D;
  }
  return explained / all;
}

/**
 * @param {Look} line
 * @param {string} words
 */
const key = (line, words) => h("span", { class: "swatch-key" }, swatch({ line }), words);

/** @param {Part<null, LessonFixed>} part */
export function mount({ element, props }) {
  const c = normals(D, 11).map((value, k) => value * Math.exp(-Math.min(k, D - k) / 5) + (k === 0 ? 1.5 : 0));
  const circulant = new BlockCirculant(c, 1, 1, D, D, D);
  const far = [normals(D, 3), normals(D, 4)];
  const readout = numbers(),
    limit = 2;
  const left = new Heatmap({ label: "circ(c₂) alone" }),
    right = new Heatmap({ label: "ΔW = diag(a₃) circ(c₂) diag(a₁)" });
  const a1 = new LinePlot({ label: "The numbers of a₁", height: 92 }),
    a3 = new LinePlot({ label: "The numbers of a₃", height: 92 });
  const values = new LinePlot({ label: "Singular values of circ(c₂), of ΔW and of rank one", height: 170 });
  const alone = singularValues(circulant);

  const follow = (/** @type {number} */ percent) => {
    const [first, last] = far.map((vector) =>
      vector.map((value) => 1 + (percent / 100) * (1.1 * value - 0.15)),
    );
    const product = new CirculantDiagonal([first, last], [circulant]),
      found = singularValues(product);
    right.show(product, { limit });
    a1.show([{ y: first, color: "var(--factor-input)", width: 2 }], { low: -2.4, high: 3.2 });
    a3.show([{ y: last, color: "var(--factor-output)", width: 2 }], { low: -2.4, high: 3.2 });
    values.show(
      [
        { y: alone.map((value) => value / alone[0]), ...LINES.alone },
        { y: found.map((value) => value / found[0]), ...LINES.product },
        { y: [1, 1e-9], ...LINES.low },
      ],
      { log: true, low: 1e-4, high: 1.5, first: 1, xTitle: "singular value, largest first" },
    );
    readout.set([
      [`${Math.round(100 * circularity(product))} %`, "of ΔW is explained by the best circulant"],
      [`${rank(found)} of ${D}`, `rank of ΔW, from ${3 * D} numbers`],
      ["1", `rank that LoRA reaches with ${3 * D} numbers (${2 * D} a rank)`],
      [short(found[found.length - 1] / found[0]), "smallest singular value of ΔW against the largest"],
    ]);
  };

  renderLesson(
    element,
    props,
    slider({
      label: "how far the diagonals are from 1",
      min: 0,
      max: 100,
      value: 60,
      valueText: (value) => `${value} %`,
      oninput: follow,
    }),
    h(
      "div",
      { class: "two" },
      panel("circ(c₂)", left.node).node,
      panel("ΔW = diag(a₃) circ(c₂) diag(a₁)", right.node).node,
    ),
    h(
      "div",
      { class: "two" },
      panel("a₁, scales what comes in", a1.node).node,
      panel("a₃, scales what goes out", a3.node).node,
    ),
    panel(
      "",
      h(
        "p",
        { class: "keys" },
        "Singular values: ",
        key(LINES.alone, "circ(c₂)"),
        key(LINES.product, "ΔW"),
        key(LINES.low, `rank one, all that LoRA has for ${count(3 * D)} numbers`),
      ),
      values.node,
    ).node,
    readout.node,
  );
  left.show(circulant, { limit });
  follow(60);
}
