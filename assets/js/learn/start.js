// What starts at zero. Gradient descent on a small layer, run in the browser.

import { h, legend, segmented, setText } from "../shared/dom.js";
import { tell } from "../shared/events.js";
import { Dense } from "../shared/circulant.js";
import { short } from "../shared/format.js";
import { LinePlot } from "../shared/line_plot.js";
import { whenFirstInView } from "../shared/shown.js";
import { keptState } from "./kept_state.js";
import { numbers, panel, renderLesson, stage } from "./parts.js";
import { afterwards, onPrediction, whenRevealed } from "./revealing.js";
import { bestOfRank, rank, singularValues } from "./singular.js";
import { D, descend, FORMS, lossOfNothing, STEPS, targetChange } from "./start_descent.js";

/** @import { Part } from "../shared/part.js" */

const TRIALS = 100;
/** @type {[string, string][]} */
const TITLES = [
  ["m2", "m = 2"],
  ["m3", "m = 3"],
  ["lora", "LoRA"],
];
const LOOKS = [
  { color: "var(--factor-input)", dash: [] },
  { color: "var(--factor-circulant)", dash: [6, 3] },
  { color: "var(--factor-output)", dash: [2, 3] },
  { color: "var(--ink-soft)", dash: [8, 3, 2, 3] },
  { color: "var(--ink)", dash: [1, 3] },
];

/** Of so many other layers: how often one zero ended lower than none, and the mean first loss of none beside it. */
async function tally() {
  let lower = 0;
  let first = 0;
  for (let trial = 0; trial < TRIALS; trial++) {
    const target = targetChange(1000 + 10 * trial);
    const [none, one] = [[], [2]].map((zeros) => descend("m2", zeros, target, 5000 + 10 * trial).losses);
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
  `Does one zero also end lower? Not here, with m = 2: of ${TRIALS} other layers and wanted changes, it did in ${lower}, the random ` +
  `start in ${TRIALS - lower}. What it buys is the beginning: with no zero the loss began at ${short(first)} times that of ` +
  "the untouched layer, on average: so much worse than no change at all, before the first step. " +
  `And neither reached 0 in ${STEPS} steps, though the wanted change is a product of three vectors, too: descent gets there ` +
  "from few starts in so few steps.";

/**
 * Whether the other forms hold the wanted change.
 * @param {string} key
 * @param {Float64Array} target
 */
const reachOf = (key, target) => {
  const wanted = new Dense(Float32Array.from(target), D, D);
  const least = bestOfRank(wanted, 1).error ** 2 * lossOfNothing(target);
  return key === "lora"
    ? `LoRA has r = 1 here. The wanted change, a product of three vectors, has rank ${rank(singularValues(wanted))}: so no ` +
        `LoRA of r = 1 comes below a loss of ${short(least)}.`
    : "The wanted change, a product of three vectors, is also one of five: let c₄ be (1, 0, …, 0), and all of a₅ 1.";
};

/** @param {Part<null>} part */
export function mount({ element, life }) {
  const kept = keptState(element, "values"),
    target = targetChange(41);
  let form = kept.number(1, 0, 0, TITLES.length - 1);
  let zeros = places(kept.number(0, 0, 0, 31));
  const readout = numbers(),
    keys = legend("Gradients");
  const loss = new LinePlot({ label: "Loss against steps", height: 170 }),
    gradient = new LinePlot({ label: "Gradient norms against steps", height: 170 });
  const fair = h(
    "p",
    { class: "quiet verdict-of-many" },
    `Comparing both starts on ${TRIALS} other layers …`,
  );
  const held = h("p", { class: "quiet" });
  const choices = h("div", { class: "zeros", role: "group", "aria-label": "What starts at zero" });

  const follow = () => {
    const key = TITLES[form][0],
      { names } = FORMS[key],
      all = names.map((_, place) => place);
    const run = descend(key, zeros, target),
      untouched = descend(key, [all.length - 1], target);
    const high = 1.3 * untouched.losses[0];
    loss.show(
      [
        { y: untouched.losses.map(() => untouched.losses[0]), color: "var(--rule-strong)", width: 1.2 },
        { y: run.losses, color: "var(--method-cdvft)", width: 2.6 },
      ],
      { low: 0, high, xTitle: "gradient steps" },
    );
    const lines = run.norms.map((y, place) => ({ y, width: 2, ...LOOKS[place] }));
    gradient.show(lines, { low: 0, xTitle: "gradient steps" });
    fair.hidden = TITLES[form][0] !== "m2";
    held.hidden = !fair.hidden;
    if (fair.hidden) setText(held, reachOf(key, target));
    keys.show(lines.map((line, place) => ({ style: { line }, text: names[place] })));
    const moving = names.filter((_, place) => run.norms[place][0] > 0);
    readout.set([
      [short(run.size), "size of ΔW before the first step"],
      [
        moving.join(", ") || "none",
        moving.length === 1 ? "has a gradient at the first step" : "have a gradient at the first step",
      ],
      [`${short(run.losses[0])} → ${short(run.losses.at(-1))}`, `loss, from start to step ${STEPS}`],
    ]);
    if (zeros.length === 1) tell("task-reached", "start-zero");
  };
  const keep = () =>
    kept.set(
      0,
      zeros.reduce((bits, place) => bits + 2 ** place, 0),
      form,
    );
  const choose = () => {
    choices.replaceChildren(
      ...FORMS[TITLES[form][0]].names.map((name, place) =>
        h(
          "label",
          { class: "zero" },
          h("input", {
            type: "checkbox",
            checked: zeros.includes(place),
            onchange: ({ target: { checked } }) => {
              zeros = checked ? [...zeros, place] : zeros.filter((other) => other !== place);
              keep();
              follow();
            },
          }),
          h("span", {}, `${name} = 0`),
        ),
      ),
    );
  };
  const forms = segmented("Form", `start-${element.id}`, TITLES, TITLES[form][0], (key) => {
    form = TITLES.findIndex(([each]) => each === key);
    zeros = [FORMS[key].names.length - 1]; // where PEFT has it: LoRA's B, CDVFT's last diagonal
    keep();
    choose();
    follow();
  });
  onPrediction(element, life, (key) => {
    form = 0;
    /** @type {HTMLInputElement} */ (forms.querySelector("input")).checked = true;
    zeros = key === "start" ? [1, 2] : [2]; // what each question asks about
    keep();
    choose();
    follow();
  });
  renderLesson(
    element,
    choices,
    stage(panel("Loss (grey: that of the untouched layer)", loss.node).node),
    afterwards(element, [
      readout.node,
      forms,
      panel("Size of each gradient", keys.node, gradient.node).node,
      fair,
      held,
      h(
        "p",
        { class: "quiet source" },
        `Gradient descent on one ${D} × ${D} layer, run in your browser; the wanted change is a product of three vectors.`,
      ),
    ]),
  );
  choose();
  follow();
  const compare = async () => setText(fair, verdict(await tally()));
  whenRevealed(element, () => whenFirstInView(fair, compare));
}

/**
 * The places of the ones of a number written in binary.
 * @param {number} bits
 */
const places = (bits) => [0, 1, 2, 3, 4].filter((place) => (bits >> place) & 1);
