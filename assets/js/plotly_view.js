// A chart on the page: give it a plotly figure as its value, and it draws it in place.

import { h } from "./dom.js";
import { draw, onTheme } from "./plot.js";
import { figureTable, tableUnder } from "./table.js";

export function mount({ element, props, watch }) {
  const chart = h("div", { class: "chart", role: "group", "aria-label": props.description,
    style: `height: ${props.chart_height}px` });
  const table = props.with_table ? tableUnder(() => figureTable(props.value ?? { data: [] })) : null;
  element.querySelector(".mount").replaceChildren(chart, ...(table ? [table.details] : []));
  const redraw = () => {
    const figure = props.value;
    if (!figure) return;
    draw(chart, figure).catch((error) => { chart.textContent = `The chart is not shown: ${error.message}.`; });
    table?.refresh();
  };
  watch("value", redraw);
  onTheme(redraw);
  redraw();
}
