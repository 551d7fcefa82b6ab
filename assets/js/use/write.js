// What the models of a race write to one prompt, a column each, piece by piece as it comes.

import { find, h, setText } from "../shared/dom.js";
import { table } from "../shared/table.js";
import { legend, written } from "../shared/tokens.js";

/** @import { Part } from "../shared/part.js" */
/** @import { Writing, WrittenSide } from "../payloads.js" */

/**
 * "38 tokens, 21 a second"; what a column says under its answer.
 * @param {Pick<WrittenSide, "tokens" | "seconds" | "ended">} side
 */
export function pace({ tokens, seconds, ended }) {
  if (!tokens) return ended ? "" : "…";
  const speed = tokens / Math.max(seconds, 1e-9);
  const count = `${tokens} token${tokens === 1 ? "" : "s"}`;
  return `${count}, ${speed < 10 ? speed.toFixed(1) : speed.toFixed(0)} a second`;
}

/**
 * The names of all fields that some column has, in the order of their first coming.
 * @param {Pick<WrittenSide, "fields">[]} sides
 */
export const fieldNames = (sides) => [...new Set(sides.flatMap(({ fields }) => Object.keys(fields)))];

/** @param {WrittenSide} side */
const name = (side) => (side.method ? side.title : `${side.title}, ${side.note}`);

/** @param {Part<Writing, object, object>} part */
export function mount({ element, props }) {
  const status = h("p", { class: "quiet", role: "status" });
  const problem = h("p", { class: "problem", role: "alert", hidden: true });
  const columns = h("div", { class: "written-columns" });
  const shades = h("div", { hidden: true }, legend(false));
  const fields = h("div", {});
  const answers = table({ label: "Fields of the answers", class: "answers", tall: false });
  find(element, ".mount").replaceChildren(status, problem, columns, shades, fields);
  /** @type {string[]} */
  let drawn = [];

  /** @param {WrittenSide[]} sides */
  function drawColumns(sides) {
    if (drawn.length !== sides.length) {
      drawn = [];
      columns.replaceChildren(...sides.map(() => h("section", {})));
    }
    sides.forEach((side, place) => {
      const now = JSON.stringify(side);
      if (drawn[place] === now) return;
      drawn[place] = now;
      const text = side.pieces.map(([piece]) => piece).join("");
      const column = columns.children[place];
      column.setAttribute(
        "style",
        side.method ? `--of:var(--method-${side.method})` : "--of:var(--rule-strong)",
      );
      column.replaceChildren(
        h("h3", {}, side.title, side.note ? h("span", { class: "quiet" }, side.note) : null),
        h(
          "div",
          { class: "text", tabindex: "0", role: "group", "aria-label": `Answer of ${name(side)}` },
          written(text, side.pieces),
        ),
        h("p", { class: "pace" }, pace(side)),
      );
    });
  }

  /** @param {WrittenSide[]} sides */
  function drawFields(sides) {
    const names = fieldNames(sides);
    const shown = names.length ? sides : [];
    answers.fill(
      ["Model", ...names],
      shown.map((side) => [
        { text: [side.title, side.note ? h("span", { class: "quiet" }, side.note) : null] },
        ...names.map((field) => side.fields[field] ?? "–"),
      ]),
    );
    fields.replaceChildren(
      ...(shown.length
        ? [
            h("h3", {}, "Fields"),
            answers.node,
            ...shown
              .filter((side) => side.json)
              .map((side) =>
                h(
                  "details",
                  {},
                  h("summary", {}, `JSON of ${name(side)}`),
                  h("pre", { tabindex: "0" }, side.json),
                ),
              ),
          ]
        : []),
    );
  }

  function show() {
    const { sides, status: said, problem: refusal, running } = props.value;
    setText(status, said);
    setText(problem, refusal);
    problem.hidden = !refusal;
    shades.hidden = !sides.some((side) => side.pieces.length);
    element.toggleAttribute("data-running", running);
    element.toggleAttribute("data-ended", !running && sides.length > 0);
    drawColumns(sides);
    drawFields(running ? [] : sides);
  }
  show();
  return { update: show };
}
