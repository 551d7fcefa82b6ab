// What other methods train, drawn as what it is: LoRA's B and A pair by pair, FourierFT's entries on the plane of
// frequencies, C3A's kernels block after block. CDVFT's vectors are drawn by vector_views.js.

import { CanvasView } from "../shared/canvas_view.js";
import { Dense } from "../shared/circulant.js";
import { h } from "../shared/dom.js";
import { count, short } from "../shared/format.js";
import { Heatmap } from "../shared/heatmap.js";
import { LinePlot } from "../shared/line_plot.js";
import { colorLimit } from "./data.js";
import { panel, scaleBar } from "./panels.js";
import { pairSizes, turned } from "./updates.js";

/** @import { Numbers } from "../shared/fft.js" */
/** @import { LayerData } from "./data.js" */

/** Learned entries at their places among all frequencies; the radius grows with the size. */
class FrequencyPlane extends CanvasView {
  /** @type {{u: Numbers, v: Numbers, values: Numbers, rows: number, cols: number, most: number, color: string} | null} */
  shown = null;

  constructor() {
    super({
      label: "Learned entries of the spectrum, by row and column frequency",
      height: (width) => Math.min(320, width),
      interactive: false,
    });
  }

  /** @param {NonNullable<FrequencyPlane["shown"]>} shown */
  show(shown) {
    this.shown = shown;
    this.redraw();
  }

  /** @param {CanvasRenderingContext2D} context */
  draw(context) {
    if (!this.shown) return;
    const { u, v, values, rows, cols, most, color } = this.shown,
      left = 40,
      below = 22,
      wide = this.width - left - 4,
      tall = this.tall - below - 4;
    context.strokeStyle = this.color("var(--rule)");
    context.strokeRect(left, 4, wide, tall);
    this.font(context);
    context.fillText("0", left, this.tall - 6);
    context.textAlign = "right";
    context.fillText(count(cols - 1), left + wide, this.tall - 6);
    context.fillText("0", left - 6, 14);
    context.fillText(count(rows - 1), left - 6, 4 + tall);
    context.textAlign = "center";
    context.fillText("column frequency; filled above zero, open below", left + wide / 2, this.tall - 6);
    context.textAlign = "left";
    context.fillStyle = context.strokeStyle = this.color(color);
    for (let k = 0; k < values.length; k++) {
      const radius = 3.5 * Math.sqrt(Math.abs(values[k]) / (most || 1));
      if (radius < 0.2) continue;
      context.beginPath();
      context.arc(left + (wide * (v[k] + 0.5)) / cols, 4 + (tall * (u[k] + 0.5)) / rows, radius, 0, 7);
      if (values[k] > 0) context.fill();
      else context.stroke();
    }
  }
}

const STRIP = 5; // how many times as wide as high a strip is drawn

/**
 * A matrix of few rows with each of them repeated, so that they can be seen.
 * @param {Dense} matrix
 */
function tall({ values, rows, cols }) {
  const times = Math.max(1, Math.floor(cols / STRIP / rows)),
    found = new Float32Array(times * values.length);
  for (let row = 0; row < times * rows; row++) {
    const from = Math.floor(row / times) * cols;
    found.set(values.subarray(from, from + cols), row * cols);
  }
  return new Dense(found, times * rows, cols);
}

/** @param {Numbers} values */
const largest = (values) => {
  let most = 0;
  for (let k = 0; k < values.length; k++) most = Math.max(most, Math.abs(values[k]));
  return most;
};

export class OwnViews {
  /** @type {LayerData | undefined} */
  layer;

  /** @param {(what: string) => string} fileName */
  constructor(fileName) {
    const strip = (/** @type {string} */ title, /** @type {string} */ label) => {
      const bar = scaleBar(),
        one = panel(title, new Heatmap({ label }), { name: () => fileName(title) });
      one.node.append(bar.node);
      return { ...one, bar };
    };
    this.pairs = panel(
      "‖bₖ‖ ‖aₖ‖",
      new LinePlot({ label: "Size of each pair of LoRA's", height: 120, onmove: (k) => this.#pair(k) }),
      { name: () => fileName("pairs") },
    );
    this.a = strip("A", "Heatmap of A, a row a pair");
    this.b = strip("Bᵀ", "Heatmap of B, a row a pair");
    this.plane = panel("Spectrum", new FrequencyPlane(), { name: () => fileName("spectrum") });
    this.kernel = panel(
      "Kernels",
      new LinePlot({ label: "The kernels, block after block", height: 200, onmove: (k) => this.#entry(k) }),
      { name: () => fileName("kernels") },
    );
    this.parts = {
      lora: [this.pairs, this.a, this.b],
      fourierft: [this.plane],
      c3a: [this.kernel],
    };
    this.node = h(
      "div",
      { class: "row own", hidden: true },
      Object.values(this.parts)
        .flat()
        .map(({ node }) => node),
    );
  }

  /** @param {LayerData} layer */
  show(layer) {
    this.layer = layer;
    const own = layer.vectors.update
      ? []
      : (this.parts[/** @type {keyof OwnViews["parts"]} */ (layer.method)] ?? []);
    this.node.hidden = !own.length;
    for (const one of Object.values(this.parts).flat())
      one.node.hidden = !own.some(({ node }) => node === one.node);
  }

  /** @param {number} t */
  at(t) {
    const { layer } = this;
    if (!layer || this.node.hidden) return;
    const color = `var(--method-${layer.method})`,
      last = layer.steps.length - 1;
    if (layer.method === "lora") {
      const [rank] = layer.vectors.A.shape;
      const sizes = (/** @type {number} */ at) => pairSizes(layer.at("A", at), layer.at("B", at), rank);
      this.sizes = sizes(t);
      this.pairs.view.show([{ y: this.sizes, color, dots: true }], {
        low: 0,
        high: 1.1 * Math.max(largest(sizes(last)), 1e-12),
        first: 1,
        xTitle: "pair k",
      });
      this.pairs.note(`B A is the sum of ${rank} products bₖ aₖᵀ`);
      const shown = {
        a: new Dense(layer.floats("A", t), rank, layer.d_in),
        b: turned(layer.at("B", t), rank),
      };
      for (const name of /** @type {const} */ (["a", "b"])) {
        const limit = colorLimit(shown[name]);
        this[name].view.show(tall(shown[name]), { limit });
        this[name].note(`${shown[name].rows} × ${count(shown[name].cols)}`);
        this[name].bar.set(short(limit));
      }
    } else if (layer.method === "fourierft") {
      const values = layer.at("spectrum", t),
        places = layer.at("indices", t);
      this.plane.view.show({
        u: places.subarray(0, values.length),
        v: places.subarray(values.length),
        values,
        rows: layer.d_out,
        cols: layer.d_in,
        most: largest(layer.at("spectrum", last)),
        color,
      });
      this.plane.note(
        `${count(values.length)} learned of ${count(layer.d_out * layer.d_in)} frequencies, the largest ${short(largest(values))}`,
      );
    } else {
      const [q1, q2, b] = layer.vectors.kernel.shape,
        end = largest(layer.at("kernel", last)) || 1e-12;
      this.kernel.view.show([{ y: layer.at("kernel", t), color }], {
        low: -1.05 * end,
        high: 1.05 * end,
        blocks: q1 * q2 > 1 ? b : null,
        xTitle: q1 * q2 > 1 ? "place, block after block" : "place",
      });
      this.kernel.note(`${q1} × ${q2} block${q1 * q2 > 1 ? "s" : ""} of ${count(b)}, each its first row`);
    }
  }

  /** @param {number | null} k */
  #pair(k) {
    this.pairs.say(k === null || !this.sizes?.[k] ? "" : `pair ${k + 1}: ${short(this.sizes[k])}`);
  }

  /** @param {number | null} k */
  #entry(k) {
    const values = this.layer?.vectors.kernel;
    this.kernel.say(
      k === null || !values ? "" : `place ${k % values.shape[2]} of block ${Math.floor(k / values.shape[2])}`,
    );
  }
}
