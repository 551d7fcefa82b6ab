// Plays a run's snapshots: the loss curve with a cursor, a slider over the snapshots under it, and Play.

import { button, h, prefersStill, setText } from "../shared/dom.js";
import { short } from "../shared/format.js";
import { LinePlot } from "../shared/line_plot.js";
import { smoothed } from "../shared/smoothing.js";
import { nearestIndex } from "./data.js";

const WHOLE = 7000; // milliseconds for all snapshots,
const EACH = [90, 300]; // with at least, and at most, so many for one
const LEFT = 46,
  RIGHT = 8; // as LinePlot has them, so that slider and curve agree
/** @type {Record<string, number | undefined>} */
const MOVES = { ArrowRight: 1, ArrowUp: 1, PageUp: 1, ArrowLeft: -1, ArrowDown: -1, PageDown: -1 };

export class Player {
  /**
   * `onstep(t)` is called with the snapshot that is shown, while it plays for every frame `onframe(t)` with a place
   * between two of them; it says whether that is drawn, or still being built.
   * @param {(t: number) => void} onstep
   * @param {(t: number) => boolean} onframe
   */
  constructor(onstep, onframe) {
    this.onstep = onstep;
    this.onframe = onframe;
    this.steps = [0];
    /** @type {number[][]} */
    this.losses = [];
    this.t = 0;
    /** @type {number | undefined} the next frame, while it plays */
    this.frame = undefined;
    this.plot = new LinePlot({
      label: "Training loss; the cursor is the snapshot that is shown",
      height: (width) => (width < 420 ? 56 : 72),
      onpick: (step) => this.set(nearestIndex(this.steps, step)),
    });
    this.slider = h("input", {
      type: "range",
      min: 0,
      max: 0,
      step: 1,
      value: 0,
      "aria-label": "Training step",
      oninput: () => this.set(nearestIndex(this.steps, Number(this.slider.value))),
      onkeydown: (event) => this.#key(event),
    });
    this.button = button("Play", () => (this.playing ? this.pause() : this.play()), { class: "play" });
    this.track = h("div", { class: "player-slider" }, this.slider);
    this.readout = h("p", { class: "readout" });
    this.node = h(
      "div",
      { class: "player" },
      h("div", { class: "player-head" }, this.button, this.readout),
      this.plot.node,
      this.track,
    );
  }

  /** @param {{steps: number[], losses: number[][], color: string}} run */
  show({ steps, losses, color }) {
    this.pause();
    this.steps = steps;
    this.losses = losses;
    const end = steps[steps.length - 1];
    this.slider.max = String(end); // training steps, which need not be evenly spaced
    const last = Math.max(end, losses.at(-1)?.[0] ?? 0);
    // The thumb's middle runs from half its width to half its width before the end.
    const part = end / Math.max(1, last);
    this.track.style.padding = `0 ${RIGHT - 8}px 0 ${LEFT - 8}px`;
    this.slider.style.width = `calc(${100 * part}% - ${16 * part}px + 16px)`;
    const x = losses.map(([step]) => step),
      y = losses.map(([, loss]) => loss);
    this.plot.show(
      losses.length
        ? [
            { x, y, color: color, opacity: 0.25, width: 1 },
            { x, y: smoothed(y, 0.85), color, width: 2 },
          ]
        : [],
      { last, yTitle: "loss" },
    );
    this.set(steps.length - 1);
  }

  /** @param {number} t */
  set(t) {
    this.t = t;
    const step = this.steps[t],
      loss = this.losses.findLast(([at]) => at <= step)?.[1];
    const text = `step ${step} of ${this.steps.at(-1)}${loss === undefined ? "" : `, loss ${short(loss)}`}`;
    if (this.slider.value !== String(step)) this.slider.value = String(step);
    this.slider.setAttribute("aria-valuetext", text);
    setText(this.readout, text);
    this.plot.point(step, false);
    this.onstep(t);
  }

  /**
   * A key moves to the next snapshot, however far that is.
   * @param {KeyboardEvent} event
   */
  #key(event) {
    const move = MOVES[event.key];
    if (!move) return;
    event.preventDefault();
    this.set(Math.min(this.steps.length - 1, Math.max(0, this.t + move)));
  }

  get playing() {
    return this.frame !== undefined;
  }

  play() {
    const last = this.steps.length - 1;
    const each = Math.min(EACH[1], Math.max(EACH[0], WHOLE / Math.max(1, last))),
      still = prefersStill();
    let before = this.t >= last ? 0 : this.t,
      began = performance.now() - each * before;
    const draw = (/** @type {number} */ now) => {
      if (!this.node.isConnected) return this.pause();
      if (this.t !== before) began = now - each * this.t; // somebody moved the slider meanwhile
      const at = Math.min(last, Math.max(this.t, (now - began) / each));
      if (Math.floor(at) > this.t) this.set(Math.floor(at));
      else if (!still && at > this.t) this.onframe(at);
      before = this.t;
      if (at >= last && this.onframe(last)) return this.pause();
      this.frame = requestAnimationFrame(draw);
    };
    this.frame = requestAnimationFrame(draw);
    if (before !== this.t) this.set(before); // it plays already: nothing holds the page's thread
    setText(this.button, "Pause");
  }

  /** Stop at the snapshot that was reached. */
  pause() {
    if (this.frame === undefined) return;
    cancelAnimationFrame(this.frame);
    this.frame = undefined;
    setText(this.button, "Play");
    this.onframe(this.t);
  }
}
