// A layer's vectors as curves: each at the snapshot that is shown, over what it was at the start.

import { h } from "../shared/dom.js";
import { short } from "../shared/format.js";
import { LinePlot } from "../shared/line_plot.js";
import { symbol } from "./data.js";
import { panel } from "./panels.js";

/** @import { LayerData } from "./data.js" */
/** @import { Panel } from "./panels.js" */

/** @typedef {Panel<LinePlot> & {vector: string, color: string, low: number, high: number, blocks: number | null}} Curve */

export const TINTS = {
  first: "var(--factor-input)",
  circulant: "var(--factor-circulant)",
  last: "var(--factor-output)",
};

export class VectorViews {
  /** @type {Curve[]} */
  curves = [];
  t = 0;

  constructor() {
    this.node = h("div", { class: "row vectors" });
  }

  /**
   * @param {LayerData} layer
   * @param {(symbol: string) => string} fileName
   */
  show(layer, fileName) {
    this.layer = layer;
    this.curves = layer.order.map((vector, place) => this.#curve(layer, vector, place, fileName));
    this.node.replaceChildren(...this.curves.map(({ node }) => node));
  }

  /**
   * @param {LayerData} layer
   * @param {string} vector
   * @param {number} place
   * @param {(symbol: string) => string} fileName
   * @returns {Curve}
   */
  #curve(layer, vector, place, fileName) {
    const { size, stack, shape } = layer.vectors[vector],
      circulant = vector.startsWith("c"),
      blocks = circulant && shape[0] * shape[1] > 1;
    const note = circulant
      ? `circulant · ${blocks ? `${shape[0]} × ${shape[1]} blocks of ${shape[2]}` : `${size} numbers`}`
      : `${place === 0 ? "input" : place === layer.order.length - 1 ? "output" : "middle"} diagonal · ${size} numbers`;
    const one = panel(
      symbol(place),
      new LinePlot({
        label: `${symbol(place)} over its ${size} entries`,
        height: 120,
        onmove: (k) => one.say(this.#entry(vector, place, k)),
      }),
      { name: () => fileName(`${circulant ? "c" : "a"}${place + 1}`), note },
    );
    let low = Infinity,
      high = -Infinity;
    for (const value of stack) {
      if (value < low) low = value;
      if (value > high) high = value;
    }
    const pad = 0.04 * (high - low || 1),
      color = circulant ? TINTS.circulant : place === 0 ? TINTS.first : TINTS.last;
    return {
      ...one,
      vector,
      color,
      low: low - pad,
      high: high + pad,
      blocks: blocks ? shape[2] : null,
    };
  }

  /**
   * @param {string} vector
   * @param {number} place
   * @param {number | null} k
   */
  #entry(vector, place, k) {
    if (k === null || !this.layer) return "";
    const now = this.layer.at(vector, this.t)[k],
      start = this.layer.at(vector, 0)[k];
    return now === undefined ? "" : `${symbol(place)}[${k}] = ${short(now)}, at the start ${short(start)}`;
  }

  /** @param {number} t */
  at(t) {
    this.t = t;
    for (const { vector, color, low, high, blocks, view } of this.curves) {
      const { layer } = this;
      if (!layer) return;
      view.show(
        [
          { y: layer.at(vector, 0), color: "var(--rule-strong)", opacity: 0.55, width: 1 },
          { y: layer.at(vector, t), color },
        ],
        { low, high, blocks },
      );
    }
  }
}
