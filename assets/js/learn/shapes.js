// Four methods, one budget: what a change of weights looks like, and which rank it has.

import { dashes, h } from "../shared/dom.js";
import { count } from "../shared/format.js";
import { BlockCirculant, CirculantDiagonal, Dense } from "../shared/circulant.js";
import { Heatmap } from "../shared/heatmap.js";
import { LinePlot } from "../shared/line_plot.js";
import { ofRank } from "./fits.js";
import { keptState } from "./kept_state.js";
import { panel, renderLesson, signs, slider, stage } from "./parts.js";
import { afterwards, onPrediction, whenRevealed } from "./revealing.js";
import { normals, uniform } from "./random.js";
import { BUDGETS, D, blockNumbers, c3aBlock, cdvftBlock, cdvftNumbers } from "./shape_budgets.js";
import { taskFits } from "./tasks.js";
import { effectiveRank, rank, singularValues } from "./singular.js";

/** @import { Matrix } from "../shared/circulant.js" */
/** @import { Series } from "../shared/line_drawing.js" */

/** @import { Part } from "../shared/part.js" */
/** @import { Styled } from "../payloads.js" */

/** @param {number} budget */
function lora(budget) {
  const r = Math.floor(budget / (2 * D));
  return { matrix: ofRank(r, [51, 52]), used: 2 * D * r, knob: `B A, r = ${r}` };
}

/**
 * So many random places of the spectrum.
 * @param {number} n
 */
function placesOfWaves(n) {
  const next = uniform(53);
  return Array.from({ length: D * D }, (_, at) => [next(), at])
    .sort(([x], [y]) => x - y)
    .slice(0, n)
    .map(([, at]) => at);
}

/**
 * n random places of the spectrum with normal values: a sum of n plane waves.
 * @param {number} budget
 */
function fourierft(budget) {
  const places = placesOfWaves(budget),
    heights = normals(budget, 54),
    values = new Float32Array(D * D);
  const cos = Float64Array.from({ length: D }, (_, k) => Math.cos((2 * Math.PI * k) / D));
  places.forEach((at, n) => {
    const u = Math.floor(at / D),
      v = at % D;
    for (let i = 0; i < D; i++)
      for (let j = 0; j < D; j++) values[i * D + j] += heights[n] * cos[(u * i + v * j) % D];
  });
  return { matrix: new Dense(values, D, D), used: budget, knob: `n = ${budget}` };
}

/** @param {number} budget */
function c3a(budget) {
  const b = c3aBlock(budget),
    q = D / b;
  return {
    matrix: new BlockCirculant(normals(blockNumbers(b), 55), q, q, b, D, D),
    used: blockNumbers(b),
    knob: `b = ${b}`,
  };
}

/** @param {number} budget */
function cdvft(budget) {
  const p = cdvftBlock(budget),
    q = Math.ceil(D / p);
  const blocks = new BlockCirculant(normals(q * q * p, 55), q, q, p, D, D);
  return {
    matrix: new CirculantDiagonal([normals(D, 56), normals(D, 57)], [blocks]),
    used: cdvftNumbers(p),
    knob: `m = 2, p = ${p}`,
  };
}

/** @typedef {{matrix: Matrix, used: number, knob: string}} Made a change, the numbers it takes, and its setting */
/** @type {Record<string, (budget: number) => Made>} by method */
const MAKERS = { cdvft, lora, fourierft, c3a };

/** @param {Part<null, Styled>} part */
export function mount({ element, props, life }) {
  const methods = Object.entries(MAKERS).map(([key, make]) => ({ key, make, ...props.lines[key] }));
  const kept = keptState(element, "values"),
    usual = kept.number(0, 0, 0, BUDGETS.length - 1);
  const cards = methods.map(({ key, label: title }) => {
    const picture = new Heatmap({ label: `ΔW of ${title}` });
    const said = { knob: h("span", {}), used: h("dd", {}), rank: h("dd", {}), even: h("dd", {}) };
    const facts = h(
      "dl",
      { "aria-live": "polite" },
      h("div", {}, h("dt", {}, title)),
      h("div", {}, h("dt", {}, "numbers"), said.used),
      h("div", {}, h("dt", {}, "rank"), said.rank),
      h("div", {}, h("dt", {}, "effective rank"), said.even),
    );
    const node = h(
      "div",
      { class: "shape panel" },
      h("h3", {}, h("span", { class: `dot ${key}` }), title),
      h("p", { class: "quiet" }, said.knob),
      picture.node,
    );
    return { picture, said, node, facts };
  });
  const tasks = taskFits({
    id: element.id,
    methods: methods.map(({ key, label }) => [key, label]),
    places: placesOfWaves,
  });
  onPrediction(element, life, (key) => key === "shapes-fit" && tasks.choose("scaled"));
  let current = BUDGETS[usual],
    fitting = false; // once it is seen
  whenRevealed(
    element,
    () => {
      fitting = true;
      tasks.show(current);
    },
    "shapes-fit",
  );
  const curves = new LinePlot({ label: "Singular values of the four changes", height: 190 });
  const follow = (/** @type {number} */ place) => {
    const budget = (current = BUDGETS[place]);
    if (fitting) tasks.show(budget);
    /** @type {Series[]} */
    const lines = [];
    methods.forEach(({ label: title, make, line }, index) => {
      const { matrix, used, knob } = make(budget),
        { picture, said } = cards[index],
        values = singularValues(matrix);
      let energy = 0;
      for (let i = 0; i < D; i++) for (let j = 0; j < D; j++) energy += matrix.entry(i, j) ** 2;
      picture.show(matrix, { limit: (2.4 * Math.sqrt(energy)) / D });
      picture.label = `ΔW of ${title}, ${knob}`;
      const full = rank(values.map((value) => (value > 1e-6 * values[0] ? value : 0))); // entries in float32
      said.knob.textContent = knob;
      said.used.textContent = `${count(used)} of ${count(budget)}`;
      said.rank.textContent = `${full} of ${D}`;
      said.even.textContent = effectiveRank(values).toFixed(1);
      lines.push({
        y: values.map((value) => (value > 1e-6 * values[0] ? value / values[0] : 0)),
        color: line.color,
        width: 2.2,
        dash: dashes(line.dash),
      });
    });
    curves.show(lines, { low: 0, high: 1.05, first: 1, xTitle: "singular value, largest first" });
  };
  renderLesson(
    element,
    slider({
      label: "budget, trained numbers for a 32 × 32 layer",
      min: 0,
      max: BUDGETS.length - 1,
      value: usual,
      valueText: (place) => `at most ${count(BUDGETS[place])}; the layer has ${count(D * D)}`,
      oninput: follow,
      onchange: (place) => kept.set(0, place),
    }),
    stage(
      h(
        "div",
        { class: "shapes" },
        cards.map(({ node }) => node),
      ),
    ),
    signs(),
    afterwards(element, [tasks.node], "shapes-fit"),
    afterwards(element, [
      h(
        "div",
        { class: "shape-facts" },
        cards.map(({ facts }) => facts),
      ),
      panel("Singular values, each against its largest", curves.node).node,
      h(
        "p",
        { class: "quiet source" },
        "All numbers are drawn at random, so this shows what each form can look like, not what training makes of it. " +
          "The budget is a limit, of which each method spends what its sizes allow: LoRA a multiple of 64; C3A 1,024 / b, with " +
          "a b that divides 32, as the PEFT library asks; CDVFT 64 and its blocks: after p = 2, with 576, comes p = 1, with 1,088. " +
          "The effective rank says about how many directions carry the change: r if r singular values are equal and the others zero, less the more uneven they are.",
      ),
    ]),
  );
  follow(usual);
}
