// The table of a sweep's settings with their scores, the best first; long, and so folded.

import { h, setText, swatch } from "../../shared/dom.js";
import { aligned, count, metricText } from "../../shared/format.js";
import { exports, table } from "../../shared/table.js";

/** @import { SweepResults, SweepSetting } from "../../payloads.js" */
/** @import { Styles } from "../../shared/plotly_types.js" */

export class SettingsTable {
  /** @param {Styles} styles */
  constructor(styles) {
    this.styles = styles;
    /** @type {SweepSetting[]} */
    this.settings = [];
    /** @type {string | null} */
    this.metric = null;
    this.table = table({ label: "Every setting", class: "scoreboard settings-table" });
    this.summary = h("summary", {});
    this.node = h(
      "details",
      { class: "as-table part-of", hidden: true }, // until there are settings
      this.summary,
      this.table.node,
      exports("sweep", () => this.rows()),
    );
  }

  /** @param {SweepResults} results */
  show({ settings, metric_name: metric }) {
    this.settings = settings;
    this.metric = metric;
    this.redraw();
  }

  redraw() {
    const sorted = [...this.settings].sort(
      (one, other) => (other.spread?.mean ?? -1) - (one.spread?.mean ?? -1),
    );
    const timed = sorted.some(({ seconds }) => seconds !== null);
    const heads = [
      ["Setting", "The learning rate as a multiple of the recipe's for the method", "method"],
      ["Mean", "Over the seeds that have finished"],
      ["Lowest to highest", "Of the seeds, where several have finished"],
      ["Seeds", "Finished, of those asked for"],
      ["Parameters", "Trained numbers, without the classifier head's"],
      ...(timed ? [["Seconds", "Of training, the median of the seeds"]] : []),
    ];
    /** @param {SweepSetting} setting */
    const line = ({ method, name, spread, seeds, failed, parameters, seconds }) => [
      {
        text: h("div", { class: "method-cell" }, swatch(this.styles[method]), h("span", {}, name)),
        class: "method",
      },
      spread ? metricText(this.metric, spread.mean) : failed ? "failed" : "–",
      spread && spread.runs > 1
        ? `${metricText(this.metric, spread.low)} to ${metricText(this.metric, spread.high)}`
        : "–",
      `${spread?.runs ?? 0} of ${seeds}`,
      parameters === null ? "–" : count(parameters),
      ...(timed ? [seconds === null ? "–" : aligned(seconds)] : []),
    ];
    this.table.fill(
      heads.map(([text, title, kind]) => ({ text, title, class: kind })),
      sorted.map(line),
    );
    this.node.hidden = sorted.length === 0;
    setText(
      this.summary,
      sorted.length === 1 ? "The one setting" : `All ${sorted.length} settings, the best first`,
    );
  }

  rows() {
    return this.settings.map(({ method, values, spread, seeds, failed, parameters, seconds }) => ({
      method,
      ...values,
      mean: spread?.mean ?? null,
      lowest: spread?.low ?? null,
      highest: spread?.high ?? null,
      finished: spread?.runs ?? 0,
      seeds,
      failed,
      parameters,
      seconds,
    }));
  }
}
