// A learning rate that is too high, and a product with too few digits, both computed in the browser.

import { find, h, segmented, setText } from "../shared/dom.js";
import { tell } from "../shared/events.js";
import { count, percent, short } from "../shared/format.js";
import { circulantTimes } from "../shared/circulant.js";
import { LinePlot } from "../shared/line_plot.js";
import { table } from "../shared/table.js";
import { whenFirstInView } from "../shared/shown.js";
import { keptState } from "./kept_state.js";
import { numbers, panel, renderLesson, settleSlider, slider, stage } from "./parts.js";
import { normals } from "./random.js";
import { afterwards, onPrediction, whenRevealed } from "./revealing.js";
import { roundedProduct, roundedRows } from "./rounding.js";
import { goingWrong, LOSSES, STEPS, training } from "./trial.js";

/** @import { Part } from "../shared/part.js" */

const D = 256;
/** @type {Record<number, string | undefined>} by the bits after the point */
const NAMES = { 23: "float32", 10: "float16", 7: "bfloat16" };
const RATES = [0.001, 0.003, 0.01, 0.03, 0.05, 0.1, 0.15, 0.2, 0.3, 1];
/** @type {[number, string][]} */
const FORMS = [2, 3, 4].map((m) => [m, `m = ${m}`]);
const MILLISECONDS = 8; // of training in a frame
const SERVES = 0.03; // m = 2, and not each m
const GROWN = 1.1; // each vector
const BITS = 23; // after the point of a float32

/** @param {Part<null>} part */
export function mount({ element, life }) {
  find(element, ".mount").classList.add("breaking");
  const kept = keptState(element, "values"),
    dropped = kept.number(0, 0, 0, 19),
    chosen = kept.number(1, 3, 0, RATES.length - 1);
  const c = normals(D, 61).map((value, k) => value * Math.exp(-k / 20)),
    x = normals(D, 62);
  const truth = circulantTimes(c, x),
    size = Math.hypot(...truth),
    readout = numbers();
  const product = new LinePlot({
    label: "Size of the error of each number of the product, beside its size",
    height: 170,
  });
  const round = (/** @type {number} */ left) => {
    const bits = BITS - left,
      found = roundedProduct(c, x, bits),
      rows = roundedRows(c, x, bits);
    const error = (/** @type {number[]} */ way) =>
      percent(Math.hypot(...truth.map((value, i) => value - way[i])) / size);
    const seen = Array.from(truth.slice(0, 64));
    product.show(
      [
        { y: seen.map(Math.abs), color: "var(--ink-soft)", width: 1.4, opacity: 0.6 },
        {
          y: seen.map((value, i) => Math.abs(value - rows[i])),
          color: "var(--ink)",
          width: 1.4,
          dash: [3, 3],
        },
        { y: seen.map((value, i) => Math.abs(value - found[i])), color: "var(--factor-circulant)", width: 2 },
      ],
      { log: true, low: 1e-9, high: 30 },
    );
    readout.set([
      [error(found), "error of circ(c) x by FFT"],
      [error(rows), "error row by row, one product added after the other"],
      [`1 in ${count(2 ** (bits + 1))}`, "largest rounding error of one single number"],
    ]);
  };
  const words = (/** @type {number} */ left) =>
    `${BITS - left} bits${NAMES[BITS - left] ? `, as ${NAMES[BITS - left]} has` : ""}`;

  const losses = new LinePlot({ label: "Training loss", height: 200 });
  const outcome = h("p", { class: "outcome", role: "status" });
  let place = chosen,
    m = kept.number(2, 2, 2, 4);
  let current = 0; // which training goes on
  const draw = (/** @type {number[]} */ seen, /** @type {string | null} */ failed) =>
    losses.show(
      [
        {
          y: seen.map((loss) => (Number.isFinite(loss) ? loss : NaN)),
          color: failed ? "var(--danger)" : "var(--method-cdvft)",
          width: 2,
        },
      ],
      { log: true, ...LOSSES, first: 1, last: STEPS - 1, xTitle: "steps" },
    );
  /** @type {Map<string, boolean>} by rate and m, whether the training held */
  const tried = new Map();
  const trials = table({ label: "Which rates hold", class: "numbers lesson-table" });
  /**
   * @param {number} rate
   * @param {number} form
   */
  const keyOf = (rate, form) => `${rate} ${form}`;
  const drawTrials = () =>
    trials.fill(
      ["", ...FORMS.map(([form, title]) => `${title}: ${2 * form - 1} vectors`)],
      [
        [
          "ΔW, when each vector grows by a tenth",
          ...FORMS.map(([form]) => `× ${(GROWN ** (2 * form - 1)).toFixed(2)}`),
        ],
        ...RATES.filter((rate) => FORMS.some(([form]) => tried.has(keyOf(rate, form)))).map((rate) => [
          `rate ${rate}`,
          ...FORMS.map(([form]) => {
            const held = tried.get(keyOf(rate, form));
            return held === undefined ? "" : held ? "holds" : h("b", {}, "breaks");
          }),
        ]),
      ],
      "Which rates hold, of those that were tried here",
    );
  /**
   * Train some milliseconds a frame, while that is wanted; `seen(losses, failed, on)` follows each frame.
   * @param {{m: number, rate: number}} settings
   * @param {() => boolean} wanted
   * @param {(losses: number[], failed: string | null, on: boolean) => void} seen
   */
  const train = (settings, wanted, seen) => {
    const run = training(settings);
    const frame = () => {
      if (!wanted() || life.aborted) return;
      const until = performance.now() + MILLISECONDS;
      let on = true;
      while (on && performance.now() < until) on = run.step();
      const failed = on ? null : goingWrong(run.losses);
      if (!on) {
        tried.set(keyOf(settings.rate, settings.m), failed === null);
        drawTrials();
      }
      seen(run.losses, failed, on);
      if (on) requestAnimationFrame(frame);
    };
    requestAnimationFrame(frame);
  };
  const trainChosen = () => {
    const mine = ++current,
      rate = RATES[place];
    setText(outcome, `Training with the rate ${rate} …`);
    train(
      { m, rate },
      () => mine === current,
      (seen, failed, on) => {
        draw(seen, failed);
        if (on) return;
        const steps = seen.length;
        setText(
          outcome,
          failed
            ? `Broken at step ${steps}: ${failed}.`
            : `All ${STEPS} steps done: loss ${short(seen[0])} → ${short(seen[steps - 1])}.`,
        );
        if (failed) tell("task-reached", "breaking-rate");
      },
    );
  };
  /** One after the other, each m with the rate that serves m = 2. */
  const trainOthers = () => {
    const next = FORMS.find(([form]) => !tried.has(keyOf(SERVES, form)));
    if (next)
      train(
        { m: next[0], rate: SERVES },
        () => true,
        (_, __, on) => on || trainOthers(),
      );
  };
  const rate = slider({
    label: "learning rate",
    min: 0,
    max: RATES.length - 1,
    value: chosen,
    valueText: (at) => String(RATES[at]),
    oninput: (at) => {
      place = at;
      trainChosen();
    },
    onchange: () => kept.set(1, place, m),
  });
  onPrediction(element, life, (key) => {
    if (key === "breaking-rate") settleSlider(rate, RATES.indexOf(0.15));
    else settleSlider(digits, BITS - 7);
  });
  const digits = slider({
    label: "bits after the point",
    min: 0,
    max: 19,
    value: dropped,
    valueText: words,
    oninput: round,
    onchange: (left) => kept.set(0, left),
  });
  const note = h("p", { class: "quiet source" });
  setText(
    note,
    "Your browser rounds every number after every addition and multiplication to so many bits; the range of float16, which ends at 65,504, is not part of it.",
  );
  renderLesson(
    element,
    rate,
    stage(panel("Training loss, logarithmic", losses.node).node),
    outcome,
    afterwards(element, [
      segmented("Factors", `breaking-${element.id}`, FORMS, m, (given) => {
        m = given;
        kept.set(1, place, m);
        trainChosen();
      }),
      trials.node,
      h("h3", { class: "half" }, "Too few digits"),
      digits,
      panel(
        "Error of 64 numbers of circ(c) x, logarithmic: by FFT (magenta), row by row (dashed); their true size is grey",
        product.node,
      ).node,
      readout.node,
      note,
    ]),
  );
  round(dropped);
  drawTrials();
  whenFirstInView(losses.node, trainChosen);
  whenRevealed(element, trainOthers);
}
