// A layer's vectors as curves: each at the snapshot that is shown, over what it was at the start. Places of a vector have
// no order, so that its numbers stand sorted, unless somebody asks for them by place.

import { h, segmented } from "../shared/dom.js";
import { short } from "../shared/format.js";
import { LinePlot } from "../shared/line_plot.js";
import { symbol } from "./data.js";
import { panel } from "./panels.js";
import { waveOf } from "./waves.js";

/** @import { LayerData } from "./data.js" */
/** @import { Panel } from "./panels.js" */

/**
 * @typedef {Panel<LinePlot> & {vector: string, color: string, low: number, high: number, blocks: number | null,
 *   places: Uint32Array | null}} Curve `places` of the numbers in the order in which they stand, where that is another */

export const COLORS = {
  first: "var(--factor-input)",
  circulant: "var(--factor-circulant)",
  last: "var(--factor-output)",
};

/**
 * Where an axis over all snapshots begins and ends.
 * @param {ArrayLike<number>} stack
 */
function range(stack) {
  let low = Infinity,
    high = -Infinity;
  for (let k = 0; k < stack.length; k++) {
    if (stack[k] < low) low = stack[k];
    if (stack[k] > high) high = stack[k];
  }
  const pad = 0.04 * (high - low || 1);
  return { low: low - pad, high: high + pad };
}

/**
 * The places of numbers from the smallest to the largest.
 * @param {ArrayLike<number>} values
 */
const ascending = (values) =>
  Uint32Array.from(values, (_, place) => place).sort((one, other) => values[one] - values[other]);

export class VectorViews {
  sorted = false;
  /** @type {Curve[]} */
  curves = [];
  t = 0;
  /** @type {{vector: string, k: number} | null} a frequency of a circulant, whose wave is drawn */
  frequency = null;

  constructor() {
    this.row = h("div", { class: "row" });
    const order = segmented(
      "Order of the values",
      "vector-order",
      [
        ["place", "By index"],
        ["value", "Sorted"],
      ],
      "place",
      (key) => {
        this.sorted = key === "value";
        this.at(this.t);
      },
    );
    this.node = h("div", { class: "vectors" }, order, this.row);
  }

  /**
   * @param {LayerData} layer
   * @param {(symbol: string) => string} fileName
   */
  show(layer, fileName) {
    if (this.layer?.run.id !== layer.run.id || this.layer.module !== layer.module) this.frequency = null;
    this.layer = layer;
    const { order } = layer;
    if (order.join() !== this.curves.map(({ vector }) => vector).join()) {
      for (const { view } of this.curves) view.destroy();
      this.curves = order.map((vector, place) => this.#curve(vector, place, fileName));
      this.row.replaceChildren(...this.curves.map(({ node }) => node));
    }
    this.curves.forEach((curve, place) => {
      const { size, stack, shape } = layer.vectors[curve.vector],
        circulant = place % 2 === 1,
        blocks = circulant && shape[0] * shape[1] > 1,
        diagonal = place === 0 ? "input" : place === order.length - 1 ? "output" : "middle";
      Object.assign(curve, range(stack), { blocks: blocks ? shape[2] : null });
      curve.view.label = `${symbol(place)} over its ${size} entries`;
      curve.note(
        circulant
          ? `circulant · ${blocks ? `${shape[0]} × ${shape[1]} blocks of ${shape[2]}` : `${size} values`}`
          : `${diagonal} diagonal · ${size} values`,
      );
    });
  }

  /**
   * @param {string} vector
   * @param {number} place
   * @param {(symbol: string) => string} fileName
   * @returns {Curve}
   */
  #curve(vector, place, fileName) {
    const circulant = place % 2 === 1,
      onmove = (/** @type {number | null} */ at) => {
        const places = this.curves[place]?.places;
        one.say(this.#entry(vector, place, at === null || !places ? at : places[at]));
      };
    const one = panel(symbol(place), new LinePlot({ label: symbol(place), height: 70, onmove }), {
      name: () => fileName(`${circulant ? "c" : "a"}${place + 1}`),
    });
    const color = circulant ? COLORS.circulant : place === 0 ? COLORS.first : COLORS.last;
    return { ...one, ...range([]), vector, color, blocks: null, places: null };
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

  /**
   * Mark an entry of each vector that is named, and say it; null marks none.
   * @param {Record<string, number> | null} places
   */
  light(places) {
    this.curves.forEach((curve, place) => {
      const k = places?.[curve.vector] ?? null;
      curve.view.point(k === null || !curve.places ? k : curve.places.indexOf(k), false);
      curve.say(this.#entry(curve.vector, place, k));
    });
  }

  /**
   * Draw the wave of one frequency over its circulant's numbers; null draws none.
   * @param {number} number of the circulant
   * @param {number | null} k as in the list of its eigenvalues
   */
  wave(number, k) {
    this.frequency = k === null ? null : { vector: `circulant.${number}`, k };
    this.at(this.t);
  }

  /** @param {number} t */
  at(t) {
    this.t = t;
    const { layer, frequency } = this;
    if (!layer) return;
    for (const curve of this.curves) {
      const { vector, color, low, high, blocks, view } = curve;
      const lit = frequency?.vector === vector;
      const start = layer.at(vector, 0),
        now = layer.at(vector, t);
      curve.places = this.sorted && !lit ? ascending(now) : null; // a wave goes over places
      view.show(
        [
          {
            y: curve.places ? Float32Array.from(start).sort() : start,
            color: "var(--rule-strong)",
            opacity: 0.55,
            width: 1,
          },
          { y: curve.places ? Float32Array.from(now).sort() : now, color, opacity: lit ? 0.5 : 1 },
          ...(lit
            ? [
                {
                  y: waveOf(layer.circulant(Number(vector.split(".")[1]), t), frequency.k),
                  color: "var(--ink)",
                  width: 1.6,
                },
              ]
            : []),
        ],
        { low, high, blocks: curve.places ? null : blocks },
      );
    }
  }
}
