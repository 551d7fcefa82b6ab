// A signal pulled apart into its waves, each scaled and moved by FFT(c), and summed again. Waves, signal, FFT(c) and c are
// all dragged.

import { h, isShortcut, setText } from "../shared/dom.js";
import { irfft, rfft, times } from "../shared/fft.js";
import { CanvasView } from "../shared/canvas_view.js";
import { dot, stroke } from "../shared/line_drawing.js";
import { D, fromWaves, HALF, members, waves } from "./machine.js";
import { twoDigits, WAVES } from "./machine_bars.js";
import { gliding } from "./tween.js";
import { vectorBars } from "./vector_bars.js";

/** @import { Complex, Numbers } from "../shared/fft.js" */

const ROW = 46, // pixels of each wave,
  SUM = 86, // and of their sum
  UNIT = 15, // pixels of 1
  SIDE = 8;
const MAX_SIZE = 1.3; // of a wave that is dragged
const LIMIT = 1.5; // of what is drawn of a wave,
const LIMIT_OF_SUM = 2.7; // and of the sum
/** A signal of slow and fast waves, and a c of even waves, whose FFT is real. */
export const FIRST = {
  x: fromWaves({ size: [1.6, 3.4, 2.2, 1.8, 2], angle: [0, -46, 30, -115, 0] }),
  sizes: [0.5, 1.8, 0.4, 1.4, -0.6],
};

/**
 * The part of a real vector that the wave k makes, at any place s.
 * @param {Complex} half
 * @param {number} k
 */
const part = ({ re, im }, k) => {
  const size = (members(k) * Math.hypot(re[k], im[k])) / D,
    turn = Math.atan2(im[k], re[k]);
  return (/** @type {number} */ s) => size * Math.cos((2 * Math.PI * k * s) / D + turn);
};

/** Five waves below each other, and their sum. */
class WaveStack extends CanvasView {
  /** @type {Complex} */
  half = { re: new Float64Array(HALF), im: new Float64Array(HALF) };
  /** @type {number | null} */
  chosen = null;

  /** @param {{label: string, color: string, interactive: boolean}} given */
  constructor({ label, color, interactive }) {
    super({ label, height: ROW * HALF + SUM, interactive });
    this.line = color;
    this.node.classList.add("wave-stack");
    if (!interactive) this.node.setAttribute("role", "img");
  }

  /** @param {number} s */
  x(s) {
    return SIDE + ((this.width - 2 * SIDE) * s) / (D - 1);
  }

  /** @param {CanvasRenderingContext2D} context */
  draw(context) {
    const parts = Array.from({ length: HALF }, (_, k) => part(this.half, k));
    const sum = (/** @type {number} */ s) => parts.reduce((all, wave) => all + wave(s), 0);
    [...parts, sum].forEach((wave, row) => {
      const middle = ROW * row + (row < HALF ? ROW : SUM) / 2,
        limit = row < HALF ? LIMIT : LIMIT_OF_SUM,
        y = (/** @type {number} */ s) => middle - UNIT * Math.max(-limit, Math.min(limit, wave(s)));
      if (row === this.chosen) {
        context.fillStyle = this.color("var(--wash)");
        context.fillRect(0, ROW * row, this.width, row < HALF ? ROW : SUM);
      }
      context.lineWidth = 1;
      stroke(context, this.color("var(--plot-axis)"), SIDE, middle, this.width - SIDE, middle);
      if (row === HALF)
        stroke(context, this.color("var(--rule-strong)"), 0, ROW * row, this.width, ROW * row);
      context.strokeStyle = context.fillStyle = this.color(row === HALF ? "var(--ink)" : this.line);
      context.lineWidth = 1.8;
      context.beginPath();
      for (let at = 0; at <= 8 * (D - 1); at++) context.lineTo(this.x(at / 8), y(at / 8));
      context.stroke();
      for (let s = 0; s < D; s++) dot(context, this.x(s), y(s), 2.6);
    });
  }
}

/**
 * The machine; `onchange(c)` follows every change, `onsettle()` the end of one.
 * @param {{x: Float64Array, c: Float64Array, onchange: () => void, onsettle: () => void}} options
 */
export function waveMachine({ x, c, onchange, onsettle }) {
  const before = new WaveStack({
    label:
      "x and its waves: drag one up or down for its size, along to move it; by keys, choose with ↑ ↓, then ← → and + −",
    color: "var(--ink-soft)",
    interactive: true,
  });
  const after = new WaveStack({
    label: "circ(c) x and its waves",
    color: "var(--factor-circulant)",
    interactive: false,
  });
  const spectrum = waves(c),
    said = h("p", { class: "hidden-text", role: "status" });
  const size = vectorBars({
    values: spectrum.size,
    label: "FFT(c): by how much each wave is scaled",
    bars: WAVES.map((name, k) => ({
      name,
      label: `FFT(c), ${name}, ${members(k) === 1 ? "one value" : "a pair"}`,
      low: members(k) === 1 ? -2 : 0,
      high: 2,
    })),
    text: twoDigits,
    snaps: [0, 1],
    onchange: () => fromSpectrum(),
    onsettle,
  });
  const angle = vectorBars({
    values: spectrum.angle.subarray(1, HALF - 1),
    label: "FFT(c): by how many degrees each pair is moved",
    bars: WAVES.slice(1, HALF - 1).map((name) => ({
      name,
      label: `Angle of ${name}`,
      low: -180,
      high: 180,
    })),
    text: (value) => `${Math.round(value)}°`,
    onchange: () => fromSpectrum(),
    onsettle,
  });
  const column = vectorBars({
    values: c,
    label: "c",
    bars: Array.from({ length: D }, (_, k) => ({ name: `c[${k}]`, label: `c ${k}`, low: -2, high: 2 })),
    text: twoDigits,
    snaps: [0, 1],
    onchange: () => fromColumn(),
    onsettle,
  });

  const draw = () => {
    before.half = rfft(x);
    after.half = times(before.half, rfft(c));
    before.redraw();
    after.redraw();
    onchange();
  };
  const fromSpectrum = () => {
    c.set(fromWaves(spectrum));
    column.draw();
    draw();
  };
  const fromColumn = () => {
    const now = waves(c);
    spectrum.size.set(now.size);
    spectrum.angle.set(now.angle);
    size.draw();
    angle.draw();
    column.draw();
    draw();
  };

  /**
   * Change the size of a wave of x, and the place of a pair.
   * @param {number} k
   * @param {number} higher
   * @param {number} along in places
   */
  const change = (k, higher, along) => {
    const half = rfft(x),
      now = Math.hypot(half.re[k], half.im[k]),
      turn = Math.atan2(half.im[k], half.re[k]);
    const most = (MAX_SIZE * D) / members(k);
    if (members(k) === 1) {
      half.re[k] = Math.max(-most, Math.min(most, half.re[k] + D * higher));
    } else {
      const wanted = Math.max(1e-3, Math.min(most, now + (D * higher) / 2)), // a wave of size 0 would lose its place
        moved = turn - (2 * Math.PI * k * along) / D;
      half.re[k] = wanted * Math.cos(moved);
      half.im[k] = wanted * Math.sin(moved);
    }
    x.set(irfft(half, D));
    draw();
  };
  const { node } = before;
  /** @param {number} row */
  const choose = (row) => {
    before.chosen = Math.min(HALF, Math.max(0, row));
    after.chosen = before.chosen;
    setText(said, before.chosen < HALF ? `The wave ${WAVES[before.chosen]}` : "Their sum, x");
    draw();
  };
  /** @type {{x: number, y: number} | null} */
  let from = null;
  node.addEventListener("pointerdown", (event) => {
    if (event.button) return;
    node.setPointerCapture(event.pointerId);
    choose(Math.floor((event.clientY - node.getBoundingClientRect().top) / ROW));
    from = { x: event.clientX, y: event.clientY };
  });
  node.addEventListener("pointermove", (event) => {
    if (!from || before.chosen === null) return;
    const higher = (from.y - event.clientY) / UNIT,
      step = (before.width - 2 * SIDE) / (D - 1);
    if (before.chosen < HALF) change(before.chosen, higher, (event.clientX - from.x) / step);
    else {
      const place = Math.round((event.clientX - node.getBoundingClientRect().left - SIDE) / step);
      const s = Math.min(D - 1, Math.max(0, place));
      x[s] = Math.max(-LIMIT_OF_SUM, Math.min(LIMIT_OF_SUM, x[s] + higher));
      draw();
    }
    from = { x: event.clientX, y: event.clientY };
  });
  const drop = () => {
    if (!from) return;
    from = null;
    onsettle();
  };
  node.addEventListener("pointerup", drop);
  node.addEventListener("pointercancel", drop);
  node.addEventListener("keydown", (event) => {
    if (isShortcut(event)) return;
    const chosen = before.chosen ?? 0;
    /** @type {Record<string, (() => void) | undefined>} */
    const acts = {
      ArrowDown: () => choose(chosen + 1),
      ArrowUp: () => choose(chosen - 1),
      ArrowRight: () => chosen < HALF && change(chosen, 0, 0.25),
      ArrowLeft: () => chosen < HALF && change(chosen, 0, -0.25),
      "+": () => chosen < HALF && change(chosen, 0.1, 0),
      "-": () => chosen < HALF && change(chosen, -0.1, 0),
    };
    const act = acts[event.key];
    if (!act) return;
    act();
    onsettle();
    event.preventDefault();
  });

  const frame = h(
    "div",
    { class: "wave-machine" },
    h("p", { class: "caption" }, "x"),
    h("p", { class: "caption" }, "FFT(c)"),
    h("p", { class: "caption" }, "circ(c) x"),
    node,
    size.node,
    after.node,
    said,
  );
  const glide = gliding(frame);
  /**
   * Move to another c, and another x.
   * @param {ArrayLike<number>} toC
   * @param {ArrayLike<number>} toX
   */
  const go = (toC, toX = x) =>
    glide(
      [
        [c, toC],
        [x, toX],
      ],
      (ended) => {
        fromColumn();
        if (ended) onsettle();
      },
    );
  draw();
  return { node: frame, column: column.node, angle: angle.node, go };
}
