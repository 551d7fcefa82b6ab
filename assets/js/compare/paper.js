// The paper's figures and ours, each with its verdict.

import { find, fold, h } from "../shared/dom.js";
import { exports, table } from "../shared/table.js";
import { aligned, count } from "../shared/format.js";
import { whenShown } from "../shared/shown.js";

/** @import { PaperRow } from "../payloads.js" */
/** @import { Part } from "../shared/part.js" */

/** @type {Record<string, string>} */
const MARKS = { "nothing to compare": "no figure known" };
const HEADS = [
  ["Figure", ""],
  ["Paper", "As its abstract or a summary of it prints it", "value"],
  ["Ours", "Recomputed here from the shapes of the layers", "value"],
  ["Unit", ""],
  ["Verdict", "Ours, rounded as the paper's is, against it"],
];

/** @param {number | null} value */
const number = (value) => (value === null ? "–" : Number.isInteger(value) ? count(value) : aligned(value));
// Beside a figure of the paper what was recomputed has as many decimals.
/** @param {PaperRow} row */
const recomputed = ({ published, recomputed: value }) =>
  published === null || value === null ? number(value) : value.toFixed(published.split(".")[1]?.length ?? 0);

/** @param {Part<PaperRow[]>} part */
export function mount({ element, props }) {
  let drawn = false;
  whenShown(element, () => {
    if (!drawn) draw(element, props.value);
    drawn = true;
  });
}

/**
 * @param {HTMLElement} element
 * @param {PaperRow[]} rows
 */
function draw(element, rows) {
  /** @param {PaperRow} row */
  const line = (row) => [
    row.quantity,
    { text: row.published ?? "–", class: "value paper" },
    { text: recomputed(row), class: "value recomputed" },
    { text: row.unit, class: "unit" },
    { text: MARKS[row.verdict] ?? row.verdict, class: `verdict ${row.verdict.split(" ")[0]}` },
  ];
  // A reason that many rows share is said once.
  /** @param {PaperRow[]} some */
  const reasons = (some) =>
    [...new Set(some.map(({ why }) => why))].map((why) => {
      const about = some.filter((row) => row.why === why).map(({ quantity }) => quantity);
      return h("p", {}, h("b", {}, `${[...new Set(about)].join("; ")}. `), why);
    });
  /**
   * @param {string} label
   * @param {PaperRow[]} some
   */
  const figures = (label, some) => {
    const made = table({ label, class: "numbers paper-table" });
    made.fill(
      HEADS.map(([text, title, kind]) => ({ text, title, class: kind })),
      [...new Set(some.map((row) => row.topic))].map((topic) => ({
        head: topic,
        class: "topic",
        rows: some.filter((row) => row.topic === topic).map(line),
      })),
    );
    return made.node;
  };
  const both = rows.filter((row) => row.published !== null);
  const one = rows.filter((row) => row.published === null);
  find(element, ".mount").replaceChildren(
    h("h2", {}, "The paper's figures and ours"),
    h("p", { class: "quiet" }, `${rows[0].source}; the full text could not be had.`),
    figures("The paper's figures and ours", both),
    fold("Why equal, why different", h("div", { class: "seen" }, reasons(both))),
    fold(
      `Without a known figure of the paper: ${one.length} more rows`,
      figures("Rows without a known figure of the paper", one),
      h("div", { class: "seen" }, reasons(one)),
    ),
    exports("paper", () => rows.map((row) => ({ ...row }))),
  );
}
