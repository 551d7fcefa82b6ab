// One row a run, filled in place as its numbers arrive.

import { button, h, setText, swatch, styleOf } from "../shared/dom.js";
import { aligned, count, metricText, timeText } from "../shared/format.js";
import { table } from "../shared/table.js";
import { isActive, isFinal, sharedMetric, titleOf } from "./run_model.js";

/** @import { Styles } from "../shared/plotly_types.js" */
/** @import { Run } from "./run_model.js" */

/** @typedef {ReturnType<Scoreboard["row"]>} BoardRow */

export const HINTS = {
  parameters: "Trainable parameters of the adapter, without the classifier head.",
  time: "Time of the training steps, without loading and evaluation.",
};

/** @type {[key: string, title: string | null, hint: string][]} without a title: the metric's */
const COLUMNS = [
  ["method", "Method", "Fine-tuning method. Press the line sample to hide its curve."],
  ["metric", null, "Latest score on held-out examples."],
  ["parameters", "Parameters", HINTS.parameters],
  ["time", "Training", HINTS.time],
  ["speed", "Examples/s", "Training examples per second, over the whole run."],
];

/** @param {Run} run */
const estimate = ({ forecast }) =>
  forecast?.seconds
    ? ` (estimate: ${timeText(forecast.seconds.low)} to ${timeText(forecast.seconds.high)})`
    : "";

export class Scoreboard {
  /**
   * @param {Styles} styles
   * @param {(id: string) => void} ontoggle
   */
  constructor(styles, ontoggle) {
    this.styles = styles;
    this.ontoggle = ontoggle;
    this.rows = new Map();
    /** @type {string[]} runs that the judge calls ahead of another and behind none */
    this.leaders = [];
    this.body = h("tbody");
    this.metric = h("span", {}, "");
    /** @type {string | null} */
    this.shared = null;
    this.untrained = h("p", { class: "hint untrained" });
    const results = table({ label: "Results", class: "scoreboard" });
    results.fill(
      COLUMNS.map(([key, text, title]) => ({ text: text ?? this.metric, title, class: key })),
      [],
    );
    results.element.append(this.body); // whose rows are filled in place: who tabs through them keeps the focus
    this.node = h("div", {}, results.node, this.untrained);
  }

  /** @param {Run[]} runs */
  show(runs) {
    const ids = new Set(runs.map((run) => run.id));
    for (const [id, row] of this.rows)
      if (!ids.has(id)) {
        row.line.remove();
        this.rows.delete(id);
      }
    const tasks = new Set(runs.map(({ settings }) => `${settings?.recipe} ${settings?.dataset}`));
    this.shared = sharedMetric(runs);
    setText(this.metric, this.shared ?? "Score");
    this.node.hidden = runs.length === 0;
    const untrained = tasks.size === 1 ? (runs.find((run) => run.untrained)?.untrained ?? "") : "";
    setText(this.untrained, untrained);
    this.untrained.hidden = !untrained;
    for (const run of runs) {
      if (!this.rows.has(run.id)) this.rows.set(run.id, this.row(run));
      this.fill(this.rows.get(run.id), run);
    }
  }

  /** @param {Run} run */
  row(run) {
    const cells = Object.fromEntries(COLUMNS.slice(1).map(([key]) => [key, h("td", { class: key })]));
    const label = h("span", { class: "label" });
    const state = h("span", { class: "state" });
    const toggle = button(
      [
        swatch(styleOf(this.styles, run)),
        h("span", { class: "hidden-text" }, `Show the curve of ${titleOf(run)}`),
      ],
      () => {
        toggle.setAttribute("aria-pressed", String(toggle.getAttribute("aria-pressed") !== "true"));
        this.ontoggle(run.id);
      },
      { class: "show-curve", "aria-pressed": "true" },
    );
    const line = h(
      "tr",
      {},
      h(
        "th",
        { scope: "row", class: "method" },
        h("div", { class: "method-cell" }, toggle, h("span", {}, label, state)),
      ),
      Object.values(cells),
    );
    this.body.append(line);
    return { line, cells, label, state };
  }

  /**
   * @param {BoardRow} row
   * @param {Run} run
   */
  fill({ line, cells, label, state }, run) {
    const running = isActive(run);
    line.className = `${run.state}${run.overlay ? " overlay" : ""}`;
    setText(label, run.label);
    setText(state, run.overlay ?? (run.state === "finished" ? "" : run.state));
    const own = this.shared === null ? ` ${run.metric_title ?? ""}` : ""; // beside scores of other metrics
    const metric = metricText(run.metric_name, run.metric) && metricText(run.metric_name, run.metric) + own;
    setText(cells.metric, metric || (running ? "…" : "–"));
    const score = metricText(run.metric_name, run.last_metric ?? null);
    cells.metric.title =
      run.best_step === null
        ? ""
        : `Step ${run.best_step}, best on the validation set${score ? ` (last step: ${score})` : ""}`;
    cells.metric.classList.toggle("best", this.leaders.includes(run.id));
    setText(cells.parameters, count(run.trainable_parameters) || "–");
    cells.parameters.title =
      run.trainable_parameters === null
        ? ""
        : `${count(run.trainable_parameters)} in the adapter, ${count(run.head_parameters)} in the head, of ${count(run.base_parameters)} frozen`;
    const seconds = isFinal(run) ? run.seconds : (run.steps.at(-1)?.[1] ?? run.seconds);
    setText(cells.time, timeText(seconds));
    cells.time.title =
      seconds === null
        ? ""
        : `${seconds.toFixed(1)} s on ${run.device}${run.precision ? `, ${run.precision}` : ""}${estimate(run)}`;
    setText(
      cells.speed,
      run.examples_per_second === null ? (running ? "…" : "–") : aligned(run.examples_per_second),
    );
  }
}
