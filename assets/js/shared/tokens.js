// An answer as a model wrote it: each piece the darker, the less sure the model was of it; what is wrong is marked.

import { h } from "./dom.js";

/** @typedef {[string, number]} Piece of text, and its probability */

/** @param {number} share in 0..1 */
const percent = (share) => `${(100 * share).toFixed(share > 0.995 || share < 0.005 ? 1 : 0)} %`;

/**
 * The lines of an answer, each the pieces in it.
 * @param {string} text
 * @param {Piece[]} pieces none of an answer whose probabilities were not kept
 */
export function lines(text, pieces) {
  /** @type {[string, number | null][][]} */
  const found = [[]];
  const whole = pieces.map(([piece]) => piece).join("");
  const rest = text.startsWith(whole) ? text.slice(whole.length) : ""; // a mark that it would have gone on
  const all = pieces.length ? [...pieces, /** @type {[string, null]} */ ([rest, null])] : [[text, null]];
  for (const [piece, share] of /** @type {[string, number | null][]} */ (all))
    piece.split("\n").forEach((part, place) => {
      if (place) found.push([]);
      if (part) found[found.length - 1].push([part, share]);
    });
  return found;
}

/**
 * The name of the field that a line tells, in lower case; "" of a line without one.
 * @param {[string, number | null][]} line
 */
export function fieldOf(line) {
  const [name, ...rest] = line
    .map(([text]) => text)
    .join("")
    .split(":");
  return rest.length ? name.trim().toLowerCase() : "";
}

/**
 * Whether a line is to be marked.
 * @param {[string, number | null][]} line
 * @param {string[]} wrong names of fields; "" for the whole answer
 */
export const isWrong = (line, wrong) => wrong.includes("") || wrong.includes(fieldOf(line));

/**
 * @param {string} text
 * @param {Piece[]} pieces
 * @param {string[]} wrong names of fields that differ from the right ones; "" for the whole answer
 */
export function written(text, pieces = [], wrong = []) {
  const told = lines(text, pieces);
  const missing = wrong.filter((name) => name && !told.some((line) => fieldOf(line) === name));
  return h(
    "span",
    { class: "written-answer" },
    told.map((line) => {
      const marked = isWrong(line, wrong);
      return h(
        "span",
        { class: marked ? "line wrong" : "line" },
        line.map(([part, share]) =>
          share === null
            ? part
            : h("span", { class: "token", style: `--doubt:${1 - share}`, title: percent(share) }, part),
        ),
        marked ? h("span", { class: "hidden-text" }, " (wrong)") : null,
      );
    }),
    missing.length ? h("span", { class: "line missing" }, `missing: ${missing.join(", ")}`) : null,
  );
}

/**
 * What the shades mean; `wrong`: and the mark under what is wrong.
 * @param {boolean} wrong
 */
export function legend(wrong) {
  /** @param {number} doubt @param {string} text */
  const sample = (doubt, text) => h("span", { class: "token", style: `--doubt:${doubt}` }, text);
  return h(
    "p",
    { class: "token-legend" },
    "How sure the model was of each piece: ",
    sample(0, "sure"),
    " ",
    sample(0.5, "half"),
    " ",
    sample(1, "unsure"),
    wrong ? [" · ", h("span", { class: "wrong" }, "wrong")] : null,
  );
}
