// Two dimensions of one method as a table whose cells are coloured by their values.

import { h, setOptions } from "../../shared/dom.js";
import { metricText } from "../../shared/format.js";
import { asked, keep } from "../../shared/router.js";
import { table } from "../../shared/table.js";

/** @import { SweepCells, SweepResults, SweepSpread } from "../../payloads.js" */

/** @typedef {SweepResults["heatmaps"]} Heatmaps */

const DEEPEST = 55; // percent of the hue, so that ink on it keeps its contrast in light and in dark

export class SweepHeatmap {
  /** @param {keyof SweepCells} reduction */
  constructor(reduction) {
    this.reduction = reduction;
    /** @type {Heatmaps} */
    this.heatmaps = [];
    /** @type {string | null} */
    this.metric = null;
    this.choice = h("select", {
      "aria-label": "Dimensions of the heatmap",
      onchange: () => {
        keep({ heatmap: this.choice.value });
        this.redraw();
      },
    });
    this.table = table({ label: "Heatmap", class: "numbers heat" });
    this.note = h("p", { class: "quiet note" });
    this.node = h(
      "section",
      {},
      h("h3", {}, "Two choices at a time"),
      this.choice,
      this.table.node,
      this.note,
    );
  }

  /** @param {SweepResults} results */
  show({ heatmaps, metric_name: metric }) {
    const before = this.choice.value || asked("heatmap");
    this.heatmaps = heatmaps;
    this.metric = metric;
    const choices = heatmaps.map(({ key, title }) => /** @type {const} */ ([key, title]));
    setOptions(this.choice, choices, before);
    this.node.hidden = heatmaps.length === 0;
    this.redraw();
  }

  redraw() {
    const heat = this.heatmaps.find(({ key }) => key === this.choice.value) ?? this.heatmaps[0];
    if (!heat) return;
    const cells = heat.cells[this.reduction];
    const means = cells
      .flat()
      .filter((spread) => spread !== null)
      .map(({ mean }) => mean);
    const low = Math.min(...means),
      range = Math.max(...means) - low || 1;
    /** @param {SweepSpread | null} spread */
    const cell = (spread) => {
      if (!spread) return { text: "–", class: "none" };
      const part = Math.round((DEEPEST * (spread.mean - low)) / range);
      const [text, lowest, highest] = [spread.mean, spread.low, spread.high].map((value) =>
        metricText(this.metric, value),
      );
      const title = `${lowest} to ${highest} over seeds; ${spread.runs} runs`;
      return { text, style: `--deep: ${part}%`, title };
    };
    this.table.fill(
      ["", ...heat.columns],
      heat.rows.map((name, row) => [name, ...cells[row].map(cell)]),
    );
    const rest = heat.over_others
      ? this.reduction === "mean"
        ? "A cell is the mean over all else."
        : "A cell is the best of the rest, higher where more were tried."
      : "A cell is the mean over seeds.";
    this.note.textContent = `${rest} Stronger is better.`;
    this.note.title = "Only settings that all cells have count.";
  }
}
