// Which of four methods comes near a given change with a given budget: the change = its fit + what is left.

import { h, segmented, setText } from "../shared/dom.js";
import { short } from "../shared/format.js";
import { Dense } from "../shared/circulant.js";
import { Heatmap } from "../shared/heatmap.js";
import { entriesOf, nearestBlocks, nearestWaves, relativeError, scaledBlocks, TASKS } from "./fits.js";
import { panel } from "./parts.js";
import { c3aBlock, cdvftBlock, D } from "./shape_budgets.js";
import { bestOfRank } from "./singular.js";

/** @import { Matrix } from "../shared/circulant.js" */

/**
 * Fits of every method by its key; `places(budget)` are FourierFT's.
 * @param {(budget: number) => number[]} places
 * @returns {Record<string, (target: Matrix, budget: number) => Matrix>}
 */
const fitsBy = (places) => ({
  cdvft: (target, budget) => scaledBlocks(target, cdvftBlock(budget)),
  lora: (target, budget) => bestOfRank(target, Math.floor(budget / (2 * D))).matrix,
  fourierft: (target, budget) => nearestWaves(target, places(budget)),
  c3a: (target, budget) => nearestBlocks(target, c3aBlock(budget)),
});

/**
 * The picture; `show(budget)` fits anew, `choose(task)` takes another change.
 * @param {{id: string, methods: [string, string][], places: (budget: number) => number[]}} options
 */
export function taskFits({ id, methods, places }) {
  const fits = fitsBy(places);
  const [wanted, fit, left] = ["The change", "= what fits", "+ what is left"].map((title) => {
    const picture = new Heatmap({ label: title });
    return { picture, ...panel(title, picture.node) };
  });
  const said = h("p", { class: "quiet", role: "status" });
  let task = "scaled",
    method = methods[0][0],
    budget = 0,
    current = 0; // which search goes on
  /** @type {Map<string, {found: Matrix, error: number}>} by change, budget and method */
  const known = new Map();
  /** @param {string} by */
  const fitted = (by) => {
    const key = `${task} ${budget} ${by}`,
      { matrix } = TASKS[task];
    let one = known.get(key);
    if (!one) {
      const found = fits[by](matrix, budget);
      one = { found, error: relativeError(matrix, found) };
      known.set(key, one);
    }
    return one;
  };
  const draw = () => {
    const { matrix } = TASKS[task],
      { found } = fitted(method);
    const wantedValues = entriesOf(matrix),
      foundValues = entriesOf(found);
    const limit = 0.7 * Math.max(...wantedValues.map(Math.abs));
    wanted.picture.show(matrix, { limit });
    fit.picture.show(found, { limit });
    const rest = Float32Array.from(wantedValues, (value, at) => value - foundValues[at]);
    left.picture.show(new Dense(rest, D, D), { limit });
  };
  /** One fit a frame, the chosen method's first, so that the budget can be dragged. */
  const show = () => {
    const mine = ++current;
    const waiting = [method, ...methods.map(([key]) => key).filter((key) => key !== method)];
    const step = () => {
      if (mine !== current) return;
      const by = waiting.shift();
      if (by !== undefined) {
        fitted(by);
        if (by === method) draw();
        requestAnimationFrame(step);
        return;
      }
      const errors = methods.map(([key, title]) => {
        const { error } = fitted(key);
        return `${title} ${error < 1e-5 ? "0" : short(100 * error)} %`;
      });
      setText(said, `What is left, with at most ${budget} numbers: ${errors.join(", ")}.`);
    };
    requestAnimationFrame(step);
  };
  const tasks = segmented(
    "Change",
    `task-${id}`,
    Object.entries(TASKS).map(([key, { title }]) => [key, title]),
    task,
    (key) => {
      task = key;
      show();
    },
  );
  const node = h(
    "div",
    { class: "lesson-picture" },
    h("h3", { class: "half" }, "Who fits a given change?"),
    tasks,
    segmented("Fitted by", `fit-${id}`, methods, method, (key) => {
      method = key;
      show();
    }),
    h("div", { class: "three" }, wanted.node, fit.node, left.node),
    said,
  );
  return {
    node,
    show: (/** @type {number} */ given) => {
      budget = given;
      show();
    },
    choose: (/** @type {string} */ key) =>
      tasks.querySelector(`[value=${key}]`)?.dispatchEvent(new MouseEvent("click")),
  };
}
