// What each method costs on the chosen model: who needs least, advice, the table, bars, growth.

import { find, h, paragraphs, setText, swatch } from "../shared/dom.js";
import { exports } from "../shared/export.js";
import { BarChart } from "./bars.js";
import { GrowthChart } from "./growth.js";

/** @import { Charted, Costs, CostsView } from "../payloads.js" */
/** @import { Part } from "../shared/part.js" */

const MEASURED = ["seconds", "peak"];
const TOGETHER = 600; // seconds within which one measurement is done
const BUSY = 0.1;

/** @param {number} time in seconds since 1970 */
function ago(time) {
  const minutes = Math.round((Date.now() / 1000 - time) / 60);
  if (minutes < 1) return "just now";
  return minutes < 100
    ? `${minutes} min ago`
    : minutes < 2880
      ? `${Math.round(minutes / 60)} hours ago`
      : `${Math.round(minutes / 1440)} days ago`;
}

/** @param {Part<CostsView, Charted>} part */
export function mount({ element, props, watch }) {
  const title = h("h2", {});
  const origin = h("p", { class: "origin" });
  const problem = h("p", { class: "problem", role: "alert" });
  const winners = h("dl", { class: "winners" });
  const table = h("table", { class: "scoreboard costs-table" });
  const advice = h("div", { class: "advice", "aria-live": "polite" });
  const bars = new BarChart(element.id);
  const growth = new GrowthChart(props.lines, props.layout, element.id);
  const assumptions = h("ul", { class: "assumptions" });
  const age = h("p", { class: "quiet age" });
  const refusal = h("p", { class: "quiet age" });
  /** @type {Costs["rows"]} */
  let rows = [];
  find(element, ".mount").replaceChildren(
    h("div", { class: "run-head" }, title, origin),
    problem,
    winners,
    advice,
    h(
      "div",
      { class: "table-scroll wide", tabindex: "0", role: "region", "aria-label": "Cost of each method" },
      table,
    ),
    exports("costs", () => rows),
    age,
    refusal,
    bars.node,
    growth.node,
    h("details", { class: "as-table" }, h("summary", {}, "What is assumed"), assumptions),
  );

  /** @param {Costs} costs */
  function fillTable({ columns: all, table: lines, measured }) {
    const columns = measured ? all : all.filter(({ key }) => !MEASURED.includes(key));
    const head = h(
      "tr",
      {},
      h("th", { scope: "col", class: "method" }, "Method"),
      columns.map(({ title: name, hint }) => h("th", { scope: "col", title: hint }, name)),
    );
    const body = lines.map((line) =>
      h(
        "tr",
        {},
        h(
          "th",
          { scope: "row", class: "method", title: line.unavailable === null ? line.assumption : null },
          h(
            "div",
            { class: "method-cell" },
            swatch(props.lines[line.method]),
            h("span", { class: "label" }, line.label),
          ),
        ),
        line.unavailable !== null
          ? h("td", { class: "why", colspan: columns.length }, line.unavailable)
          : columns.map(({ key }) =>
              line.refused && MEASURED.includes(key)
                ? h("td", { class: `${key} quiet`, title: line.refused }, "too large")
                : h("td", { class: key, title: line.hints[key] }, line.texts[key] ?? "–"),
            ),
      ),
    );
    const refused = lines.filter((line) => line.unavailable === null && line.refused !== null);
    const why = refused[0]?.unavailable === null ? refused[0].refused : "";
    setText(
      refusal,
      refused.length
        ? `Not to be measured here: ${refused.map(({ label }) => label).join(", ")}. ${why}`
        : "",
    );
    table.replaceChildren(
      h("caption", { class: "hidden-text" }, "Cost by method"),
      h("thead", {}, head),
      h("tbody", {}, body),
    );
  }

  function showAge() {
    if (!element.isConnected) return;
    const { measured } = props.value.shown ?? {};
    if (!measured) return setText(age, "Step time and peak memory are not measured on this machine yet.");
    const { device, first, last, others } = measured;
    const together =
      last - first < TOGETHER
        ? `measured ${ago(last)} on ${device}.`
        : `measured on ${device}, some ${ago(first)}, some ${ago(last)}; measure again to have all at once.`;
    const busy =
      others < BUSY
        ? ""
        : ` Other programs took up to ${Math.round(100 * others)} % of the processor meanwhile: these times are too long.`;
    setText(age, `Step time and peak memory: ${together}${busy}`);
  }

  function show() {
    const { shown, problem: refused } = props.value;
    setText(problem, refused ?? "");
    element.toggleAttribute("data-refused", Boolean(refused));
    if (!shown) return;
    rows = shown.rows;
    setText(title, shown.title);
    setText(origin, shown.subtitle);
    winners.replaceChildren(
      ...shown.winners.map(({ what, method, label, text }) =>
        h(
          "div",
          {},
          h("dt", {}, what),
          h(
            "dd",
            {},
            h("span", { class: `dot ${method}` }),
            h("b", {}, label),
            h("span", { class: "quiet" }, text),
          ),
        ),
      ),
    );
    fillTable(shown);
    showAge();
    advice.replaceChildren(...paragraphs(shown.advice));
    bars.show(shown);
    growth.show(shown);
    assumptions.replaceChildren(...shown.assumptions.map((text) => h("li", {}, text)));
  }

  watch("value", show);
  setInterval(showAge, 30_000);
  show();
}
