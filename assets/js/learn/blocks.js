// Rectangles are made of p x p circulant blocks; what p costs and what it reaches.

import { h } from "../shared/dom.js";
import { count, short } from "../shared/format.js";
import { BlockCirculant } from "../shared/circulant.js";
import { Heatmap } from "../shared/heatmap.js";
import { LinePlot } from "../shared/line_plot.js";
import { keptState } from "./kept_state.js";
import { numbers, panel, renderLesson, slider } from "./parts.js";
import { normals } from "./random.js";

/** @import { Part } from "../shared/part.js" */

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

/**
 * Blocks whose entries are the means of the target along their wrapped diagonals: the best there are.
 * @param {Float64Array} target
 * @param {number} p
 */
function best(target, p) {
  const { q1, q2 } = parts(p),
    blocks = new BlockCirculant(new Float64Array(q1 * q2 * p), q1, q2, p, q1 * p, q2 * p);
  const times = new Float64Array(q1 * q2 * p);
  const each = (/** @type {(place: number, value: number) => void} */ act) => {
    for (let i = 0; i < OUT; i++) for (let j = 0; j < IN; j++) act(blocks.place(i, j), target[i * IN + j]);
  };
  each((place, value) => {
    blocks.c[place] += value;
    times[place] += 1;
  });
  times.forEach((many, place) => {
    if (many) blocks.c[place] /= many;
  });
  let missed = 0,
    all = 0;
  each((place, value) => {
    missed += (value - blocks.c[place]) ** 2;
    all += value * value;
  });
  return { blocks, error: Math.sqrt(missed / all) };
}

/** @param {Part<null>} part */
export function mount({ element }) {
  const kept = keptState(element, "values"),
    usual = kept.number(0, 7, 0, SIZES.length - 1);
  const target = normals(OUT * IN, 21),
    readout = numbers();
  const fits = SIZES.map((p) => best(target, p));
  const picture = new Padded({ label: "A layer as circulant blocks", height: (width) => width * 0.78 });
  const drawn = panel("", picture.node);
  const curve = new LinePlot({
    label: "Error against number of parameters",
    height: 230,
    axes: {
      x: { title: "numbers in the blocks", log: true, low: 50, high: 2000 },
      y: { title: "error on a random matrix, %", low: 60, high: 100 },
    },
  });
  const follow = (/** @type {number} */ place) => {
    const p = SIZES[place],
      { q1, q2 } = parts(p),
      { blocks, error } = fits[place];
    picture.show(blocks, { limit: 1.6, blocks: { p } });
    drawn.retitle(
      `A layer of ${OUT} × ${IN} as ${q1} × ${q2} ${q1 * q2 === 1 ? "block" : "blocks"} of ${p} × ${p}` +
        (OUT % p || IN % p ? `: padded with zeros to ${q1 * p} × ${q2 * p}, then cut` : ""),
    );
    curve.show(
      [
        {
          x: SIZES.map(inBlocks),
          y: fits.map((fit) => 100 * fit.error),
          color: "var(--method-cdvft)",
          width: 0,
          points: true,
          opacity: 0.45,
        },
        { x: [inBlocks(p)], y: [100 * error], color: "var(--method-cdvft)", width: 0, points: true },
      ],
      { cursor: inBlocks(p) },
    );
    readout.set([
      [count(parameters(p)), `numbers: ${IN} + ${OUT} on the diagonals, ${q1} · ${q2} · ${p} in the blocks`],
      [`${short((100 * parameters(p)) / (IN * OUT))} %`, `of the ${count(IN * OUT)} entries`],
      [`${short(100 * error)} %`, "error of the best such blocks, without diagonals, on a random matrix"],
    ]);
  };
  renderLesson(
    element,
    slider({
      label: "p, side of a block",
      min: 0,
      max: SIZES.length - 1,
      value: usual,
      valueText: (place) => String(SIZES[place]),
      oninput: follow,
      onchange: (place) => kept.set(0, place),
    }),
    drawn.node,
    readout.node,
    panel("What the blocks reach without the diagonals, for each p", curve.node).node,
    h(
      "p",
      { class: "quiet source" },
      "A random matrix has no structure to find: its error only says how many of its entries the blocks' numbers are enough for. It is fitted in your browser, by averaging along wrapped diagonals.",
    ),
  );
  follow(usual);
}
