// Buttons that save a table as CSV or JSON, from data that the page already has.

import { h } from "./dom.js";
import { download } from "./download.js";

/** @typedef {{[column: string]: unknown}} Row */

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

/** @param {Row[]} rows */
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
 * @param {() => Row[]} read
 */
export function exports(name, read) {
  const file = name.toLowerCase().replaceAll(/[^a-z0-9]+/g, "-");
  /**
   * @param {string} kind
   * @param {string} type
   * @param {(rows: Row[]) => string} write
   */
  const button = (kind, type, write) =>
    h(
      "button",
      {
        type: "button",
        class: "text-button",
        "aria-label": `Save ${name} as ${kind}`,
        onclick: () => download(new Blob([write(read())], { type }), `${file}.${kind.toLowerCase()}`),
      },
      kind,
    );
  return h(
    "p",
    { class: "exports" },
    "Save as ",
    button("CSV", "text/csv", csv),
    " ",
    button("JSON", "application/json", (rows) => JSON.stringify(rows, null, 2)),
  );
}
