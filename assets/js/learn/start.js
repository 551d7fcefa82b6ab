// Exactly one factor starts at zero. Gradient descent on a small layer, run in the browser.

import { h, setText } from "../shared/dom.js";
import { short } from "../shared/format.js";
import { LinePlot } from "../shared/line_plot.js";
import { keptState } from "./kept_state.js";
import { numbers, panel, renderLesson, slider } from "./parts.js";
import { whenRevealed } from "./revealing.js";
import { D, STEPS, descend, targetChange } from "./start_descent.js";

/** @import { Part } from "../shared/part.js" */

const TRIALS = 100;
const CHOICES = ["none", "the output diagonal", "output diagonal and circulant", "all three"];

/** Of so many other layers: how often one zero ended lower than none, and the mean first loss of none beside it. */
async function tally() {
  let lower = 0;
  let first = 0;
  for (let trial = 0; trial < TRIALS; trial++) {
    const target = targetChange(1000 + 10 * trial);
    const [none, one] = [0, 1].map((zeros) => descend(zeros, target, 5000 + 10 * trial).losses);
    if (one[STEPS] < none[STEPS]) lower += 1;
    first += none[0] / one[0] / TRIALS;
    await new Promise(requestAnimationFrame); // a few milliseconds a frame, so that dragging stays smooth
  }
  return { lower, first };
}

/**
 * What the tally says of this lesson's own picture, in which a wrong start may end lower.
 * @param {{lower: number, first: number}} tally
 */
const verdict = ({ lower, first }) =>
  `Does one zero also end lower? Not here: of ${TRIALS} other layers and wanted changes, it did in ${lower}, the random ` +
  `start in ${TRIALS - lower}. What it buys is the beginning: with no zero the loss began at ${short(first)} times that of ` +
  "the untouched layer, on average: so much worse than no change at all, before the first step. " +
  `And neither reached 0 in ${STEPS} steps, though the wanted change is of the same form: from few starts descent finds it ` +
  "that soon.";

/** @param {Part<null>} part */
export function mount({ element }) {
  const kept = keptState(element, "values"),
    usual = kept.number(0, 1, 0, CHOICES.length - 1);
  const target = targetChange(41);
  const runs = CHOICES.map((_, zeros) => descend(zeros, target)),
    readout = numbers();
  const loss = new LinePlot({ label: "Loss against steps", height: 190 }),
    gradient = new LinePlot({ label: "Gradient norms against steps", height: 190 });
  const follow = (/** @type {number} */ zeros) => {
    const run = runs[zeros],
      high = 1.08 * Math.max(...runs.map((each) => each.losses[0]));
    loss.show(
      [
        ...runs.map(({ losses }) => ({ y: losses, color: "var(--rule-strong)", width: 1, opacity: 0.6 })),
        { y: run.losses, color: "var(--method-cdvft)", width: 2.6 },
      ],
      { low: 0, high, xTitle: "gradient steps" },
    );
    gradient.show(
      [
        { y: run.norms.a1, color: "var(--factor-input)", width: 2 },
        { y: run.norms.c, color: "var(--factor-circulant)", width: 2, dash: [6, 3] },
        { y: run.norms.a3, color: "var(--factor-output)", width: 2, dash: [2, 3] },
      ],
      {
        low: 0,
        high: 1.05 * Math.max(...runs.flatMap(({ norms }) => [...norms.a1, ...norms.c, ...norms.a3])),
        xTitle: "gradient steps",
      },
    );
    const moving = Object.entries({ "a₁": run.norms.a1, "c₂": run.norms.c, "a₃": run.norms.a3 })
      .filter(([, values]) => values[0] > 0)
      .map(([name]) => name);
    readout.set([
      [short(run.size), "size of ΔW before the first step, where W should still be itself"],
      [
        moving.join(", ") || "none",
        moving.length === 1
          ? "is the vector with a gradient at the first step"
          : "have a gradient at the first step",
      ],
      [`${short(run.losses[0])} → ${short(run.losses.at(-1))}`, `loss, from start to step ${STEPS}`],
    ]);
  };
  const fair = h(
    "p",
    { class: "quiet verdict-of-many" },
    `Comparing both starts on ${TRIALS} other layers …`,
  );
  renderLesson(
    element,
    slider({
      label: "vectors that start at zero",
      min: 0,
      max: 3,
      value: usual,
      valueText: (zeros) => CHOICES[zeros],
      oninput: follow,
      onchange: (zeros) => kept.set(0, zeros),
    }),
    panel("Loss (grey: the other three starts)", loss.node).node,
    h(
      "figure",
      { class: "panel" },
      h(
        "figcaption",
        { class: "keys" },
        "Size of the gradient of ",
        h("span", { class: "key input" }, "a₁"),
        h("span", { class: "key circulant" }, "c₂"),
        h("span", { class: "key output" }, "a₃"),
      ),
      gradient.node,
    ),
    readout.node,
    fair,
    h(
      "p",
      { class: "quiet source" },
      `Gradient descent on one ${D} × ${D} layer, run in your browser; the wanted change is a product of the same form.`,
    ),
  );
  follow(usual);
  const seen = new IntersectionObserver(async ([{ isIntersecting }]) => {
    if (!isIntersecting) return;
    seen.disconnect();
    setText(fair, verdict(await tally()));
  });
  whenRevealed(element, () => seen.observe(fair));
}
