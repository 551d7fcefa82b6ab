// One wave through the circulant, what goes in and what comes out, moving: which wave, and a button that stops it.

import { actButton, h, prefersStill, segmented, setText } from "../shared/dom.js";
import { short } from "../shared/format.js";
import { D, HALF, waves, throughCirculant } from "./machine.js";
import { CanvasView } from "../shared/canvas_view.js";
import { dot, stroke } from "../shared/line_drawing.js";
import { onView } from "../shared/shown.js";

/** @import { Numbers } from "../shared/fft.js" */

const TURNS_A_SECOND = 0.25;
const SIDE = 34; // pixels left of the waves

class WaveView extends CanvasView {
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
    this.#wave(context, wave.out, x, y, "var(--factor-circulant)", 2.4, []);
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

/** @param {string} id unique on the page */
export function wavePlayer(id) {
  const view = new WaveView();
  let playing = !prefersStill(),
    k = 1;
  /** @type {Numbers} */
  let c = new Float64Array(D);
  const words = h("p", { class: "quiet", role: "status" });
  const button = actButton("", () => play(!playing));
  const choices = segmented(
    "Wave",
    `wave-${id}`,
    Array.from({ length: HALF }, (_, wave) => [
      wave,
      wave === 0 ? "constant" : wave === D / 2 ? "alternating" : `${wave}`,
    ]),
    k,
    (chosen) => choose(chosen),
  );

  const draw = () => {
    view.show(c, k);
    const { size, angle } = waves(c);
    const scaled = short(Math.round(100 * Math.abs(size[k])) / 100);
    const degrees = Math.round(angle[k]),
      moved = degrees
        ? `moved by ${Math.abs(degrees)}° to the ${degrees > 0 ? "left" : "right"}`
        : "not moved",
      turned = size[k] < 0 ? "turned upside down" : moved;
    setText(
      words,
      Number(scaled)
        ? `circ(c) gives the same wave, ${scaled} times as high, ${turned}.`
        : "Silenced: nothing comes out.",
    );
  };
  /** @param {number} wave */
  const choose = (wave) => {
    if (wave === k) return;
    k = wave;
    choices.querySelectorAll("input").forEach((input, at) => {
      input.checked = at === k;
    });
    draw();
  };

  let last = 0;
  const frame = (/** @type {number} */ now) => {
    if (!playing || !view.inView || !view.node.isConnected) {
      last = 0;
      return;
    }
    if (last) view.advance(Math.min(0.1, (now - last) / 1000));
    last = now;
    requestAnimationFrame(frame);
  };
  const start = () => {
    if (playing && !last) requestAnimationFrame(frame);
  };
  /** @param {boolean} on */
  function play(on) {
    playing = on;
    setText(button, on ? "Stop the wave" : "Play the wave");
    start();
  }
  // The view's own observer comes first, so `inView` is up to date here.
  onView(view.node, start, "200px");
  play(playing);
  return {
    node: h(
      "figure",
      { class: "panel wave" },
      h("figcaption", {}, "A wave goes in (grey, dashed) and comes out of circ(c) (magenta)"),
      h("div", { class: "act-row" }, choices, button),
      view.node,
      words,
    ),
    show: (/** @type {Numbers} */ now) => {
      c = now;
      draw();
    },
    choose,
  };
}
