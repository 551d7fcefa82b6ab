// A wave that goes into a circulant and what comes out of it, moving.

import { CanvasView } from "../shared/canvas_view.js";
import { dot, stroke } from "../shared/line_drawing.js";
import { D, throughCirculant } from "./machine.js";

/** @import { Numbers } from "../shared/fft.js" */

const TURNS_A_SECOND = 0.25;
const SIDE = 34; // pixels left of the waves

export class WaveView extends CanvasView {
  /** @type {Numbers} */
  c = new Float64Array(D);
  k = 1;
  moment = 0.6; // radians

  constructor() {
    super({
      label: "A wave before and after the circulant",
      height: (width) => Math.min(190, width * 0.46),
      interactive: false,
    });
    this.node.setAttribute("role", "img");
  }

  /**
   * @param {Numbers} c
   * @param {number} k
   */
  show(c, k) {
    this.c = c;
    this.k = k;
    this.redraw();
  }

  /**
   * Move on by so many seconds.
   * @param {number} seconds
   */
  advance(seconds) {
    this.moment = (this.moment + 2 * Math.PI * TURNS_A_SECOND * seconds) % (2 * Math.PI);
    this.redraw();
  }

  /** @param {CanvasRenderingContext2D} context */
  draw(context) {
    const wave = throughCirculant(this.c, this.k, this.moment);
    const middle = this.tall / 2,
      most = wave.size > 3 ? 8 : 3, // what fills half the height, as a number
      unit = (this.tall / 2 - 8) / most;
    const x = (/** @type {number} */ s) => SIDE + ((this.width - SIDE - 8) * s) / (D - 1),
      y = (/** @type {number} */ value) => middle - unit * value;
    context.lineWidth = 1;
    stroke(context, this.color("var(--plot-axis)"), SIDE, middle, this.width - 8, middle);
    this.font(context);
    context.textAlign = "right";
    context.textBaseline = "middle";
    for (const value of [-most, -1, 0, 1, most])
      context.fillText(String(value).replace("-", "−"), SIDE - 8, y(value));
    this.#wave(context, wave.in, x, y, "var(--ink-soft)", 1.6, [5, 4]);
    this.#wave(context, wave.out, x, y, "var(--method-cdvft)", 2.4, []);
  }

  /**
   * @param {CanvasRenderingContext2D} context
   * @param {(s: number) => number} wave
   * @param {(s: number) => number} x
   * @param {(value: number) => number} y
   * @param {string} color
   * @param {number} width
   * @param {number[]} dash
   */
  #wave(context, wave, x, y, color, width, dash) {
    context.strokeStyle = context.fillStyle = this.color(color);
    context.lineWidth = width;
    context.setLineDash(dash);
    context.beginPath();
    for (let at = 0; at <= 20 * (D - 1); at++) {
      const s = at / 20;
      if (at) context.lineTo(x(s), y(wave(s)));
      else context.moveTo(x(s), y(wave(s)));
    }
    context.stroke();
    context.setLineDash([]);
    for (let s = 0; s < D; s++) dot(context, x(s), y(wave(s)), 3.2);
  }
}
