// The views of one layer, all at one snapshot: vectors, eigenvalues, circulant, weight update.

import { h, segmented } from "../shared/dom.js";
import { fileName } from "../shared/download.js";
import { short } from "../shared/format.js";
import { Heatmap } from "../shared/heatmap.js";
import { link, zoomButtons } from "../shared/heatmap_controls.js";
import { colorLimit, symbol } from "./data.js";
import { EigenViews, largestModulus } from "./eigen_views.js";
import { explainCirculant, explainUpdate, partsOfEntry } from "./entries.js";
import { OwnViews } from "./own_views.js";
import { panel, scaleBar } from "./panels.js";
import { VectorViews } from "./vector_views.js";

/** @import { Matrix } from "../shared/circulant.js" */
/** @import { Place } from "../shared/heatmap.js" */
/** @import { LayerData } from "./data.js" */

/** @typedef {"circulant" | "update" | "beside"} Which of the heatmaps */

const EVERY_SNAPSHOT = 160; // rows and columns that are looked at for the colour scale of a whole run
const BUILDING = 10; // milliseconds of a frame in which matrices of next snapshots are built, while it plays

const LABELS = {
  circulant: "Heatmap of the circulant; arrow keys move the cursor, plus and minus zoom",
  update: "Heatmap of the weight update; arrow keys move the cursor, plus and minus zoom",
  beside: "Heatmap of the other run's weight update",
};

export class Views {
  /** @type {LayerData | undefined} */
  layer;
  /** @type {LayerData | null} another run's same layer, beside it */
  other = null;
  t = 0;
  moving = false; // whether the next frame shows another snapshot
  fixed = true; // the colour scale: over the whole run, or at this step
  number = 0; // of the circulant that is shown
  runLimits = { circulant: 1, update: 1 };
  largestModulus = 1;

  /**
   * `onentry(entry)` is called with the entry under the cursor, or null.
   * @param {(entry: Place | null) => void} onentry
   */
  constructor(onentry) {
    this.onentry = onentry;
    const fileName = (/** @type {string} */ what) => this.fileName(what);
    this.vectors = new VectorViews();
    this.own = new OwnViews(fileName);
    this.eigenvalues = new EigenViews(fileName, (k) => this.vectors.wave(this.number, k));
    const heatmap = (/** @type {Which} */ which, /** @type {string} */ title) =>
      panel(title, new Heatmap({ label: LABELS[which], onmove: (cursor) => this.#moved(cursor) }), {
        name: () => fileName(which),
      });
    this.heatmaps = {
      circulant: heatmap("circulant", "circ(c)"),
      update: heatmap("update", "ΔW"),
      beside: heatmap("beside", "ΔW of the other run"),
    };
    this.bars = { circulant: scaleBar(), update: scaleBar(), beside: scaleBar() };
    const { circulant, update, beside } = this.heatmaps;
    link(circulant.view, update.view, beside.view);
    circulant.node.append(this.bars.circulant.node);
    update.node.append(this.bars.update.node);
    beside.node.append(this.bars.beside.node);
    const colors = segmented(
      "Color scale",
      "factor-colors",
      [
        ["run", "Whole run"],
        ["step", "This step"],
      ],
      "run",
      (key) => {
        this.fixed = key === "run";
        this.draw();
      },
    );
    this.which = h("span", {});
    this.row = h("div", { class: "row heatmaps" }, circulant.node, update.node, beside.node);
    const controls = h(
      "div",
      { class: "heat-controls" },
      zoomButtons(update.view),
      h("span", { class: "quiet" }, "Color scale"),
      colors,
      this.which,
    );
    this.node = h(
      "div",
      { class: "views" },
      this.vectors.node,
      h("div", { class: "matrices" }, controls, this.row, this.own.node, this.eigenvalues.node),
    );
  }

  /**
   * Show a layer, and another run's beside it or null; `at(t)` then draws.
   * @param {LayerData} layer
   * @param {LayerData | null} beside
   */
  show(layer, beside) {
    const grown = this.layer?.run.id === layer.run.id && this.layer.module === layer.module;
    this.layer = layer;
    this.other = beside;
    const cdvft = layer.method === "cdvft";
    this.vectors.node.hidden = this.eigenvalues.node.hidden = !cdvft;
    this.heatmaps.circulant.node.hidden = !cdvft;
    this.heatmaps.beside.node.hidden = !beside;
    this.row.classList.toggle("three", cdvft && Boolean(beside));
    this.vectors.show(layer, (what) => this.fileName(what));
    this.own.show(layer);
    if (grown) return this.#limits(layer);
    this.number = 0;
    const circulants = layer.order.length >> 1;
    this.which.replaceChildren(
      ...(circulants > 1
        ? [
            segmented(
              "Which circulant",
              "factor-circulant",
              Array.from({ length: circulants }, (_, number) => [number, symbol(2 * number + 1)]),
              0,
              (number) => {
                this.number = Number(number);
                this.#limits(layer);
                this.draw();
              },
            ),
          ]
        : []),
    );
    this.#limits(layer);
  }

  /**
   * Ends of the colour scales over the whole run; where a matrix is costly to build, after its last step.
   * @param {LayerData} layer
   */
  #limits(layer) {
    const over = (/** @type {LayerData} */ one, /** @type {(t: number) => number} */ limit) =>
      Math.max(
        ...one.steps.map((_, t) => (one.order.length === 3 || t === one.steps.length - 1 ? limit(t) : 0)),
      );
    const both = Math.max(
      ...(this.other ? [layer, this.other] : [layer]).map((one) =>
        over(one, (t) => colorLimit(one.update(t), EVERY_SNAPSHOT)),
      ),
    );
    this.runLimits = { update: both, circulant: 1 };
    if (!layer.order.length) return;
    this.runLimits.circulant = over(layer, (t) =>
      colorLimit(layer.circulant(this.number, t), EVERY_SNAPSHOT),
    );
    this.largestModulus = over(layer, (t) => largestModulus(layer.circulant(this.number, t)));
  }

  /**
   * Returns whether all of it is drawn.
   * @param {number} t
   * @param {boolean} moving whether the next frame shows another
   */
  at(t, moving) {
    this.t = t;
    this.moving = moving;
    for (const { view } of Object.values(this.heatmaps)) view.moving = moving;
    return this.draw();
  }

  /**
   * While it plays, whether both updates can be drawn at once: the picture stays as it is until they can. What time is
   * left in the frame goes to the snapshots after these.
   * @param {number} at the snapshot of the run beside
   */
  #ready(at) {
    const { layer, other, t } = this;
    if (!layer || !this.moving) return true;
    const deadline = performance.now() + BUILDING;
    if (!layer.ready(t, deadline) || !(other?.ready(at, deadline) ?? true)) return false;
    layer.ready(Math.min(layer.steps.length - 1, Math.ceil(t) + 1), deadline);
    return true;
  }

  draw() {
    const { layer, t, other } = this,
      { circulant: circulants, update, beside } = this.heatmaps;
    if (!layer) return true;
    this.vectors.at(t);
    this.own.at(t);
    if (layer.order.length) {
      const circulant = layer.circulant(this.number, t);
      this.eigenvalues.show(circulant, this.number, 1.05 * this.largestModulus);
      this.#heat(
        "circulant",
        circulant,
        layer.block,
        this.fixed ? this.runLimits.circulant : colorLimit(circulant),
      );
      circulants.title(`circ(${symbol(2 * this.number + 1)})`);
      circulants.note(layer.block ? "in each block one column, shifted" : "one column, shifted");
    }
    const at = other?.nearest(layer.stepAt(t)) ?? 0;
    if (!this.#ready(at)) return false;
    const both = [layer.update(t), ...(other ? [other.update(at)] : [])],
      limit = this.fixed ? this.runLimits.update : Math.max(...both.map((one) => colorLimit(one)));
    this.#heat("update", both[0], layer.block, limit);
    update.title(other ? `ΔW of ${layer.run.label}` : "ΔW");
    update.note(layer.method === "cdvft" ? "its rows and columns scaled" : `${layer.d_out} × ${layer.d_in}`);
    if (other) {
      beside.title(`ΔW of ${other.run.label}`);
      beside.note(`step ${other.steps[at]}, same color scale as ${layer.run.label}`);
      this.#heat("beside", both[1], other.block, limit);
    }
    this.point(update.view.cursor);
    return true;
  }

  /**
   * @param {Which} which
   * @param {Matrix} matrix
   * @param {number | null} block
   * @param {number} limit
   */
  #heat(which, matrix, block, limit) {
    this.heatmaps[which].view.show(matrix, { limit, blocks: block === null ? null : { p: block } });
    this.bars[which].set(short(limit));
  }

  /** @param {Place | null} cursor */
  #moved(cursor) {
    this.point(cursor);
    this.onentry(cursor);
  }

  /** The entry under the cursor, or null. */
  get entry() {
    return this.heatmaps.update.view.cursor;
  }

  /**
   * Put the cursor at an entry of the update, if it has one there.
   * @param {Place} entry
   */
  pointAt(entry) {
    const { matrix } = this.heatmaps.update.view;
    if (matrix && entry.i < matrix.rows && entry.j < matrix.cols) this.heatmaps.update.view.setCursor(entry);
  }

  /**
   * Say what stands at an entry.
   * @param {Place | null} cursor
   */
  point(cursor) {
    const { layer, other, t } = this,
      { circulant, update, beside } = this.heatmaps;
    if (!cursor || !layer) {
      for (const view of [circulant, update, beside]) view.say("");
      this.vectors.light(null);
      return;
    }
    const { i, j } = cursor,
      inside = (/** @type {Heatmap} */ { matrix }) => matrix && i < matrix.rows && j < matrix.cols;
    if (layer.order.length)
      circulant.say(inside(circulant.view) ? explainCirculant(layer, this.number, t, i, j) : "");
    update.say(inside(update.view) ? explainUpdate(layer, t, i, j) : "");
    this.vectors.light(inside(update.view) ? partsOfEntry(layer, this.number, i, j) : null);
    if (other)
      beside.say(inside(beside.view) ? explainUpdate(other, other.nearest(layer.stepAt(t)), i, j) : "");
  }

  /** @param {string} what */
  fileName(what) {
    const { layer } = this;
    const name = layer ? `${layer.run.label}_${layer.module}_step_${layer.stepAt(this.t)}` : "layer";
    return fileName(`${name}_${what}`);
  }
}
