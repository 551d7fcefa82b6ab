// Lines over an index, redrawn in about a millisecond: for what changes while somebody drags.

import { powerOfTen, short } from "./format.js";
import { CanvasView } from "./canvas_view.js";
import { phaseColor, ramp } from "./colors.js";

const LEFT = 46,
  RIGHT = 8,
  TOP = 8;

/** About `count` round numbers between low and high, and two of them at least. */
export function ticks(low, high, count = 4) {
  const raw = (high - low) / count;
  if (!(raw > 0)) return [low];
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((candidate) => candidate >= raw);
  const found = [];
  for (let value = Math.ceil(low / step) * step; value <= high + step * 1e-9; value += step)
    found.push(Math.abs(value) < step * 1e-9 ? 0 : value);
  return found.length < 2 && count < 12 ? ticks(low, high, count + 1) : found;
}

export class LinePlot extends CanvasView {
  /**
   * `onmove(index)` tells of the place under the pointer, or null. With `onpick(index)` in its place the cursor
   * stays where it was put, and is moved by pressing, dragging and the arrow keys.
   */
  constructor({ label, height = 120, onmove = () => {}, onpick = null }) {
    super({ label, height });
    Object.assign(this, { onmove: onpick ?? onmove, series: [], at: null, options: {} });
    this.node.classList.add("line-plot");
    this.node.addEventListener("pointermove", (event) => (!onpick || event.buttons) && this.#point(event));
    this.node.addEventListener("pointerdown", (event) => this.#point(event));
    if (!onpick) this.node.addEventListener("pointerleave", () => this.point(null));
    this.node.addEventListener("keydown", (event) => {
      const move = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
      if (!move || !this.series.length) return;
      event.preventDefault();
      const stride = event.shiftKey ? Math.max(1, Math.round(this.length / 16)) : 1;
      this.point(Math.min(this.length - 1, Math.max(0, (this.at ?? -move) + move * stride)));
    });
  }

  /**
   * series: [{y, x, color, width, dash, opacity, phases, dots}]: `x` where y's places are not 0, 1, 2, ...; `phases` makes
   * bars coloured by angle, with `dots` points. options: low, high (of y), log, blocks (p: lines between them), marks ([{x, text, color}]),
   * xTitle, yTitle (in the upper right corner), last (the largest x), first (what the place 0 is called; 0), yTicks and yText (of a value) where round
   * numbers do not fit.
   */
  show(series, options = {}) {
    Object.assign(this, { series, options });
    this.length =
      options.last === undefined ? Math.max(1, ...series.map(({ y }) => y.length)) : options.last + 1;
    this.redraw();
  }

  point(index, tell = true) {
    this.at = index;
    this.redrawOver();
    if (tell) this.onmove(index);
  }

  #point(event) {
    const place =
      (event.clientX - this.canvas.getBoundingClientRect().left - LEFT) / (this.width - LEFT - RIGHT);
    this.point(Math.round(Math.min(1, Math.max(0, place)) * (this.length - 1)));
  }

  get bottom() {
    return this.options.xTitle === undefined ? 16 : 30;
  }

  recolor() {
    super.recolor();
    this.phases = ramp(this.node, "cyclic");
  }

  scales() {
    const { log } = this.options;
    let { low, high } = this.options;
    const finite = () =>
      this.series
        .flatMap(({ y }) => Array.from(y))
        .filter((value) => Number.isFinite(value) && (!log || value > 0));
    if (low === undefined) low = finite().reduce((a, b) => Math.min(a, b), Infinity);
    if (high === undefined) high = finite().reduce((a, b) => Math.max(a, b), -Infinity);
    if (!(high > low)) {
      const pad = Math.abs(high) > 0 && Number.isFinite(high) ? Math.abs(high) * 0.5 : 1;
      [low, high] = log ? [0.1, 1] : [(high || 0) - pad, (high || 0) + pad];
    }
    const y = log ? (value) => Math.log10(Math.max(value, 1e-300)) : (value) => value;
    const floor = this.tall - this.bottom,
      span = y(high) - y(low);
    return {
      low,
      high,
      x: (index) => LEFT + (index / Math.max(1, this.length - 1)) * (this.width - LEFT - RIGHT),
      y: (value) => floor - ((y(value) - y(low)) / span) * (floor - TOP),
    };
  }

  draw(context) {
    const { series, options } = this,
      to = this.scales(),
      floor = this.tall - this.bottom;
    this.font(context);
    context.lineWidth = 1;
    context.textBaseline = "middle";
    context.textAlign = "right";
    const shown = options.log
      ? ticks(Math.ceil(Math.log10(to.low)), Math.floor(Math.log10(to.high)), 3)
          .filter(Number.isInteger)
          .map((power) => 10 ** power)
      : (options.yTicks ?? ticks(to.low, to.high, this.tall > 150 ? 4 : 3));
    const fitting = this.tall < 70 ? new Set([shown[0], shown.at(-1)]) : shown;
    for (const value of fitting) {
      const y = Math.round(to.y(value)) + 0.5;
      context.strokeStyle = this.color(value === 0 ? "var(--plot-axis)" : "var(--plot-grid)");
      context.beginPath();
      context.moveTo(LEFT, y);
      context.lineTo(this.width - RIGHT, y);
      context.stroke();
      context.fillText(
        options.yText
          ? options.yText(value)
          : options.log
            ? powerOfTen(Math.round(Math.log10(value)))
            : short(value),
        LEFT - 6,
        y,
      );
    }
    context.textBaseline = "top";
    const first = options.first ?? 0;
    const stops = ticks(0, this.length - 1 + first, this.width > 420 ? 6 : 4).filter(Number.isInteger);
    for (const name of new Set(stops.map((stop) => Math.max(stop, first)))) {
      const index = name - first;
      context.textAlign = index === 0 ? "left" : index > 0.94 * (this.length - 1) ? "right" : "center";
      context.fillText(String(name), to.x(index), floor + 4);
    }
    if (options.xTitle) {
      context.textAlign = "center";
      context.fillText(options.xTitle, (LEFT + this.width - RIGHT) / 2, floor + 17);
    }
    context.save();
    context.beginPath();
    context.rect(LEFT, TOP - 3, this.width - LEFT - RIGHT + 1, floor - TOP + 6);
    context.clip();
    if (options.blocks) {
      context.strokeStyle = this.color("var(--rule-strong)");
      context.beginPath();
      for (let index = options.blocks; index < this.length; index += options.blocks) {
        const x = Math.round(to.x(index - 0.5)) + 0.5;
        context.moveTo(x, TOP);
        context.lineTo(x, floor);
      }
      context.setLineDash([2, 4]); // no bar or line looks like that
      context.stroke();
      context.setLineDash([]);
    }
    for (const one of series) one.phases ? this.#bars(context, to, one, floor) : this.#line(context, to, one);
    context.restore();
    if (options.yTitle) {
      context.textAlign = "right";
      context.textBaseline = "top";
      context.fillStyle = this.color("var(--ink-soft)");
      context.fillText(options.yTitle, this.width - RIGHT - 4, TOP - 4);
    }
    for (const mark of options.marks ?? []) {
      const x = Math.round(to.x(mark.x)) + 0.5;
      context.strokeStyle = this.color(mark.color);
      context.setLineDash([4, 3]);
      context.beginPath();
      context.moveTo(x, TOP);
      context.lineTo(x, floor);
      context.stroke();
      context.setLineDash([]);
      context.textAlign = "left";
      context.textBaseline = "top";
      context.fillStyle = this.color("var(--ink-soft)");
      context.fillText(mark.text, x + 5, TOP);
    }
  }

  #line(context, to, { y, x, color, width = 1.4, dash = [], opacity = 1 }) {
    context.strokeStyle = this.color(color);
    context.globalAlpha = opacity;
    context.lineWidth = width;
    context.setLineDash(dash);
    context.lineJoin = "round";
    context.beginPath();
    let pen = false;
    for (let index = 0; index < y.length; index++) {
      const good = Number.isFinite(y[index]) && (!this.options.log || y[index] > 0);
      if (good)
        pen
          ? context.lineTo(to.x(x ? x[index] : index), to.y(y[index]))
          : context.moveTo(to.x(x ? x[index] : index), to.y(y[index]));
      pen = good;
    }
    context.stroke();
    context.setLineDash([]);
    context.globalAlpha = 1;
  }

  #bars(context, to, { y, phases, dots }, floor) {
    const thick = Math.max(dots ? 2.5 : 1, ((this.width - LEFT - RIGHT) / this.length) * 0.8);
    for (let index = 0; index < y.length; index++) {
      context.fillStyle = phaseColor(this.phases, phases[index]);
      const top = to.y(y[index]);
      context.fillRect(
        to.x(index) - thick / 2,
        dots ? top - thick / 2 : top,
        thick,
        dots ? thick : Math.max(0.5, floor - top),
      );
    }
  }

  drawOver(context) {
    if (this.at === null || !this.series.length) return;
    const to = this.scales(),
      x = Math.round(to.x(this.at)) + 0.5;
    context.strokeStyle = this.color("var(--ink)");
    context.globalAlpha = 0.4;
    context.beginPath();
    context.moveTo(x, TOP);
    context.lineTo(x, this.tall - this.bottom);
    context.stroke();
    context.globalAlpha = 1;
    for (const { y, x: places, color, phases, opacity = 1 } of this.series) {
      if (places || opacity < 1 || !(this.at < y.length) || !Number.isFinite(y[this.at])) continue;
      context.fillStyle = phases ? phaseColor(this.phases, phases[this.at]) : this.color(color);
      context.beginPath();
      context.arc(x, to.y(y[this.at]), 3.2, 0, 7);
      context.fill();
    }
  }
}
