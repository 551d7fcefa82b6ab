// The product with a circulant, by hand: row by row, and by FFT; then what both cost at any length, counted and timed.

import { h, setText } from "../shared/dom.js";
import { count, short } from "../shared/format.js";
import { LinePlot } from "../shared/line_plot.js";
import { work } from "./by_hand.js";
import { handCalculation, MAX_PRODUCTS } from "./hand_calculation.js";
import { keptState } from "./kept_state.js";
import { numbers, panel, renderLesson, slider } from "./parts.js";

/** @import { Ask, Part } from "../shared/part.js" */
/** @import { Crossover, ProductsFixed, Unmeasured } from "../payloads.js" */

const SIZES = [16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024, 1536, 2048, 3072, 4096];

/** @param {Part<null, ProductsFixed, {crossover: Ask<object, Crossover | Unmeasured>}>} part */
export function mount({ element, props, server }) {
  const readout = numbers(),
    kept = keptState(element, "values");
  const costs = new LinePlot({
    label: "Work of one product against d",
    height: 250,
    axes: {
      x: { title: "d, length of the vector", log: true, low: 16, high: 4096 },
      y: { title: "FLOPs", log: true, low: 300, high: 4e7 },
    },
  });
  const times = new LinePlot({
    label: "Measured time of one product against d",
    height: 250,
    axes: {
      x: { title: "d, length of the vector", log: true, low: 16, high: 4096 },
      y: { title: "microseconds", log: true },
    },
  });
  const said = h(
    "p",
    { class: "quiet", role: "status" },
    "Fewer operations need not mean less time: multiplying matrices is what processors do best. So measure it.",
  );
  const button = h(
    "button",
    { type: "button", class: "act", onclick: measure },
    `Measure ${props.where}, about 2 s`,
  );
  const measured = h("div", { class: "measured" }, h("div", { class: "act-row" }, button, said));

  const follow = (/** @type {number} */ place) => {
    const d = SIZES[place];
    costs.show(
      [
        {
          x: SIZES,
          y: SIZES.map(work.dense),
          color: "var(--ink-soft)",
          width: 1.6,
          dash: [6, 4],
          name: "row by row, 2 d²",
        },
        {
          x: SIZES,
          y: SIZES.map(work.fft),
          color: "var(--method-cdvft)",
          width: 2.4,
          name: "by FFT, about 5 d log₂ d",
        },
      ],
      { cursor: d },
    );
    times.point(d);
    readout.set([
      [count(work.dense(d)), "FLOPs row by row"],
      [count(Math.round(work.fft(d))), "FLOPs by FFT"],
      [`${short((100 * work.fft(d)) / work.dense(d))} %`, "of the work row by row"],
    ]);
  };

  async function measure() {
    button.disabled = true;
    setText(said, "Measuring both ways at nine lengths …");
    try {
      const measurement = await server.crossover({});
      if ("error" in measurement) {
        setText(said, measurement.error);
        button.disabled = false;
        return;
      }
      const { lengths, dense, fft, sentence } = measurement;
      if (!times.node.isConnected) measured.prepend(panel("Measured time of one product", times.node).node);
      times.show([
        {
          x: lengths,
          y: dense,
          color: "var(--ink-soft)",
          width: 1.6,
          dash: [6, 4],
          points: true,
          name: "matrix product",
        },
        { x: lengths, y: fft, color: "var(--method-cdvft)", width: 2.4, points: true, name: "by FFT" },
      ]);
      setText(said, sentence);
    } catch {
      setText(said, "The server did not answer. Try again in a moment.");
    }
    button.disabled = false;
  }

  const first = kept.number(1, SIZES.indexOf(768), 0, SIZES.length - 1);
  renderLesson(
    element,
    handCalculation({
      value: kept.number(0, 0, 0, MAX_PRODUCTS),
      onsettle: (done) => kept.set(0, done),
    }),
    slider({
      label: "d, length of the vector",
      min: 0,
      max: SIZES.length - 1,
      value: first,
      valueText: (place) => count(SIZES[place]),
      oninput: follow,
      onchange: (place) => kept.set(1, place),
    }),
    panel("Work of one product; FFT(c) is counted as known, since it serves every x", costs.node).node,
    readout.node,
    measured,
  );
  follow(first);
}
