// One wave through the circulant, playing: which wave, and a button that stops it.

import { h, segmented, setText } from "../shared/dom.js";
import { short } from "../shared/format.js";
import { D, HALF, waves } from "./machine.js";
import { prefersStill } from "./tween.js";
import { WaveView } from "./wave_view.js";

/** @import { Numbers } from "../shared/fft.js" */

/** @param {string} id unique on the page */
export function wavePlayer(id) {
  const view = new WaveView();
  let playing = !prefersStill(),
    k = 1;
  /** @type {Numbers} */
  let c = new Float64Array(D);
  const words = h("p", { class: "quiet", role: "status" });
  const button = h("button", { type: "button", class: "act", onclick: () => play(!playing) });
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
    const turned =
      size[k] < 0 ? "turned upside down" : angle[k] ? `moved by ${Math.round(angle[k])}°` : "not moved";
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
  new IntersectionObserver(start, { rootMargin: "200px" }).observe(view.node);
  play(playing);
  return {
    node: h(
      "figure",
      { class: "panel wave" },
      h("figcaption", {}, "A wave goes in (grey, dashed) and comes out of circ(c) (blue)"),
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
