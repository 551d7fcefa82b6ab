// The learning curves of the shown runs, with the switches over them.

import { h, segmented, styleOf } from "../shared/dom.js";
import { aligned, isShare, metricText } from "../shared/format.js";
import { drawChart } from "../shared/chart.js";
import { valueAt } from "../shared/plotly.js";
import { everyAndLast } from "../shared/sampling.js";
import { smoothed } from "../shared/smoothing.js";
import { onTheme } from "../shared/theme.js";
import { curveOf, isFinal, lossTitle, sharedMetric, titleOf } from "./run_model.js";
import { tableUnder } from "../shared/table.js";

/** @import { Child } from "../shared/dom.js" */

/** @import { Layout, Styles, Trace } from "../shared/plotly_types.js" */
/** @import { RunRows } from "../payloads.js" */
/** @import { Run } from "./run_model.js" */

/** @typedef {{quantity: string, axis: string, scale: string, smoothing: number}} View what the switches say */

const MAX_POINTS = 4000;
const MARK = {
  type: "line",
  yref: "paper",
  y0: 0,
  y1: 1,
  line: { color: "var(--rule-strong)", width: 1, dash: "dot" },
};

export class RunChart {
  /**
   * @param {Styles} styles
   * @param {Layout} layout
   * @param {string} id tells the switches of several charts apart
   * @param {(step: number | null) => void} oncursor told the step under the pointer; null when it leaves
   */
  constructor(styles, layout, id, oncursor) {
    this.styles = styles;
    this.layout = layout;
    /** @type {View} */
    this.view = { quantity: "loss", axis: "steps", scale: "linear", smoothing: 0.8 };
    /** @type {Set<string>} the runs whose curves are hidden */
    this.hidden = new Set();
    /** @type {Run[]} */
    this.runs = [];
    this.emptyText = "";
    /** @type {number | null} */
    this.marked = null; // a step with a line through it
    this.metricLabel = h("span", {}, "Accuracy");
    /** @type {HTMLElement} */
    this.chart = h("div", { class: "chart", role: "group", "aria-label": "Learning curves" });
    this.chart.addEventListener("pointermove", (event) => oncursor(this.stepAt(event.clientX)));
    this.chart.addEventListener("pointerleave", () => oncursor(null));
    this.table = tableUnder(() => this.numbers(), "Curves of the race");
    this.slider = h("input", {
      type: "range",
      min: 0,
      max: 0.98,
      step: 0.02,
      value: this.view.smoothing,
      oninput: (event) => this.set("smoothing", Number(event.target.value)),
    });
    /** @type {(legend: string, name: "quantity" | "axis" | "scale", choices: [string, Child][]) => HTMLElement} */
    const part = (legend, name, choices) =>
      segmented(legend, `${name}-${id}`, choices, this.view[name], (value) => this.set(name, value));
    this.controls = h(
      "div",
      { class: "chart-controls" },
      part("What the curves show", "quantity", [
        ["loss", "Loss"],
        ["metric", this.metricLabel],
      ]),
      part("Horizontal axis", "axis", [
        ["steps", "Steps"],
        ["seconds", "Seconds"],
      ]),
      part("Vertical scale", "scale", [
        ["linear", "Linear"],
        ["log", "Log"],
      ]),
      (this.smooth = h(
        "label",
        {
          class: "smooth",
          title: "Averages each curve over neighbouring steps; the thin line stays as it was measured.",
        },
        h("span", {}, "Smooth"),
        this.slider,
      )),
    );
    this.empty = h("p", { class: "chart-empty", hidden: true });
    this.node = h(
      "div",
      { class: "run-chart" },
      this.controls,
      h("div", { class: "chart-frame" }, this.chart, this.empty),
      this.table.details,
    );
    onTheme(this.chart, () => this.redraw());
  }

  /**
   * @template {keyof View} Name
   * @param {Name} name
   * @param {View[Name]} value
   */
  set(name, value) {
    this.view[name] = value;
    this.redraw();
  }

  /** @param {string} id */
  toggle(id) {
    this.hidden.has(id) ? this.hidden.delete(id) : this.hidden.add(id);
    this.redraw();
  }

  /**
   * Let the curves that are drawn next come from left to right, once, unless the visitor prefers reduced motion.
   * @param {boolean} plays or stand there at once
   */
  play(plays) {
    this.chart.classList.toggle("plays", plays);
    if (plays) this.chart.addEventListener("animationend", () => this.play(false), { once: true });
  }

  /**
   * @param {Run[]} runs
   * @param {string} emptyText
   */
  show(runs, emptyText) {
    this.runs = runs;
    this.emptyText = emptyText;
    const metric = sharedMetric(runs) ?? "Score";
    if (this.metricLabel.textContent !== metric) this.metricLabel.textContent = metric;
    this.redraw();
  }

  /**
   * The step under a place on the screen; null outside of the curves.
   * @param {number} clientX
   */
  stepAt(clientX) {
    const at = valueAt(this.chart, clientX);
    if (at === null || !(at >= 0)) return null;
    if (this.view.axis === "steps") return at;
    const last = this.runs.map((run) => run.steps.findLast(([, seconds]) => seconds <= at)?.[0] ?? 0);
    return Math.max(0, ...last);
  }

  /** @param {number | null} step */
  mark(step) {
    this.marked = step;
    this.redraw();
  }

  /** @param {Run} run */
  points(run) {
    const at = this.view.axis === "steps" ? 0 : 1;
    /** @type {(readonly [step: number, seconds: number, value: number | null, ...rest: unknown[]])[]} */
    const every = this.view.quantity === "loss" ? run.steps : curveOf(run);
    const rows = everyAndLast(every, Math.ceil(every.length / MAX_POINTS));
    return { x: rows.map((row) => row[at]), y: rows.map((row) => row[2]) };
  }

  /**
   * Where the curve is at the step that is kept; null where none was chosen.
   * @param {Run} run
   */
  keptAt(run) {
    const row = curveOf(run).find(([step, , , validation]) => validation && step === run.best_step);
    return row ? { x: row[this.view.axis === "steps" ? 0 : 1], y: row[2] } : null;
  }

  /** @returns {Trace[]} */
  traces() {
    const loss = this.view.quantity === "loss";
    const alone = sharedMetric(this.runs) !== null; // else percent would stand beside other numbers
    return this.runs
      .filter((run) => !this.hidden.has(run.id))
      .flatMap(
        /** @returns {Trace[]} */ (run) => {
          const { line, marker } = styleOf(this.styles, run);
          const { x, y } = this.points(run);
          if (x.length === 0) return [];
          const name = titleOf(run);
          const shade = run.overlay ? 0.5 : 1;
          if (!loss) {
            const share = isShare(run.metric_name);
            const hovertemplate = alone
              ? share
                ? "%{y:.1f} %"
                : "%{y:.3f}"
              : `%{y:.3f} ${run.metric_title ?? ""}`;
            /** @param {number | null} value */
            const scaled = (value) => (share && alone && value !== null ? 100 * value : value);
            const curve = {
              type: "scatter",
              mode: "lines+markers",
              name,
              x,
              y: y.map(scaled),
              line,
              marker,
              cliponaxis: false,
              opacity: shade,
              hovertemplate,
            };
            const kept = this.keptAt(run);
            if (!kept) return [curve];
            const star = {
              type: "scatter",
              mode: "markers",
              name: `${name}, kept`,
              x: [kept.x],
              y: [scaled(kept.y)],
              marker: { ...marker, color: line.color, symbol: "star", size: 15 },
              cliponaxis: false,
              opacity: shade,
              hovertemplate,
            };
            return [curve, star];
          }
          const averaged = {
            type: "scatter",
            mode: x.length === 1 ? "markers" : "lines",
            name,
            x,
            y: smoothed(y, this.view.smoothing),
            line,
            marker,
            cliponaxis: false,
            opacity: shade,
            hovertemplate: "%{y:.3f}",
          };
          if (this.view.smoothing === 0) return [averaged];
          return [
            {
              type: "scatter",
              mode: "lines",
              name: `${name}, measured`,
              x,
              y,
              hoverinfo: "skip",
              line: { color: line.color, width: 1 },
              opacity: 0.22 * shade,
            },
            averaged,
          ];
        },
      );
  }

  redraw() {
    const { quantity, axis, scale } = this.view;
    const data = this.traces();
    const metric = this.metricLabel.textContent;
    const percent = sharedMetric(this.runs) !== null && this.runs.some((run) => isShare(run.metric_name));
    const rowsOfCurve = this.runs.some((run) => curveOf(run)[0]?.[3]) ? "validation rows" : "held-out data";
    const layout = structuredClone(this.layout);
    layout.xaxis.title = {
      text: axis === "steps" ? "Steps" : "Seconds of training",
      standoff: 8,
      font: { size: 12 },
    };
    layout.xaxis.unifiedhovertitle = { text: axis === "steps" ? "Step %{x}" : "%{x:.1f} s" };
    layout.yaxis.title = {
      text:
        quantity === "loss"
          ? lossTitle(this.runs)
          : percent
            ? `${metric} on ${rowsOfCurve}, %`
            : `${metric} on ${rowsOfCurve}`,
      standoff: 6,
      font: { size: 12 },
    };
    layout.yaxis.type = scale;
    // Whole numbers at 1, 2 and 5; plotly would write lone digits between the powers of ten.
    if (scale === "log") Object.assign(layout.yaxis, { nticks: 3, tickformat: "~g" });
    // The frame stands still while the curves grow into it.
    const steps = Math.max(...this.runs.map((run) => run.total_steps ?? 0));
    if (axis === "steps" && steps > 0) layout.xaxis.range = [0, steps];
    if (axis === "steps" && this.marked !== null)
      layout.shapes = [{ ...MARK, x0: this.marked, x1: this.marked }];
    layout.uirevision = `${quantity}-${axis}-${scale}`;
    const empty = !data.some((trace) => trace.x?.length);
    this.empty.hidden = !empty;
    layout.xaxis.showticklabels = layout.yaxis.showticklabels = layout.yaxis.showgrid = !empty;
    layout.xaxis.visible = layout.yaxis.visible =
      !this.runs.length || this.runs.some((run) => !isFinal(run) || run.steps.length > 0);
    this.smooth.classList.toggle("unused", quantity !== "loss");
    this.slider.disabled = quantity !== "loss";
    if (empty)
      this.empty.textContent =
        quantity === "loss" || !this.runs.some((run) => run.steps.length)
          ? this.emptyText
          : "The first evaluation has not come yet.";
    drawChart(this.chart, { data, layout });
    this.table.refresh();
  }

  numbers() {
    const { quantity, axis } = this.view;
    const points = this.runs
      .filter((run) => !this.hidden.has(run.id))
      .flatMap((run) => {
        const { x, y } = this.points(run),
          name = titleOf(run);
        const own = sharedMetric(this.runs) === null ? ` ${run.metric_title ?? ""}` : "";
        return x.map((value, index) => ({ name, x: value, y: y[index], metric: run.metric_name, own }));
      });
    const rows = points.map(({ name, x, y, metric, own }) => [
      name,
      axis === "steps" ? String(x) : aligned(x),
      quantity === "loss" ? aligned(y) : metricText(metric, y) + own,
    ]);
    return {
      columns: [
        "Method",
        axis === "steps" ? "Step" : "Seconds",
        quantity === "loss" ? lossTitle(this.runs) : this.metricLabel.textContent,
      ],
      rows,
      values: points.map(({ name, x, y }) => [name, x, y]),
    };
  }
}
