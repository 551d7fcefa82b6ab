// A Fourier transform with too few digits, and a learning rate that is too high for a real training.

import { find, h, setText } from "../shared/dom.js";
import { short } from "../shared/format.js";
import { circulantTimes } from "../shared/circulant.js";
import { LinePlot } from "../shared/line_plot.js";
import { newest } from "../shared/part.js";
import { keptState } from "./kept_state.js";
import { numbers, panel, renderLesson, slider } from "./parts.js";
import { normals } from "./random.js";
import { whenRevealed } from "./revealing.js";
import { roundedProduct } from "./rounding.js";

/** @import { Ask, Part } from "../shared/part.js" */
/** @import { Trial, Unmeasured } from "../payloads.js" */

const D = 256;
/** @type {Record<number, string | undefined>} by the bits after the point */
const NAMES = { 23: "float32", 10: "float16", 7: "bfloat16" };
const RATES = [0.001, 0.003, 0.01, 0.03, 0.05, 0.1, 0.15, 0.2, 0.3, 1];

/** @param {Part<null, object, {trial: Ask<{rate: number}, Trial | Unmeasured>}>} part */
export function mount({ element, server, life }) {
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
    const bits = 23 - left,
      found = roundedProduct(c, x, bits);
    const error = Math.hypot(...truth.map((value, i) => value - found[i])) / size;
    const seen = Array.from(truth.slice(0, 64));
    product.show(
      [
        { y: seen.map(Math.abs), color: "var(--ink-soft)", width: 1.4, opacity: 0.6 },
        { y: seen.map((value, i) => Math.abs(value - found[i])), color: "var(--method-cdvft)", width: 2 },
      ],
      { log: true, low: 1e-8, high: 30 },
    );
    readout.set([
      [`${short(100 * error)} %`, "relative error of circ(c) x"],
      [`1 in ${(2 ** (bits + 1)).toLocaleString("en-US")}`, "largest rounding error of one single number"],
    ]);
  };
  const words = (/** @type {number} */ left) =>
    `${23 - left} bits${NAMES[23 - left] ? `, as ${NAMES[23 - left]} has` : ""}`;

  const losses = new LinePlot({ label: "Training loss of the small run", height: 170 });
  const outcome = h(
    "div",
    { class: "outcome", role: "status" },
    h("p", { class: "quiet" }, "A small layer is trained …"),
  );
  const frame = panel("Training loss, logarithmic", losses.node);
  const latest = newest(life);
  const train = async (/** @type {number} */ place) => {
    outcome.replaceChildren(h("p", { class: "quiet" }, "Training 200 steps …"));
    try {
      const answer = await latest(server.trial({ rate: RATES[place] }));
      if ("error" in answer) {
        outcome.replaceChildren(h("p", {}, answer.error));
        return;
      }
      const { losses: seen, failed, rate } = answer;
      losses.show(
        [
          {
            y: seen.map((value) => value ?? NaN),
            color: failed ? "var(--danger)" : "var(--method-cdvft)",
            width: 2,
          },
        ],
        { log: true, low: 1e-12, high: 1e7, first: 1, xTitle: "steps" },
      );
      outcome.replaceChildren(
        failed
          ? h(
              "div",
              { class: "card failure" },
              h("h3", {}, "Stopped: the run was going wrong"),
              h("p", { class: "what" }, failed),
            )
          : h(
              "p",
              {},
              `All 200 steps done with the rate ${short(rate)}: loss ${short(seen[0])} → ${short(seen.at(-1))}.`,
            ),
      );
    } catch {
      outcome.replaceChildren(h("p", {}, "The server did not answer. Try again in a moment."));
    }
  };
  const note = h("p", { class: "quiet source" });
  setText(
    note,
    "Your browser rounds every number after every addition and multiplication to so many bits; the range of float16, which ends at 65,504, is not part of it.",
  );
  renderLesson(
    element,
    h("h3", { class: "half" }, "Too few digits"),
    slider({
      label: "bits after the point",
      min: 0,
      max: 19,
      value: dropped,
      valueText: words,
      oninput: round,
      onchange: (left) => kept.set(0, left),
    }),
    panel("Error of 64 numbers of circ(c) x, logarithmic (grey: their true size)", product.node).node,
    readout.node,
    note,
    h("h3", { class: "half" }, "Too high a rate"),
    slider({
      label: "learning rate",
      min: 0,
      max: RATES.length - 1,
      value: chosen,
      valueText: (place) => String(RATES[place]),
      oninput: () => {},
      onchange: (place) => {
        kept.set(1, place);
        train(place);
      },
    }),
    frame.node,
    outcome,
  );
  round(dropped);
  const seen = new IntersectionObserver(([{ isIntersecting }]) => {
    // the first training when somebody looks
    if (!isIntersecting) return;
    seen.disconnect();
    train(chosen);
  });
  whenRevealed(element, () => seen.observe(losses.node));
}
