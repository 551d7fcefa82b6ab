// Rectangles are made of p x p circulant blocks; what p costs, what it reaches, and what the diagonals add.

import { dashes, h, legend, segmented } from "../shared/dom.js";
import { count, percent } from "../shared/format.js";
import { Dense } from "../shared/circulant.js";
import { Heatmap } from "../shared/heatmap.js";
import { LinePlot } from "../shared/line_plot.js";
import { table } from "../shared/table.js";
import { work } from "./flops.js";
import { entriesOf, nearestBlocks, relativeError, scaledBlocks, scaledExample } from "./fits.js";
import { keptState } from "./kept_state.js";
import { numbers, panel, renderLesson, settleSlider, signs, slider, stage } from "./parts.js";
import { afterwards, onPrediction, whenRevealed } from "./revealing.js";
import { normals } from "./random.js";
import { oneAFrame } from "./tween.js";

/** @import { Matrix } from "../shared/circulant.js" */
/** @import { Part } from "../shared/part.js" */
/** @import { Styled } from "../payloads.js" */

const OUT = 48,
  IN = 64,
  SIZES = [2, 3, 4, 6, 8, 10, 12, 16, 20, 24, 28, 32, 40, 48, 56, 64];
/** @param {number} p */
const parts = (p) => ({ q1: Math.ceil(OUT / p), q2: Math.ceil(IN / p) });
/** @param {number} p */
const inBlocks = (p) => parts(p).q1 * parts(p).q2 * p,
  parameters = (/** @type {number} */ p) => IN + OUT + inBlocks(p);

/** Blocks with their padding; what lies outside the layer is greyed. */
class Padded extends Heatmap {
  /** @param {CanvasRenderingContext2D} context */
  draw(context) {
    super.draw(context);
    const { x, y, unit } = this.frame,
      { rows, cols } = this.whole();
    context.fillStyle = this.color("var(--paper)");
    context.globalAlpha = 0.72;
    if (cols > IN) context.fillRect(x + IN * unit, y, (cols - IN) * unit, rows * unit);
    if (rows > OUT) context.fillRect(x, y + OUT * unit, Math.min(IN, cols) * unit, (rows - OUT) * unit);
    context.globalAlpha = 1;
    context.strokeStyle = this.color("var(--ink)");
    context.lineWidth = 1.5;
    context.strokeRect(x + 0.75, y + 0.75, IN * unit - 1.5, OUT * unit - 1.5);
  }
}

/** @param {Matrix} matrix and the root of the mean square of its entries */
const sized = (matrix) => ({ matrix, size: Math.hypot(...entriesOf(matrix)) / Math.sqrt(OUT * IN) });
/**
 * A matrix without structure, and one that is blocks of 16 x 16 whose rows and columns are scaled.
 * @type {Record<string, {title: string, matrix: Matrix, size: number}>}
 */
const TARGETS = {
  random: { title: "Random", ...sized(new Dense(Float32Array.from(normals(OUT * IN, 21)), OUT, IN)) },
  scaled: { title: "Scaled blocks", ...sized(scaledExample(OUT, IN, 16, 24)) },
};
const LIMIT = 1.6; // of the colours, against a target's size

/** A layer of a transformer, from width 384 to four times that, and the p that divide both; of these some are counted out. */
const REAL = { rows: 1536, cols: 384, sizes: [3, 6, 12, 24, 48, 96, 192, 384], counted: [384, 96, 24, 6] };
/** @type {{p: number, way: "alone" | "scaled"}[]} what is compared */
const BOUGHT = [
  { p: 16, way: "alone" },
  { p: 16, way: "scaled" },
  { p: 8, way: "alone" },
];
const LOOKS = {
  between: { color: "var(--method-cdvft)", width: 2.4 },
  whole: { color: "var(--ink-soft)", width: 1.6, dash: [6, 4] },
};

/** @param {Part<null, Styled>} part */
export function mount({ element, props, life }) {
  const { color, dash } = props.lines.c3a.line,
    alone = { color, width: 1.6, dash: dashes(dash) };
  const kept = keptState(element, "values"),
    usual = kept.number(0, SIZES.indexOf(16), 0, SIZES.length - 1);
  const readout = numbers();
  let target = Object.keys(TARGETS)[kept.number(1, 0, 0, 1)],
    place = usual;
  /** @type {Map<string, {alone: number, scaled: number}>} errors by target and p, once they are needed */
  const errors = new Map();
  const keyOf = (/** @type {string} */ change, /** @type {number} */ p) => `${change} ${p}`;
  const errorsAt = (/** @type {number} */ p, change = target) => {
    const key = keyOf(change, p),
      { matrix } = TARGETS[change];
    const known = errors.get(key) ?? {
      alone: 100 * relativeError(matrix, nearestBlocks(matrix, p)),
      scaled: 100 * relativeError(matrix, scaledBlocks(matrix, p)),
    };
    errors.set(key, known);
    return known;
  };
  const picture = new Padded({ label: "A layer as circulant blocks", height: (width) => width * 0.78 });
  const drawing = panel("", picture.node);
  const curve = new LinePlot({
    label: "Error against numbers trained",
    height: 230,
    axes: {
      x: { title: "numbers trained", log: true, low: 50, high: 2000 },
      y: { title: "error, %", low: 0, high: 100 },
    },
  });
  const costs = new LinePlot({
    label: `FLOPs of a token in a layer ${REAL.cols} to ${REAL.rows}, against p`,
    height: 230,
    axes: {
      x: { title: "p, side of a block", log: true, low: 3, high: 384 },
      y: { title: "FLOPs a token", log: true, low: 1e4, high: 1e7 },
    },
  });
  /**
   * A dot for each p, and a line along the least error that so many numbers reach.
   * @param {number[]} x numbers trained
   * @param {number[]} y errors
   * @param {{color: string, width: number, dash?: number[]}} look
   */
  const of = (x, y, look) => {
    const order = x.map((_, at) => at).sort((one, other) => x[one] - x[other]);
    const best = order.filter((at, place) => order.slice(0, place).every((before) => y[before] > y[at]));
    return [
      { x: best.map((at) => x[at]), y: best.map((at) => y[at]), ...look },
      { x, y, color: look.color, width: 0, points: true },
    ];
  };
  let fitting = 0; // which search for errors goes on
  /** Compute the errors of one p after the other, so that dragging stays smooth, and draw them. */
  const drawErrors = () => {
    const mine = ++fitting;
    /** @type {number[]} */
    const known = [];
    oneAFrame(SIZES, (p) => {
      if (mine !== fitting || !curve.node.isConnected) return false;
      errorsAt(p);
      known.push(p);
      curve.show(
        [
          ...of(
            known.map(inBlocks),
            known.map((one) => errorsAt(one).alone),
            alone,
          ),
          ...of(
            known.map(parameters),
            known.map((one) => errorsAt(one).scaled),
            LOOKS.between,
          ),
        ],
        { cursor: parameters(SIZES[place]) },
      );
      return true;
    });
  };
  const drawCosts = () => {
    const { rows, cols, sizes } = REAL;
    costs.show([
      {
        x: sizes,
        y: sizes.map((p) => work.blocks(rows, cols, p)),
        points: true,
        ...LOOKS.between,
      },
      { x: sizes, y: sizes.map(() => 2 * rows * cols), ...LOOKS.whole },
    ]);
  };
  const [byWork, byError] = ["Ways of the work", "Ways of the error"].map((label) => legend(label));
  byWork.show([
    { style: { line: LOOKS.between }, text: "blocks between diagonals" },
    { style: { line: LOOKS.whole }, text: "the whole matrix" },
  ]);
  byError.show([
    { style: { line: alone }, text: "blocks alone" },
    { style: { line: LOOKS.between }, text: "between diagonals" },
  ]);
  const products = table({ label: "Products of spectra by p", class: "numbers lesson-table" });
  products.fill(
    ["p", "Blocks", "Products in each", "Products in all", "Work, of the whole matrix"],
    REAL.counted.map((p) => {
      const { rows, cols } = REAL,
        blocks = (rows / p) * (cols / p),
        each = Math.floor(p / 2) + 1;
      return [
        String(p),
        ...[blocks, each, blocks * each].map(count),
        percent(work.blocks(rows, cols, p) / (2 * rows * cols)),
      ];
    }),
    `A layer ${REAL.cols} → ${count(REAL.rows)}: p / 2 + 1 products in each block, so a quarter of p is 16 times the blocks, with about a quarter of the products in each`,
  );
  const bought = table({ label: "What the diagonals buy", class: "numbers lesson-table" });
  const drawBought = () =>
    bought.fill(
      [
        "Change",
        ...BOUGHT.map(({ p, way }) =>
          way === "alone"
            ? `Blocks of ${p} alone: ${inBlocks(p)} numbers`
            : `Blocks of ${p} between diagonals: ${parameters(p)}`,
        ),
      ],
      Object.entries(TARGETS).map(([change, { title }]) => [
        title,
        ...BOUGHT.map(({ p, way }) => {
          const error = errors.get(keyOf(change, p))?.[way];
          if (error === undefined) return "…";
          return error < 0.1 ? h("b", {}, "under 0.1\u00a0%") : percent(error / 100);
        }),
      ]),
      "What the diagonals buy: what is left of two changes",
    );
  const buy = () => {
    drawBought();
    const wanted = Object.keys(TARGETS).flatMap((change) => BOUGHT.map(({ p }) => ({ change, p })));
    oneAFrame(wanted, ({ change, p }) => {
      errorsAt(p, change);
      drawBought();
      return true;
    });
  };
  const follow = (/** @type {number} */ at) => {
    place = at;
    const p = SIZES[place],
      { q1, q2 } = parts(p),
      { matrix, title } = TARGETS[target];
    picture.show(nearestBlocks(matrix, p), { limit: LIMIT * TARGETS[target].size, blocks: { p } });
    drawing.retitle(
      `${title}, fitted by ${q1} × ${q2} ${q1 * q2 === 1 ? "block" : "blocks"} of ${p} × ${p}` +
        (OUT % p || IN % p ? `: padded to ${q1 * p} × ${q2 * p}, then cut` : ""),
    );
    curve.point(parameters(p));
    readout.set([
      [count(parameters(p)), `numbers: ${IN} + ${OUT} on the diagonals, ${q1} · ${q2} · ${p} in the blocks`],
      [percent(parameters(p) / (IN * OUT)), `of the ${count(IN * OUT)} entries`],
      [
        count(REAL.cols + REAL.rows + (REAL.rows / 384) * 384),
        `numbers in a layer ${REAL.cols} → ${count(REAL.rows)} with p = 384, of its ${count(REAL.rows * REAL.cols)}`,
      ],
    ]);
  };
  const dial = slider({
    label: "p, side of a block",
    min: 0,
    max: SIZES.length - 1,
    value: usual,
    valueText: (at) => String(SIZES[at]),
    oninput: follow,
    onchange: (at) => kept.set(0, at),
  });
  onPrediction(element, life, () => settleSlider(dial, SIZES.indexOf(8))); // what the question asks about
  renderLesson(
    element,
    dial,
    stage(drawing.node),
    signs(),
    afterwards(element, [
      readout.node,
      products.node,
      panel(
        "Work for a token in that layer: the smaller p, the more products of spectra",
        byWork.node,
        costs.node,
      ).node,
      bought.node,
      segmented(
        "Target",
        `blocks-${element.id}`,
        Object.entries(TARGETS).map(([key, { title }]) => [key, title]),
        target,
        (key) => {
          target = key;
          kept.set(1, Object.keys(TARGETS).indexOf(key));
          follow(place);
          drawErrors();
        },
      ),
      panel(
        "The error of each p against all numbers that it trains; lines join the best",
        byError.node,
        curve.node,
      ).node,
      h(
        "p",
        { class: "quiet source" },
        "Fitted in your browser: blocks alone by averaging along wrapped diagonals, which is the best there is; between " +
          "diagonals by alternating least squares from two starts, so something better may be there.",
      ),
    ]),
  );
  follow(usual);
  drawCosts();
  whenRevealed(element, () => {
    buy();
    drawErrors();
  });
}
