// The product with a circulant through the waves of x, and its cost against the length, counted and timed.

import { actButton, h, setText } from "../shared/dom.js";
import { tell } from "../shared/events.js";
import { count, percent } from "../shared/format.js";
import { LinePlot } from "../shared/line_plot.js";
import { outcomeOf } from "../shared/request.js";
import { work } from "./flops.js";
import { keptState } from "./kept_state.js";
import { D, fromWaves, unit } from "./machine.js";
import { fromHundredths, fromWavesText, hundredths, wavesText } from "./machine_states.js";
import { numbers, panel, renderLesson, slider, stage } from "./parts.js";
import { afterwards, onPrediction } from "./revealing.js";
import { FIRST, waveMachine } from "./wave_machine.js";

/** @import { Part } from "../shared/part.js" */
/** @import { Crossover, Servers } from "../payloads.js" */

const SIZES = [16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024, 1536, 2048, 3072, 4096];
const LARGEST = 20; // number of x that a link may hold: more than hands make of one

/** @param {Part<null, object, Servers["learn/products"]>} part */
export function mount({ element, server, life }) {
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
  const button = actButton("Measure on this server, about 2 s", measure);
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
          color: "var(--factor-circulant)",
          width: 2.4,
          name: "by FFT, 5 d log₂ d + 3 d + 6",
        },
      ],
      { cursor: d },
    );
    times.point(d);
    readout.set([
      [count(work.dense(d)), "FLOPs row by row"],
      [count(Math.round(work.fft(d))), "FLOPs by FFT"],
      [percent(work.fft(d) / work.dense(d)), "of the work row by row"],
    ]);
  };

  async function measure() {
    button.disabled = true;
    setText(said, "Measuring both ways, at one length after the other …");
    const { answer, problem } = await outcomeOf(server.crossover({}));
    button.disabled = false;
    setText(said, answer?.sentence ?? problem);
    if (!answer) return;
    const { lengths, dense, fft } = answer;
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
      { x: lengths, y: fft, color: "var(--factor-circulant)", width: 2.4, points: true, name: "by FFT" },
    ]);
  }

  const first = kept.number(1, SIZES.indexOf(768), 0, SIZES.length - 1);
  const start = fromWaves({ size: FIRST.sizes, angle: new Float64Array(FIRST.sizes.length) }),
    x = Float64Array.from(fromHundredths(kept.at(2), D, LARGEST) ?? FIRST.x),
    c = fromWavesText(kept.at(3)) ?? start.slice();
  const machine = waveMachine({
    x,
    c,
    onchange: () => {
      if (c.every((value, k) => Math.abs(value - (k ? 0 : 1)) < 1e-9)) tell("task-reached", "fft-one");
    },
    onsettle: () => kept.set(2, hundredths(x), wavesText(c)),
  });
  onPrediction(element, life, (key) => key === "fft-one" && machine.go(unit(0)));
  /**
   * @param {string} text
   * @param {ArrayLike<number>} to
   */
  const preset = (text, to) => actButton(text, () => machine.go(to));
  renderLesson(
    element,
    stage(machine.node),
    panel("c, which follows FFT(c)", machine.column).node,
    afterwards(element, [
      h(
        "div",
        { class: "act-row presets" },
        actButton("As at first", () => machine.go(start, FIRST.x)),
        preset("Zero", new Float64Array(D)),
        preset("c = (1, 0, …, 0)", unit(0)),
        preset("A shift", unit(2)),
      ),
      panel("Angle of FFT(c): by how many degrees each pair is moved", machine.angle).node,
    ]),
    afterwards(
      element,
      [
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
      ],
      "fft",
    ),
  );
  follow(first);
}
