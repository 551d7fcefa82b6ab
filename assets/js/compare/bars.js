// One quantity of all methods as bars, with a switch over the quantities, and sentences on the chosen one.

import { h, paragraphs, segmented } from "../shared/dom.js";
import { drawChart } from "../shared/chart.js";
import { NARROW } from "../shared/plotly.js";
import { onTheme } from "../shared/theme.js";

/** @import { Costs } from "../payloads.js" */

export class BarChart {
  /** @param {string} id */
  constructor(id) {
    this.id = id;
    /** @type {Costs | undefined} */
    this.shown = undefined;
    this.quantity = "parameters";
    this.controls = h("div", { class: "chart-controls" });
    this.chart = h("div", { class: "chart", role: "group", "aria-label": "Cost of each method as bars" });
    this.empty = h("p", { class: "quiet undrawn", hidden: true });
    this.seen = h("div", { class: "seen", "aria-live": "polite" });
    this.node = h("section", { class: "part-of" }, this.controls, this.chart, this.empty, this.seen);
    onTheme(this.chart, () => this.redraw());
  }

  /** @param {Costs} shown */
  show(shown) {
    this.shown = shown;
    if (!this.controls.firstChild) {
      this.controls.append(
        segmented(
          "Quantity of the bars",
          `bars-${this.id}`,
          shown.columns.map(({ key, title, hint }) => [key, title, hint]),
          this.quantity,
          (key) => {
            this.quantity = key;
            this.redraw();
          },
        ),
      );
    }
    this.redraw();
  }

  redraw() {
    const figure = this.shown?.bars[this.quantity];
    this.seen.replaceChildren(...paragraphs(this.shown?.sentences[this.quantity] ?? []));
    this.chart.hidden = !figure;
    this.empty.hidden = Boolean(figure);
    if (!figure) {
      this.empty.style.minHeight = this.chart.style.height; // what stands below does not jump
      this.empty.textContent = ["seconds", "peak"].includes(this.quantity)
        ? "Not measured on this machine yet: press “Measure on this machine” below the settings."
        : "Nothing to draw: none of these methods has any.";
      return;
    }
    const { xaxis } = figure.layout,
      [low, high] = /** @type {[number, number]} */ (xaxis.range);
    if (NARROW.matches) Object.assign(xaxis, { dtick: Math.ceil((high - low) / 4), tickangle: 0 });
    this.chart.style.height = `${figure.layout.height}px`;
    drawChart(this.chart, figure, "Its numbers can be saved below.");
  }
}
