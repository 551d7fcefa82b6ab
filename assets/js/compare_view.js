// What each method costs on the chosen model: who needs least, the table, what is seen, bars, growth.

import { BarChart } from "./compare_bars.js";
import { h, setText, swatch } from "./dom.js";
import { exports } from "./export.js";
import { GrowthChart } from "./compare_growth.js";

export function mount({ element, props, watch }) {
  const title = h("h2", {});
  const origin = h("p", { class: "origin" });
  const problem = h("p", { class: "problem", role: "alert" });
  const winners = h("dl", { class: "winners" });
  const table = h("table", { class: "scoreboard costs-table" });
  const seen = h("div", { class: "seen", "aria-live": "polite" });
  const bars = new BarChart(element.id);
  const growth = new GrowthChart(props.lines, props.layout, element.id);
  const assumptions = h("ul", { class: "assumptions" });
  let rows = [];
  element.querySelector(".mount").replaceChildren(
    h("div", { class: "run-head" }, title, origin), problem, winners,
    h("div", { class: "table-scroll wide", tabindex: "0", role: "region", "aria-label": "Cost of each method" }, table),
    exports("costs", () => rows), seen, bars.node, growth.node,
    h("details", { class: "as-table" }, h("summary", {}, "What is assumed"), assumptions));

  function fillTable({ columns, table: lines }) {
    const head = h("tr", {}, h("th", { scope: "col", class: "method" }, "Method"),
      columns.map(({ title: name, hint }) => h("th", { scope: "col", title: hint }, name)));
    const body = lines.map((line) => h("tr", {},
      h("th", { scope: "row", class: "method", title: line.assumption }, h("div", { class: "method-cell" },
        swatch(props.lines[line.method]), h("span", { class: "label" }, line.label))),
      line.unavailable ? h("td", { class: "why", colspan: columns.length }, line.unavailable)
        : columns.map(({ key }) => h("td", { class: key, title: line.hints[key] }, line.texts[key] ?? "–"))));
    table.replaceChildren(h("caption", { class: "hidden-text" }, "Cost by method"), h("thead", {}, head), h("tbody", {}, body));
  }

  function show() {
    const { shown, problem: refused } = props.value;
    setText(problem, refused ?? "");
    element.toggleAttribute("data-refused", Boolean(refused));
    if (!shown) return;
    rows = shown.rows;
    setText(title, shown.title);
    setText(origin, shown.subtitle);
    winners.replaceChildren(...shown.winners.map(({ what, method, label, text }) => h("div", {},
      h("dt", {}, what), h("dd", {}, h("span", { class: `dot ${method}` }), h("b", {}, label), h("span", { class: "quiet" }, text)))));
    fillTable(shown);
    seen.replaceChildren(...shown.sentences.map((sentence) => h("p", {}, sentence)));
    bars.show(shown);
    growth.show(shown);
    assumptions.replaceChildren(...shown.assumptions.map((text) => h("li", {}, text)));
  }

  watch("value", show);
  show();
}
