// Lines on a canvas, redrawn in about a millisecond: over an index, for what changes while somebody drags, or over a
// numeric axis of its own.

import { CanvasView } from "./canvas_view.js";
import { phaseColor, ramp } from "./colors.js";
import { isShortcut } from "./dom.js";
import { powerOfTen, short } from "./format.js";
import { dot, drawBars, drawLegend, drawLine, stroke } from "./line_drawing.js";
import { decades, ends, powers, scale, thinned, ticks } from "./scales.js";

/** @import { Places, Series } from "./line_drawing.js" */
/** @import { Axis } from "./scales.js" */

/**
 * @typedef {object} Mark
 * @property {number} x
 * @property {string} text
 * @property {string} [color]
 */

/**
 * @typedef {object} IndexOptions
 * @property {number} [last] the largest place; left out, the longest series' own
 * @property {number} [first] what the place 0 is called; 0
 * @property {number | null} [blocks] draw a line between every so many places
 * @property {Mark[]} [marks]
 * @property {string} [xTitle]
 * @property {string} [yTitle] in the upper right corner
 * @property {number | null} [cursor] put the cursor there
 * @property {number[]} [yTicks] where round numbers do not fit
 * @property {(value: number) => string} [yText]
 */

/** @typedef {Axis & IndexOptions} Options `low`, `high` and `log` are of y */
/** @typedef {Axis & {title: string}} TitledAxis */

const INDEX = { left: 46, right: 8, top: 8 };
const NUMERIC = { left: 52, right: 14, top: 26 };
const ROW = 13; // pixels that a number beside the lines needs

export class LinePlot extends CanvasView {
  /** @type {Series[]} */
  series = [];
  /** @type {Options} */
  options = {};
  /** @type {number | null} the place of the cursor */
  at = null;
  length = 1;
  phases = new Uint32Array(1);

  /**
   * Over `axes`, or without them over the index, where `onmove(index)` tells of the place under the pointer, or null.
   * With `onpick(index)` in its place the cursor stays where it was put, and is moved by pressing, dragging and the
   * arrow keys.
   * @param {{label: string, height?: number | ((width: number) => number), axes?: {x: TitledAxis, y: TitledAxis},
   *   onmove?: (index: number | null) => void, onpick?: (index: number) => void}} given
   */
  constructor({ label, height = 120, axes, onmove = () => {}, onpick }) {
    super({ label, height, interactive: !axes });
    this.axes = axes;
    this.margin = axes ? NUMERIC : INDEX;
    this.onmove = onpick ? (/** @type {number | null} */ index) => onpick(index ?? 0) : onmove;
    if (axes) this.node.setAttribute("role", "img");
    else this.#listen(Boolean(onpick));
  }

  /** @param {boolean} stays */
  #listen(stays) {
    this.node.classList.add("line-plot");
    this.node.addEventListener("pointermove", (event) => (!stays || event.buttons) && this.#point(event));
    this.node.addEventListener("pointerdown", (event) => this.#point(event));
    if (!stays) this.node.addEventListener("pointerleave", () => this.point(null));
    this.node.addEventListener("keydown", (event) => {
      const move = event.key === "ArrowLeft" ? -1 : event.key === "ArrowRight" ? 1 : 0;
      if (!move || !this.series.length || isShortcut(event)) return;
      event.preventDefault();
      const stride = event.shiftKey ? Math.max(1, Math.round(this.length / 16)) : 1;
      this.point(Math.min(this.length - 1, Math.max(0, (this.at ?? -move) + move * stride)));
    });
  }

  /**
   * @param {Series[]} series
   * @param {Options} options
   */
  show(series, options = {}) {
    this.series = series;
    this.options = options;
    if (options.cursor !== undefined) this.at = options.cursor;
    this.length =
      options.last === undefined ? Math.max(1, ...series.map(({ y }) => y.length)) : options.last + 1;
    this.redraw();
  }

  /**
   * Put the cursor at a place.
   * @param {number | null} place
   */
  point(place, notify = true) {
    this.at = place;
    this.redrawOver();
    if (notify) this.onmove(place);
  }

  /** @param {PointerEvent} event */
  #point(event) {
    const { left, right } = this.margin;
    const place =
      (event.clientX - this.canvas.getBoundingClientRect().left - left) / (this.width - left - right);
    this.point(Math.round(Math.min(1, Math.max(0, place)) * (this.length - 1)));
  }

  /** Where the lines end below, in pixels. */
  get floor() {
    return this.tall - (this.axes ? 34 : this.options.xTitle === undefined ? 16 : 30);
  }

  recolor() {
    super.recolor();
    this.phases = ramp(this.node, "cyclic");
  }

  /** @returns {Places & {xs: [number, number], ys: [number, number]}} */
  scales() {
    const { left, right, top } = this.margin,
      y = this.axes?.y ?? this.options,
      room = this.axes ? 1.3 : 1;
    const ys = ends(() => this.series.flatMap((one) => Array.from(one.y)), y, room);
    const toY = scale(ys, y.log ?? false, this.floor, top);
    if (!this.axes) {
      const last = Math.max(1, this.length - 1);
      return { xs: [0, last], ys, x: scale([0, last], false, left, this.width - right), y: toY };
    }
    const { x } = this.axes;
    const xs = ends(() => this.series.flatMap((one) => Array.from(one.x ?? [])), x, room);
    const toX = scale(xs, x.log ?? false, left, this.width - right);
    const inside = (/** @type {[number, number]} */ [low, high], /** @type {number} */ value) =>
      Math.min(high, Math.max(low, value));
    return { xs, ys, x: (value) => toX(inside(xs, value)), y: (value) => toY(inside(ys, value)) };
  }

  /** The numbers written beside the lines, and how. */
  #levels(/** @type {[number, number]} */ [low, high]) {
    const { log = false } = this.axes?.y ?? this.options,
      { yTicks, yText } = this.options;
    const power = (/** @type {number} */ value) => {
      const exponent = Math.floor(Math.log10(value) + 1e-9),
        factor = Math.round(value / 10 ** exponent);
      return `${factor === 1 ? "" : `${factor}·`}${powerOfTen(exponent)}`;
    };
    if (this.axes)
      return {
        values: log ? decades(low, high) : ticks(low, high, 5).filter((value) => value <= high),
        text: (/** @type {number} */ value) =>
          log && (value >= 1e4 || value < 1e-2) ? power(value) : short(value),
      };
    const values = log ? powers(low, high) : (yTicks ?? ticks(low, high, this.tall > 150 ? 4 : 3));
    const rows = Math.floor((this.floor - this.margin.top) / ROW);
    return {
      values: thinned(values, Math.max(2, 1 + rows)),
      text: yText ?? (log ? power : short),
    };
  }

  /** @param {CanvasRenderingContext2D} context */
  draw(context) {
    if (this.axes && !this.series.length) return;
    const to = this.scales(),
      { floor } = this,
      { left, right, top } = this.margin,
      end = this.width - right,
      { values, text } = this.#levels(to.ys);
    this.font(context);
    context.lineWidth = 1;
    context.textBaseline = "middle";
    context.textAlign = "right";
    for (const value of this.series.length ? values : []) {
      const y = Math.round(to.y(value)) + 0.5;
      stroke(context, this.color(value === 0 ? "var(--plot-axis)" : "var(--plot-grid)"), left, y, end, y);
      context.fillText(text(value), left - 6, y);
    }
    context.textBaseline = "top";
    if (this.axes) this.#numericPlaces(context, to);
    else this.#indexPlaces(context, to);
    context.textAlign = "center";
    const title = this.axes?.x.title ?? this.options.xTitle;
    if (title) context.fillText(title, (left + end) / 2, floor + (this.axes ? 20 : 17));
    context.save();
    if (!this.axes) {
      context.beginPath();
      context.rect(left, top - 3, end - left + 1, floor - top + 6);
      context.clip();
    }
    const { blocks } = this.options;
    for (let index = blocks ?? Infinity; index < this.length; index += blocks ?? Infinity) {
      const x = Math.round(to.x(index - 0.5)) + 0.5;
      stroke(context, this.color("var(--rule-strong)"), x, top, x, floor, [2, 4]); // no bar or line looks like that
    }
    const positive = Boolean((this.axes?.y ?? this.options).log);
    for (const one of this.series) {
      if (one.phases) drawBars(context, to, one, (end - left) / this.length, floor, this.phases);
      else drawLine(context, to, { ...one, color: this.color(one.color) }, positive);
    }
    context.restore();
    context.fillStyle = this.color("var(--ink-soft)");
    context.textBaseline = "top";
    context.textAlign = this.axes ? "left" : "right";
    if (this.axes) context.fillText(this.axes.y.title, 0, 2);
    else if (this.options.yTitle) context.fillText(this.options.yTitle, end - 4, top - 4);
    for (const mark of this.options.marks ?? []) this.#mark(context, to, mark);
    if (this.axes) {
      this.font(context, 12);
      const series = this.series.map((one) => ({ ...one, color: this.color(one.color) }));
      drawLegend(context, to, series, { left, right: end, top, floor }, this.color("var(--ink)"));
    }
  }

  /**
   * @param {CanvasRenderingContext2D} context
   * @param {Places & {xs: [number, number]}} to
   */
  #numericPlaces(context, to) {
    const stops = this.axes?.x.log
      ? decades(...to.xs)
      : ticks(...to.xs, 5).filter((value) => value <= to.xs[1]);
    context.textAlign = "center";
    for (const value of stops) {
      const text = short(value),
        half = context.measureText(text).width / 2;
      context.fillText(text, Math.min(to.x(value), this.width - half), this.floor + 5);
    }
  }

  /**
   * @param {CanvasRenderingContext2D} context
   * @param {Places} to
   */
  #indexPlaces(context, to) {
    const { first = 0 } = this.options;
    const stops = ticks(0, this.length - 1 + first, this.width > 420 ? 6 : 4).filter(Number.isInteger);
    for (const name of new Set(stops.map((stop) => Math.max(stop, first)))) {
      const index = name - first;
      context.textAlign = index === 0 ? "left" : index > 0.94 * (this.length - 1) ? "right" : "center";
      context.fillText(String(name), to.x(index), this.floor + 4);
    }
  }

  /**
   * @param {CanvasRenderingContext2D} context
   * @param {Places} to
   * @param {Mark} mark
   */
  #mark(context, to, { x, text, color = "var(--rule-strong)" }) {
    const place = Math.round(to.x(x)) + 0.5,
      { top } = this.margin,
      before = this.axes && place > this.width / 2;
    context.lineWidth = 1;
    stroke(context, this.color(color), place, top, place, this.floor, [4, 3]);
    context.textAlign = before ? "right" : "left";
    context.fillStyle = this.color("var(--ink-soft)");
    context.fillText(text, place + (before ? -5 : 5), top + (this.axes ? 3 : 0));
  }

  /** @param {CanvasRenderingContext2D} context */
  drawOver(context) {
    const { at } = this;
    if (at === null || !this.series.length) return;
    const to = this.scales(),
      place = Math.round(to.x(at)) + 0.5;
    context.globalAlpha = 0.4;
    stroke(context, this.color("var(--ink)"), place, this.margin.top, place, this.floor);
    context.globalAlpha = 1;
    for (const { x, y, color, phases, opacity = 1 } of this.series) {
      const k = x ? (this.axes ? Array.from(x).indexOf(at) : -1) : at;
      if (k < 0 || k >= y.length || opacity < 1 || !Number.isFinite(y[k])) continue;
      context.fillStyle = phases ? phaseColor(this.phases, phases[k]) : this.color(color);
      dot(context, place, to.y(y[k]), this.axes ? 4 : 3.2);
    }
  }
}
