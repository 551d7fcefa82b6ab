// The growth of costs: curves that the server computed, and a marker to drag along them.

import { find, h, segmented, setText, swatch } from "../shared/dom.js";
import { amount, count, times } from "../shared/format.js";
import { drawChart } from "../shared/chart.js";
import { NARROW, resolve, valueAt } from "../shared/plotly.js";
import { isShown, whenShown } from "../shared/shown.js";
import { tableUnder } from "../shared/table.js";
import { onTheme } from "../shared/theme.js";

/** @import { Growth, GrowthCurves, GrowthFixed, GrowthView, Quantity } from "../payloads.js" */
/** @import { Part } from "../shared/part.js" */
/** @import { Layout, Styles } from "../shared/plotly_types.js" */

/** @param {Part<GrowthView | null, GrowthFixed>} part */
export function mount({ element, props }) {
  const title = h("h2", {});
  const problem = h("p", { class: "problem", role: "alert" });
  const chart = new GrowthChart(props.lines, props.layout, element.id);
  find(element, ".mount").replaceChildren(h("div", { class: "run-head" }, title), problem, chart.node);
  /** @type {GrowthView | null} */
  let drawn = null;

  function show() {
    const current = props.value || props.first;
    if (!isShown(element) || drawn === current) return;
    drawn = current;
    const { shown, problem: refused } = drawn;
    setText(problem, refused ?? "");
    setText(title, shown?.title ?? "");
    chart.node.hidden = !shown?.growth.length;
    if (shown?.growth.length) chart.show(shown);
  }

  whenShown(element, show);
  return { update: show };
}

class GrowthChart {
  /**
   * @param {Styles} styles
   * @param {Layout} layout
   * @param {string} id
   */
  constructor(styles, layout, id) {
    this.styles = styles;
    this.base = layout;
    this.id = id;
    /** @type {Growth[]} */
    this.growth = [];
    /** @type {Quantity[]} */
    this.described = [];
    this.offered = "";
    this.along = ""; // what the marker was put on
    this.axis = "tokens";
    this.quantity = "flops";
    this.quantities = h("span", {});
    this.axes = h("span", {});
    this.chart = h("div", { class: "chart growth", role: "group", "aria-label": "How cost grows" });
    this.slider = h("input", {
      type: "range",
      min: 0,
      step: 1,
      "aria-label": "Marker",
      oninput: () => this.moveMarker(),
    });
    this.readout = h("ul", { class: "readout", role: "list", "aria-live": "polite" });
    this.place = h("span", { class: "place" });
    this.note = h("p", { class: "quiet note" });
    this.table = tableUnder(() => this.numbers(), "Growth of cost");
    this.node = h(
      "section",
      { class: "part-of" },
      h("div", { class: "chart-controls" }, this.quantities, this.axes),
      this.chart,
      h("label", { class: "marker" }, h("span", {}, "Marker"), this.slider, this.place),
      this.readout,
      this.note,
      this.table.details,
    );
    onTheme(this.chart, () => this.growth.length && this.redraw());
    this.chart.addEventListener("pointerdown", (event) => this.drag(event));
    this.chart.addEventListener("pointermove", (event) => {
      if (event.buttons) this.drag(event);
    });
  }

  /** @param {GrowthCurves} curves */
  show({ growth, quantities }) {
    this.growth = growth;
    this.described = quantities;
    if (!this.quantities.firstChild) {
      this.quantities.append(
        segmented(
          "Quantity that grows",
          `grows-${this.id}`,
          quantities.map(({ key, title, hint }) => [key, title, hint]),
          this.quantity,
          (key) => {
            this.quantity = key;
            this.redraw();
          },
        ),
      );
    }
    const keys = growth.map(({ key }) => key);
    if (!keys.includes(this.axis)) this.axis = keys[0];
    const offered = keys.join();
    if (offered !== this.offered) {
      this.offered = offered;
      this.axes.replaceChildren(
        segmented(
          "What varies",
          `along-${this.id}`,
          growth.map(({ key, name, title }) => [key, name, title]),
          this.axis,
          (key) => {
            this.axis = key;
            this.reset();
          },
        ),
      );
    }
    // A marker that somebody moved stays where the same is shown again.
    if (this.along === this.#along()) this.redraw();
    else this.reset();
  }

  #along() {
    const { key, x, at } = this.current;
    return JSON.stringify([key, x, at]);
  }

  get drawnQuantity() {
    const found = this.described.find(({ key }) => key === this.quantity);
    if (!found) throw new Error(`${this.quantity} does not grow`);
    return found;
  }

  get current() {
    const found = this.growth.find(({ key }) => key === this.axis);
    if (!found) throw new Error(`nothing grows along ${this.axis}`);
    return found;
  }

  reset() {
    const { x, at } = this.current;
    this.slider.max = String(x.length - 1);
    this.slider.value = String(nearest(x, at));
    this.along = this.#along();
    this.redraw();
  }

  /** @param {PointerEvent} event */
  drag(event) {
    const at = valueAt(this.chart, event.clientX);
    if (at === null) return; // not drawn yet
    const index = nearest(this.current.x, at);
    if (String(index) === this.slider.value) return;
    this.slider.value = String(index);
    this.moveMarker();
  }

  line() {
    const x = this.current.x[Number(this.slider.value)];
    return [
      {
        type: "line",
        xref: "x",
        yref: "paper",
        x0: x,
        x1: x,
        y0: 0,
        y1: 1,
        line: { color: "var(--ink)", width: 1 },
      },
    ];
  }

  redraw() {
    const { title, x, note, series } = this.current;
    const layout = structuredClone(this.base);
    Object.assign(layout.xaxis, {
      type: "log",
      title: { text: title, standoff: 8 },
      exponentformat: "SI",
      nticks: NARROW.matches ? 4 : 7,
    });
    const widest = x[x.length - 1] / x[0];
    if (NARROW.matches && widest >= 1000) layout.xaxis.dtick = Math.ceil(Math.log10(widest) / 5);
    Object.assign(layout.yaxis, {
      type: "log",
      title: { text: this.drawnQuantity.title, standoff: 6 },
      exponentformat: "SI",
      nticks: 6,
    });
    Object.assign(layout, { dragmode: false, hovermode: false, shapes: this.line(), uirevision: this.axis });
    const data = series.map((one) => ({
      type: "scatter",
      mode: "lines",
      name: one.label,
      x,
      y: one.costs[this.quantity],
      line: this.styles[one.method].line,
    }));
    drawChart(this.chart, { data, layout, config: { displayModeBar: false } });
    setText(this.note, note);
    this.table.refresh();
    this.showReadout();
  }

  moveMarker() {
    if (window.Plotly && valueAt(this.chart, 0) !== null)
      window.Plotly.relayout(this.chart, resolve({ shapes: this.line() }, this.chart));
    this.showReadout();
  }

  showReadout() {
    const { x, series, at, short } = this.current;
    const index = Number(this.slider.value);
    const cdvft = series.find(({ method }) => method === "cdvft")?.costs[this.quantity][index] ?? null;
    const place = `${short} = ${count(x[index])}${x[index] === at ? " (as set)" : ""}`;
    setText(this.place, place);
    this.slider.setAttribute("aria-valuetext", place);
    this.readout.replaceChildren(
      ...series.map(({ method, label, costs }) => {
        const value = costs[this.quantity][index];
        const ratio = value && cdvft && method !== "cdvft" ? `${times(value / cdvft)} × CDVFT` : "";
        return h(
          "li",
          {},
          swatch(this.styles[method]),
          h("span", {}, label),
          h("b", {}, value === null ? "does not fit" : amount(this.drawnQuantity.kind, value)),
          h("span", { class: "quiet" }, ratio),
        );
      }),
    );
  }

  numbers() {
    const { x, series, title } = this.current,
      { kind, title: quantity } = this.drawnQuantity;
    const values = series.flatMap((one) =>
      x.map((value, index) => ({ label: one.label, value, cost: one.costs[this.quantity][index] })),
    );
    const rows = values.map(({ label, value, cost }) => [label, count(value), amount(kind, cost)]);
    return { columns: ["Method", title, quantity], rows, values: values.map(Object.values) };
  }
}

/**
 * The index of the value nearest to the wanted one, by their ratio.
 * @param {number[]} values
 * @param {number} wanted
 */
const nearest = (values, wanted) =>
  values.reduce(
    (best, value, index) =>
      Math.abs(Math.log(value / wanted)) < Math.abs(Math.log(values[best] / wanted)) ? index : best,
    0,
  );
