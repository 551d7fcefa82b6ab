// Lines and points over two numeric axes, linear or logarithmic, labelled at their ends.

import { powerOfTen, short } from "../shared/format.js";
import { CanvasView } from "../shared/canvas_view.js";
import { ticks } from "../shared/line_plot.js";

const LEFT = 52,
  RIGHT = 14,
  TOP = 26,
  BOTTOM = 34;

export class XYPlot extends CanvasView {
  /** Axes are {title, log, low, high}; limits that are left out come from the numbers. */
  constructor({ label, height, x, y }) {
    super({ label, height, interactive: false });
    Object.assign(this, { axes: { x, y }, series: [], at: null });
    this.node.setAttribute("role", "img");
  }

  /** series: [{x, y, color, width, dash, points, name, opacity}]; `cursor` is a place on the x axis. */
  show(series, { cursor = this.at, marks = [] } = {}) {
    Object.assign(this, { series, at: cursor, marks });
    this.redraw();
  }

  cursor(at) {
    this.at = at;
    this.redrawOver();
  }

  scale(name) {
    const { log } = this.axes[name];
    let { low, high } = this.axes[name];
    const values = this.series
      .flatMap((one) => Array.from(one[name]))
      .filter((value) => Number.isFinite(value) && (!log || value > 0));
    low ??= Math.min(...values) / (log ? 1.3 : 1);
    high ??= Math.max(...values) * (log ? 1.3 : 1);
    if (!(high > low)) high = low + 1;
    const f = log ? Math.log10 : (value) => value;
    const [from, to] = name === "x" ? [LEFT, this.width - RIGHT] : [this.tall - BOTTOM, TOP];
    return {
      low,
      high,
      place: (value) =>
        from + ((f(Math.min(high, Math.max(low, value))) - f(low)) / (f(high) - f(low))) * (to - from),
    };
  }

  stops({ low, high }, log) {
    if (!log) return ticks(low, high, 5).filter((value) => value <= high);
    const found = [];
    const factors = Math.log10(high / low) < 2.6 ? [1, 2, 5] : [1];
    for (let power = Math.floor(Math.log10(low)); power <= Math.ceil(Math.log10(high)); power++) {
      for (const factor of factors) found.push(factor * 10 ** power);
    }
    return found.filter((value) => value >= low * 0.999 && value <= high * 1.001);
  }

  draw(context) {
    if (!this.series.length) return;
    const x = this.scale("x"),
      y = this.scale("y"),
      { axes } = this,
      floor = this.tall - BOTTOM;
    this.font(context);
    context.lineWidth = 1;
    context.textBaseline = "middle";
    context.textAlign = "right";
    for (const value of this.stops(y, axes.y.log)) {
      const at = Math.round(y.place(value)) + 0.5;
      context.strokeStyle = this.color(value === 0 ? "var(--plot-axis)" : "var(--plot-grid)");
      context.beginPath();
      context.moveTo(LEFT, at);
      context.lineTo(this.width - RIGHT, at);
      context.stroke();
      context.fillText(
        axes.y.log && (value >= 1e4 || value < 1e-2)
          ? powerOfTen(Math.round(Math.log10(value)))
          : short(value),
        LEFT - 7,
        at,
      );
    }
    context.textBaseline = "top";
    context.textAlign = "center";
    for (const value of this.stops(x, axes.x.log)) {
      const text = short(value),
        half = context.measureText(text).width / 2;
      context.fillText(text, Math.min(x.place(value), this.width - half), floor + 5);
    }
    context.fillText(axes.x.title, (LEFT + this.width - RIGHT) / 2, floor + 20);
    context.textAlign = "left";
    context.fillText(axes.y.title, 0, 2);
    for (const mark of this.marks ?? []) this.#mark(context, x, floor, mark);
    for (const one of this.series) this.#line(context, x, y, one);
    this.#legend(context);
  }

  #mark(context, x, floor, { at, text }) {
    const place = Math.round(x.place(at)) + 0.5;
    context.strokeStyle = this.color("var(--rule-strong)");
    context.setLineDash([3, 3]);
    context.beginPath();
    context.moveTo(place, TOP);
    context.lineTo(place, floor);
    context.stroke();
    context.setLineDash([]);
    this.font(context);
    context.textAlign = place > this.width / 2 ? "right" : "left";
    context.fillText(text, place + (place > this.width / 2 ? -5 : 5), TOP + 3);
  }

  #line(context, x, y, { x: xs, y: ys, color, width = 1.6, dash = [], points = false, opacity = 1 }) {
    context.strokeStyle = context.fillStyle = this.color(color);
    context.globalAlpha = opacity;
    context.lineWidth = width;
    context.lineJoin = "round";
    context.setLineDash(dash);
    context.beginPath();
    let pen = false;
    for (let k = 0; k < xs.length; k++) {
      const good = Number.isFinite(ys[k]) && (!this.axes.y.log || ys[k] > 0);
      if (good) context[pen ? "lineTo" : "moveTo"](x.place(xs[k]), y.place(ys[k]));
      pen = good;
    }
    if (width) context.stroke(); // a canvas would draw a line of width 0 as wide as the one before
    context.setLineDash([]);
    if (points)
      for (let k = 0; k < xs.length; k++) {
        context.beginPath();
        context.arc(x.place(xs[k]), y.place(ys[k]), 3.2, 0, 7);
        context.fill();
      }
    context.globalAlpha = 1;
  }

  /** Names in the upper corner that has more room, each with a piece of its line. */
  #legend(context) {
    const named = this.series.filter(({ name }) => name);
    const x = this.scale("x"),
      y = this.scale("y"),
      middle = (TOP + this.tall - BOTTOM) / 2;
    const high = (side) =>
      this.series
        .flatMap((one) => Array.from(one.x, (value, k) => [x.place(value), y.place(one.y[k])]))
        .filter(([left, top]) => left > this.width / 2 === side && top < middle).length;
    this.font(context, 12);
    const wide = Math.max(0, ...named.map(({ name }) => context.measureText(name).width)) + 30;
    const left = high(true) > high(false) ? LEFT + 8 : this.width - RIGHT - wide;
    named.forEach((one, index) => {
      const top = TOP + 12 + index * 18;
      context.strokeStyle = this.color(one.color);
      context.lineWidth = one.width ?? 1.6;
      context.setLineDash(one.dash ?? []);
      context.beginPath();
      context.moveTo(left, top);
      context.lineTo(left + 22, top);
      context.stroke();
      context.setLineDash([]);
      context.fillStyle = this.color("var(--ink)");
      context.textAlign = "left";
      context.textBaseline = "middle";
      context.fillText(one.name, left + 28, top);
    });
  }

  drawOver(context) {
    if (this.at === null || !this.series.length) return;
    const x = this.scale("x"),
      y = this.scale("y"),
      place = Math.round(x.place(this.at)) + 0.5;
    context.strokeStyle = this.color("var(--ink)");
    context.globalAlpha = 0.4;
    context.beginPath();
    context.moveTo(place, TOP);
    context.lineTo(place, this.tall - BOTTOM);
    context.stroke();
    context.globalAlpha = 1;
    for (const { x: xs, y: ys, color } of this.series) {
      const k = Array.from(xs).indexOf(this.at);
      if (k < 0 || !Number.isFinite(ys[k])) continue;
      context.fillStyle = this.color(color);
      context.beginPath();
      context.arc(place, y.place(ys[k]), 4, 0, 7);
      context.fill();
    }
  }
}
