// The numbers of a chart as a table under it, for screen readers and for reading them.

import { h } from "./dom.js";
import { aligned } from "./format.js";
import { exports } from "./export.js";

const MOST_ROWS = 200;

/** @typedef {{columns: string[], rows: unknown[][], values?: unknown[][]}} Numbers */

/**
 * "Show as table" under a chart; `read` gives {columns, rows} when it is opened, and all rows to save.
 *  Where the rows are words with units, `values` are the numbers to save. `label` tells tables apart.
 * @param {() => Numbers} read
 */
export function tableUnder(read, label = "The chart's numbers") {
  const holder = h("div", { class: "table-scroll", tabindex: "0", role: "region", "aria-label": label });
  const objects = () => {
    const { columns, rows, values = rows } = read();
    return values.map((row) => Object.fromEntries(columns.map((name, index) => [name, row[index]])));
  };
  const details = h(
    "details",
    { class: "as-table" },
    h("summary", {}, "Show as table"),
    holder,
    exports(label, objects),
  );
  const fill = () => {
    if (!details.open) return;
    const { columns, rows } = read();
    const stride = Math.max(1, Math.ceil(rows.length / MOST_ROWS));
    const shown = rows.filter((_, index) => index % stride === 0 || index === rows.length - 1);
    holder.replaceChildren(
      h(
        "table",
        { class: "numbers" },
        h(
          "caption",
          {},
          rows.length === 0
            ? "No numbers yet."
            : stride === 1
              ? `${rows.length} rows.`
              : `One row in ${stride} of ${rows.length}, and the last.`,
        ),
        h(
          "thead",
          {},
          h(
            "tr",
            {},
            columns.map((name) => h("th", { scope: "col" }, name)),
          ),
        ),
        h(
          "tbody",
          {},
          shown.map((row) =>
            h(
              "tr",
              {},
              row.map((cell) => h("td", {}, typeof cell === "number" ? aligned(cell) : String(cell || "–"))),
            ),
          ),
        ),
      ),
    );
  };
  details.addEventListener("toggle", fill);
  return { details, refresh: fill };
}
