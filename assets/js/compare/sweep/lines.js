// The metric along one dimension, a line for each value of another, with the lowest and highest seed as whiskers.

import { h, setOptions } from "../../shared/dom.js";
import { isShare, metricText } from "../../shared/format.js";
import { drawChart } from "../../shared/chart.js";
import { asked, keep } from "../../shared/router.js";
import { tableUnder } from "../../shared/table.js";
import { onTheme } from "../../shared/theme.js";

/** @import { SweepResults, SweepPoints } from "../../payloads.js" */
/** @import { Layout, Styles } from "../../shared/plotly_types.js" */

const DASHES = ["solid", "dash", "dot", "dashdot", "longdash"];
const SYMBOLS = ["circle", "square", "diamond", "triangle-up", "x"];

export class SweepLines {
  /**
   * @param {Styles} styles
   * @param {Layout} layout
   * @param {keyof SweepPoints} reduction
   */
  constructor(styles, layout, reduction) {
    this.styles = styles;
    this.base = layout;
    this.reduction = reduction;
    /** @type {SweepResults["lines"]} */
    this.lines = [];
    /** @type {string | null} */
    this.metric = null;
    this.metricTitle = "";
    this.choice = h("select", {
      "aria-label": "Dimensions of the lines",
      onchange: () => {
        keep({ lines: this.choice.value });
        this.redraw();
      },
    });
    this.chart = h("div", { class: "chart", role: "group", "aria-label": "The metric along one dimension" });
    this.table = tableUnder(() => this.numbers(), "Sweep lines");
    this.node = h(
      "section",
      {},
      h("h3", {}, "One choice at a time"),
      this.choice,
      this.chart,
      this.table.details,
    );
    onTheme(this.chart, () => this.redraw());
  }

  /** @param {SweepResults} results */
  show({ lines, metric_name: metric, metric_title: title }) {
    const before = this.choice.value || asked("lines");
    this.lines = lines;
    this.metric = metric;
    this.metricTitle = title ?? "Score";
    const choices = lines.map(({ key, title }) => /** @type {const} */ ([key, title]));
    setOptions(this.choice, choices, before);
    this.node.hidden = lines.length === 0;
    this.redraw();
  }

  get current() {
    return this.lines.find(({ key }) => key === this.choice.value) ?? this.lines[0];
  }

  redraw() {
    if (!this.current) return;
    const { axis, ticks, series, key } = this.current;
    const scale = isShare(this.metric) ? 100 : 1;
    const layout = structuredClone(this.base);
    Object.assign(layout.xaxis, {
      type: "category",
      categoryorder: "array",
      categoryarray: ticks,
      range: [-0.25, ticks.length - 0.75],
      rangemode: "normal",
      title: { text: axis, standoff: 8 },
    });
    Object.assign(layout.yaxis, {
      title: { text: scale === 100 ? `${this.metricTitle}, %` : this.metricTitle, standoff: 6 },
    });
    Object.assign(layout, {
      uirevision: key,
      hovermode: "x",
      showlegend: true,
      dragmode: false,
      legend: { orientation: "h", y: 1.02, yanchor: "bottom", x: 0 },
    });
    const several = new Set(series.map(({ method }) => method)).size > 1;
    const text = (/** @type {number} */ value) => metricText(this.metric, value);
    const data = series.map(({ label, method, points }, index) => {
      const shown = points[this.reduction];
      const style = this.styles[method];
      return {
        type: "scatter",
        mode: "lines+markers",
        name: label,
        x: shown.map(({ at }) => at),
        y: shown.map(({ mean }) => scale * mean),
        line: several
          ? style.line
          : { color: style.line.color, width: 2, dash: DASHES[index % DASHES.length] },
        marker: several
          ? style.marker
          : { color: style.line.color, size: 8, symbol: SYMBOLS[index % SYMBOLS.length] },
        error_y: {
          type: "data",
          symmetric: false,
          thickness: 1,
          width: 4,
          array: shown.map(({ mean, high }) => scale * (high - mean)),
          arrayminus: shown.map(({ mean, low }) => scale * (mean - low)),
        },
        text: shown.map(
          ({ mean, low, high, runs }) => `${text(mean)}, seeds ${text(low)} to ${text(high)}, ${runs} runs`,
        ),
        hovertemplate: `${label}: %{text}<extra></extra>`,
      };
    });
    drawChart(this.chart, { data, layout, config: { displayModeBar: false } });
    this.table.refresh();
  }

  numbers() {
    const { axis = "", series = [] } = this.current ?? {};
    const rows = series.flatMap(({ label, points }) =>
      points[this.reduction].map((point) => ({ label, ...point })),
    );
    return {
      columns: ["Line", axis, "Mean", "Lowest seed", "Highest seed", "Runs"],
      rows: rows.map(({ label, at, mean, low, high, runs }) => [
        label,
        at,
        ...[mean, low, high].map((value) => metricText(this.metric, value)),
        runs,
      ]),
      values: rows.map(({ label, at, mean, low, high, runs }) => [label, at, mean, low, high, runs]),
    };
  }
}
