// Which of four methods comes near a given change with a given budget: the change = its fit + what is left.

import { h, segmented } from "../shared/dom.js";
import { percent } from "../shared/format.js";
import { Dense } from "../shared/circulant.js";
import { Heatmap } from "../shared/heatmap.js";
import { table } from "../shared/table.js";
import { entriesOf, fitsBy, relativeError, TASKS } from "./fits.js";
import { panel } from "./parts.js";
import { D } from "./shape_budgets.js";
import { oneAFrame } from "./tween.js";

/** @import { Matrix } from "../shared/circulant.js" */

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
  const errors = table({ label: "What each method leaves of each change", class: "numbers lesson-table" });
  let task = "scaled",
    method = methods[0][0],
    budget = 0,
    current = 0; // which search goes on
  /** @type {Map<string, {found: Matrix, error: number}>} by change, budget and method */
  const known = new Map();
  /**
   * @param {string} change
   * @param {string} by
   */
  const keyOf = (change, by) => `${change} ${budget} ${by}`;
  /**
   * @param {string} change
   * @param {string} by
   */
  const fitted = (change, by) => {
    const key = keyOf(change, by),
      { matrix } = TASKS[change];
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
      { found } = fitted(task, method);
    const wantedValues = entriesOf(matrix),
      foundValues = entriesOf(found);
    const limit = 0.7 * Math.max(...wantedValues.map(Math.abs));
    wanted.picture.show(matrix, { limit });
    fit.picture.show(found, { limit });
    const rest = Float32Array.from(wantedValues, (value, at) => value - foundValues[at]);
    left.picture.show(new Dense(rest, D, D), { limit });
  };
  const drawErrors = () =>
    errors.fill(
      ["Change", ...methods.map(([, title]) => title)],
      Object.entries(TASKS).map(([change, { title }]) => ({
        class: change === task ? "chosen" : null,
        cells: [
          title,
          ...methods.map(([by]) => {
            const one = known.get(keyOf(change, by));
            if (!one) return "…";
            return one.error < 1e-5 ? h("b", {}, "0\u00a0%") : percent(one.error);
          }),
        ],
      })),
      `What is left, with at most ${budget} numbers and the best size of blocks that they allow`,
    );
  /** One fit a frame, the chosen one first, so that the budget can be dragged. */
  const show = () => {
    const mine = ++current;
    const every = Object.keys(TASKS).flatMap((change) => methods.map(([by]) => ({ change, by })));
    draw();
    drawErrors();
    const unknown = every.filter(({ change, by }) => !known.has(keyOf(change, by)));
    oneAFrame(unknown, ({ change, by }) => {
      if (mine !== current) return false;
      fitted(change, by);
      drawErrors();
      return true;
    });
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
    h("div", { class: "three thirds" }, wanted.node, fit.node, left.node),
    errors.node,
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
