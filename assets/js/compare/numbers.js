// Tables of numbers below the answer.

import { h } from "../shared/dom.js";

/**
 * @param {string} label
 * @param {HTMLTableElement} table
 */
export const scrolled = (label, table) =>
  h("div", { class: "table-scroll wide", tabindex: "0", role: "region", "aria-label": label }, table);

/**
 * @param {HTMLTableElement} table
 * @param {string} caption
 * @param {string[]} heads
 * @param {string[][]} rows
 */
export function fillNumbers(table, caption, heads, rows) {
  table.replaceChildren(
    h("caption", { class: "hidden-text" }, caption),
    h(
      "thead",
      {},
      h(
        "tr",
        {},
        heads.map((head) => h("th", { scope: "col" }, head)),
      ),
    ),
    h(
      "tbody",
      {},
      rows.map(([first, ...rest]) =>
        h(
          "tr",
          {},
          h("th", { scope: "row" }, first.replace(/(\d) /g, "$1\u00a0")),
          rest.map((text) => h("td", {}, text.replace(/(\d) /g, "$1\u00a0"))),
        ),
      ),
    ),
  );
}
