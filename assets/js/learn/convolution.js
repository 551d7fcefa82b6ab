// Lesson 2: the product with a circulant is a convolution, and the FFT makes it cheap.

import { h, setText } from "../shared/dom.js";
import { count, short } from "../shared/format.js";
import { circulantTimes } from "../shared/circulant.js";
import { magnitude, rfft } from "../shared/fft.js";
import { LinePlot } from "../shared/line_plot.js";
import { numbers, panel, renderLesson, slider } from "./parts.js";
import { uniform } from "./random.js";

/** @import { Numbers } from "../shared/fft.js" */
/** @import { Ask, Part } from "../shared/part.js" */
/** @import { Crossover, LessonFixed, Unmeasured } from "../payloads.js" */

const SIZES = [16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024, 1536, 2048, 3072, 4096];

/** FLOPs of one product, counted as cdvft.cost does: a multiply-add 2, a real FFT 2.5 d log2 d, a complex product 6. */
export const work = {
  dense: (/** @type {number} */ d) => 2 * d * d,
  fft: (/** @type {number} */ d) => 2 * 2.5 * d * Math.log2(d) + 6 * (Math.floor(d / 2) + 1),
};

/**
 * A step with noise, and a bell of a sixteenth of the length, centred at place 0 and summing to 1.
 * @param {number} d
 */
function example(d) {
  const next = uniform(5);
  const x = Float64Array.from(
    { length: d },
    (_, i) => (i > d / 4 && i < 0.7 * d ? 1 : 0) + 0.5 * (next() - 0.5),
  );
  const bell = Float64Array.from({ length: d }, (_, k) =>
    Math.exp(-0.5 * (Math.min(k, d - k) / (d / 20)) ** 2),
  );
  const sum = bell.reduce((a, b) => a + b, 0);
  return { x, c: bell.map((value) => value / sum) };
}

/**
 * circ(c) x by its definition, d^2 multiplications.
 * @param {Numbers} c
 * @param {Numbers} x
 */
function byRows(c, x) {
  const d = x.length,
    y = new Float64Array(d);
  for (let i = 0; i < d; i++) for (let j = 0; j < d; j++) y[i] += c[i >= j ? i - j : i - j + d] * x[j];
  return y;
}

/** @param {Part<null, LessonFixed, {crossover: Ask<object, Crossover | Unmeasured>}>} part */
export function mount({ element, props, server }) {
  const readout = numbers();
  const [before, waves, after] = [
    ["x, a vector", "The numbers of x"],
    ["|FFT(c)|, what becomes of each wave", "Size of the eigenvalues of circ(c)"],
    ["circ(c) x", "The numbers of the product"],
  ].map(([title, label]) => {
    const plot = new LinePlot({ label, height: 132 });
    return { plot, node: panel(title, plot.node).node };
  });
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
    "Measure on this server, about 2 s",
  );
  const measured = h("div", { class: "measured" }, h("div", { class: "act-row" }, button, said));

  const follow = (/** @type {number} */ place) => {
    const d = SIZES[place],
      { x, c } = example(d),
      y = circulantTimes(c, x),
      truth = byRows(c, x);
    const error = truth.reduce((most, value, i) => Math.max(most, Math.abs(value - y[i])), 0);
    before.plot.show([{ y: x, color: "var(--ink-soft)" }], { low: -0.4, high: 1.4, xTitle: "place" });
    waves.plot.show([{ y: magnitude(rfft(c)).slice(0, 24), color: "var(--factor-circulant)", width: 2 }], {
      low: 0,
      high: 1.1,
      xTitle: "turns of the wave",
    });
    after.plot.show([{ y, color: "var(--method-cdvft)", width: 2 }], {
      low: -0.4,
      high: 1.4,
      xTitle: "place",
    });
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
      [short(error), "largest difference between the two results, both computed just now"],
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

  renderLesson(
    element,
    props,
    slider({
      label: "d",
      min: 0,
      max: SIZES.length - 1,
      value: 11,
      valueText: (place) => count(SIZES[place]),
      oninput: follow,
    }),
    h("div", { class: "three" }, before.node, waves.node, after.node),
    panel("Work of one product; FFT(c) is counted as known, since it serves every x", costs.node).node,
    readout.node,
    measured,
  );
  follow(11);
}
