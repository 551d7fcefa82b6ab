// Doubts about the method and what is recorded: a figure each, with why, numbers and settings below it. Of the doubts
// after the first ones only the title is seen until it is opened.

import { drawChart } from "../shared/chart.js";
import { find, h, legend, paragraphs, setText } from "../shared/dom.js";
import { newest } from "../shared/part.js";
import { NARROW } from "../shared/plotly.js";
import { unanswered } from "../shared/request.js";
import { isShown, whenShown } from "../shared/shown.js";
import { tableUnder } from "../shared/table.js";
import { onTheme } from "../shared/theme.js";

/** @import { EvidenceFigure, Servers, Styled } from "../payloads.js" */
/** @import { Part } from "../shared/part.js" */

const OPEN = 5; // doubts that are seen with their figures at once

/** @param {Part<null, Styled, Servers["compare/evidence"]>} part */
export function mount({ element, props, server, life }) {
  const said = h("p", { class: "quiet", role: "status" }, "Reading the figures …");
  const lines = legend("Methods", true);
  const figures = h("div", { class: "doubts" });
  find(element, ".mount").replaceChildren(
    h("h2", { class: "hidden-text" }, "Doubts"),
    said,
    lines.node,
    figures,
  );
  const latest = newest(life);
  let shown = false;
  whenShown(element, async () => {
    if (shown) return;
    const answer = await latest(server.evidence({}).catch(unanswered));
    setText(
      said,
      answer ? "" : "The figures could not be loaded; turn to another page and back to try again.",
    );
    if (!answer) return;
    show(answer);
    shown = true;
  });

  /** @param {EvidenceFigure[]} shown */
  function show(shown) {
    const methods = [...new Set(shown.flatMap((one) => one.methods))];
    lines.show(methods.map((method) => ({ style: props.lines[method], text: props.lines[method].label })));
    figures.replaceChildren(...shown.slice(0, OPEN).map(card), ...shown.slice(OPEN).map(folded));
  }
}

/** @param {import("../shared/plotly_types.js").Layout} layout */
function fewerTicks(layout) {
  const axes = Object.entries(layout).filter(([key]) => key.startsWith("xaxis"));
  return {
    ...layout,
    ...Object.fromEntries(axes.map(([key, axis]) => [key, { .../** @type {object} */ (axis), nticks: 4 }])),
  };
}

/** @param {EvidenceFigure} one */
function card(one) {
  return h("section", { id: `evidence-${one.key}` }, h("p", { class: "doubt" }, one.doubt), ...answered(one));
}

/** @param {EvidenceFigure} one */
function folded(one) {
  return h(
    "details",
    { class: "further", id: `evidence-${one.key}` },
    h("summary", {}, one.doubt),
    h("section", {}, ...answered(one)),
  );
}

/**
 * A doubt's answer, its figure, and why.
 * @param {EvidenceFigure} one
 */
function answered(one) {
  const chart = one.figure && h("div", { class: "chart", role: "group", "aria-label": one.label });
  const table = tableUnder(() => one, one.label);
  const redraw = () => {
    if (!chart || !one.figure) return;
    const { layout } = one.figure;
    drawChart(chart, { ...one.figure, layout: NARROW.matches ? fewerTicks(layout) : layout });
  };
  if (chart) {
    onTheme(chart, () => void (isShown(chart) && redraw()));
    whenShown(chart, redraw);
  }
  return [
    h("h3", {}, one.answer),
    chart,
    h(
      "details",
      { class: "as-table" },
      h("summary", { "aria-label": `Why: ${one.doubt}` }, "Why"),
      h("div", { class: "seen" }, paragraphs(one.behind)),
      one.again.map(([query, title]) =>
        h("p", {}, h("a", { href: `?${query}` }, "Open in Train with these settings"), ` · ${title}`),
      ),
      table.details,
      h("p", { class: "origin" }, one.source, " · ", h("code", {}, one.command)),
    ),
  ];
}
