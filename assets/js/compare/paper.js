// The paper's figures beside ours, each with its verdict.

import { find, h } from "../shared/dom.js";
import { exports } from "../shared/export.js";
import { aligned, count } from "../shared/format.js";

/** @import { PaperRow } from "../payloads.js" */
/** @import { Part } from "../shared/part.js" */

/** @type {Record<string, string>} */
const MARKS = { "nothing to compare": "no figure known" };
const HEADS = [
  ["Figure", ""],
  ["Paper", "As the paper prints it", "value"],
  ["Ours", "Recomputed here from the shapes of the layers", "value"],
  ["Unit", ""],
  ["Verdict", "Ours, rounded as the paper rounds, against what it prints"],
  ["Why", ""],
];

/** @param {number | null} value */
const number = (value) => (value === null ? "–" : Number.isInteger(value) ? count(value) : aligned(value));
// Beside a figure of the paper what was recomputed has as many decimals.
/** @param {PaperRow} row */
const recomputed = ({ published, recomputed: value }) =>
  published === null || value === null ? number(value) : value.toFixed(published.split(".")[1]?.length ?? 0);

/** @param {Part<PaperRow[]>} part */
export function mount({ element, props }) {
  const rows = props.value;
  // A reason that many rows of a topic share is said once.
  /**
   * @param {PaperRow} row
   * @param {number} index
   * @param {PaperRow[]} own
   */
  const line = (row, index, own) =>
    h(
      "tr",
      {},
      h("th", { scope: "row" }, row.quantity),
      h("td", { class: "value paper" }, row.published ?? "–"),
      h("td", { class: "value recomputed" }, recomputed(row)),
      h("td", { class: "unit" }, row.unit),
      h("td", { class: `verdict ${row.verdict.split(" ")[0]}` }, MARKS[row.verdict] ?? row.verdict),
      h("td", { class: "why" }, own.findIndex(({ why }) => why === row.why) === index ? row.why : ""),
    );
  /**
   * @param {PaperRow[]} some
   * @param {string} topic
   */
  const group = (some, topic) => {
    const own = some.filter((row) => row.topic === topic);
    return h(
      "tbody",
      {},
      h("tr", { class: "topic" }, h("th", { scope: "rowgroup", colspan: HEADS.length }, topic)),
      own.map(line),
    );
  };
  /**
   * @param {string} name
   * @param {PaperRow[]} some
   */
  const table = (name, some) =>
    h(
      "div",
      { class: "table-scroll wide", tabindex: "0", role: "region", "aria-label": name },
      h(
        "table",
        { class: "numbers paper-table" },
        h("caption", { class: "hidden-text" }, name),
        h(
          "thead",
          {},
          h(
            "tr",
            {},
            HEADS.map(([head, hint, kind]) =>
              h("th", { scope: "col", class: kind, title: hint || null }, head),
            ),
          ),
        ),
        [...new Set(some.map((row) => row.topic))].map((topic) => group(some, topic)),
      ),
    );
  const both = rows.filter((row) => row.published !== null);
  const one = rows.filter((row) => row.published === null);
  find(element, ".mount").replaceChildren(
    h("h2", {}, "The paper's figures beside ours"),
    h(
      "p",
      { class: "quiet" },
      `${rows[0].source}; the full text could not be had. Where its figure is not known to us, there is nothing to compare.`,
    ),
    table("The paper's figures beside ours", both),
    h(
      "details",
      { class: "as-table" },
      h("summary", {}, `Without a known figure of the paper: ${one.length} more rows`),
      table("Rows without a known figure of the paper", one),
    ),
    exports("paper", () => rows.map((row) => ({ ...row }))),
  );
}
