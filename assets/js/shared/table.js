// Tables: every one of the page's is made here, and can be saved. The numbers of a chart are one under it, for screen
// readers and for reading them.

import { h, textButton } from "./dom.js";
import { aligned } from "./format.js";
import { download } from "./download.js";
import { everyAndLast } from "./sampling.js";

/** @import { Child } from "./dom.js" */

/**
 * What stands in a cell, alone or with what is told of it.
 * @typedef {Child | {text: Child | Child[], title?: string | null, class?: string | null, style?: string | null,
 *   sort?: "ascending" | "descending" | "none" | null}} Cell `sort`: of a head by which the rows can be ordered
 */
/** @typedef {{cells: Cell[], class?: string | null}} Row */
/** @typedef {{head: Child, class: string, rows: (Row | Cell[])[]}} Group rows under a heading of their own */

/** @param {unknown} cell @returns {cell is Exclude<Cell, Child>} */
const isDetailed = (cell) => cell !== null && typeof cell === "object" && !(cell instanceof Node);

/**
 * @param {"td" | "th"} tag
 * @param {Cell} cell
 * @param {{scope?: string}} attributes
 */
function made(tag, cell, attributes = {}) {
  if (!isDetailed(cell)) return h(tag, attributes, cell);
  const { text, title, class: style, style: look, sort } = cell;
  const more = { title: title || null, class: style, style: look, "aria-sort": sort };
  return h(tag, { ...attributes, ...more }, ...[text].flat());
}

/** @param {Row | Cell[]} row */
function line(row) {
  const { cells, class: style = null } = Array.isArray(row) ? { cells: row } : row;
  const [first, ...rest] = cells;
  return h(
    "tr",
    { class: style },
    made("th", first, { scope: "row" }),
    rest.map((cell) => made("td", cell)),
  );
}

/**
 * A table in a box of its own that scrolls. The first cell of a row is its head; a column without a name gets no head.
 * @param {{label: string, class?: string, tall?: boolean}} given `label` names it for screen readers; `tall`: as high as it
 *   is
 */
export function table({ label, class: style = "numbers", tall = true }) {
  const element = h("table", { class: style });
  const attributes = { tabindex: "0", role: "region", "aria-label": label };
  return {
    element,
    node: h("div", { class: tall ? "table-scroll wide" : "table-scroll", ...attributes }, element),
    /**
     * @param {Cell[]} heads
     * @param {(Row | Cell[])[] | Group[]} rows
     * @param {string} [caption] that is seen; else the label stands for it
     * @param {[string, number][]} [above] headings over so many columns each
     */
    fill(heads, rows, caption, above = []) {
      const groups = rows.some((row) => "rows" in row)
        ? /** @type {Group[]} */ (rows)
        : [{ head: null, class: "", rows: /** @type {Row[]} */ (rows) }];
      element.replaceChildren(
        h("caption", { class: caption === undefined ? "hidden-text" : null }, caption ?? label),
        h(
          "thead",
          {},
          above.length
            ? h(
                "tr",
                {},
                above.map(([text, colspan]) =>
                  h(text ? "th" : "td", text ? { scope: "colgroup", colspan } : { colspan }, text),
                ),
              )
            : null,
          h(
            "tr",
            {},
            heads.map((head) => made(head ? "th" : "td", head, head ? { scope: "col" } : {})),
          ),
        ),
        ...groups.map(({ head, class: kind, rows: own }) =>
          h(
            "tbody",
            {},
            head
              ? h("tr", { class: kind }, h("th", { scope: "rowgroup", colspan: heads.length }, head))
              : null,
            own.map(line),
          ),
        ),
      );
    },
  };
}

const MAX_ROWS = 200;

/** @typedef {{columns: string[], rows: unknown[][], values?: unknown[][]}} Numbers */

/**
 * "Show as table" under a chart; `read` gives {columns, rows} when it is opened, and all rows to save.
 *  Where the rows are words with units, `values` are the numbers to save. `label` tells tables apart.
 * @param {() => Numbers} read
 */
export function tableUnder(read, label = "The chart's numbers") {
  const numbers = table({ label, tall: false });
  const objects = () => {
    const { columns, rows, values = rows } = read();
    return values.map((row) => Object.fromEntries(columns.map((name, index) => [name, row[index]])));
  };
  const details = h(
    "details",
    { class: "as-table", ontoggle: () => refresh() },
    h("summary", {}, "Show as table"),
    numbers.node,
    exports(label, objects),
  );
  function refresh() {
    if (!details.open) return;
    const { columns, rows } = read();
    const stride = Math.max(1, Math.ceil(rows.length / MAX_ROWS));
    const shown = everyAndLast(rows, stride);
    const said =
      stride === 1 ? `${rows.length} rows.` : `One row in ${stride} of ${rows.length}, and the last.`;
    numbers.fill(
      columns,
      shown.map((row) => row.map((cell) => (typeof cell === "number" ? aligned(cell) : String(cell || "–")))),
      rows.length ? said : "No numbers yet.",
    );
  }
  return { details, refresh };
}

/** @typedef {{[column: string]: unknown}} SavedRow */

// A text that a spreadsheet would take for a formula gets an apostrophe before it; a number never is one.
const FORMULA = /^[=+\-@\t\r]/;

/** @param {unknown} value */
const cell = (value) => {
  let text =
    value === null || value === undefined
      ? ""
      : typeof value === "object"
        ? JSON.stringify(value)
        : String(value);
  if (typeof value === "string" && FORMULA.test(text) && Number.isNaN(Number(text))) text = `'${text}`;
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
};

/** @param {SavedRow[]} rows */
export function csv(rows) {
  const names = [...new Set(rows.flatMap((row) => Object.keys(row)))];
  return (
    [names, ...rows.map((row) => names.map((name) => row[name]))]
      .map((line) => line.map(cell).join(","))
      .join("\r\n") + "\r\n"
  );
}

/**
 * "Save as CSV · JSON"; `read` gives the rows as objects when a button is pressed. The file is called by `name`.
 * @param {string} name
 * @param {() => SavedRow[]} read
 */
export function exports(name, read) {
  const file = name.toLowerCase().replaceAll(/[^a-z0-9]+/g, "-");
  /**
   * @param {string} kind
   * @param {string} type
   * @param {(rows: SavedRow[]) => string} write
   */
  const button = (kind, type, write) =>
    textButton(kind, () => download(new Blob([write(read())], { type }), `${file}.${kind.toLowerCase()}`), {
      "aria-label": `Save ${name} as ${kind}`,
    });
  return h(
    "p",
    { class: "exports" },
    "Save as ",
    button("CSV", "text/csv", csv),
    " ",
    button("JSON", "application/json", (rows) => JSON.stringify(rows, null, 2)),
  );
}
