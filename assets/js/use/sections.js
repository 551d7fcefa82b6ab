// Sentences and tables of the Use tab, as Python says them: right and wrong, rows, what an adapter promises.

import { find, h } from "../shared/dom.js";
import { table } from "../shared/table.js";

/** @import { Part } from "../shared/part.js" */
/** @import { Line, Scatter, Section, Sections, Sheet, SheetCell } from "../payloads.js" */
/** @import { Child } from "../shared/dom.js" */

const SIDE = 240; // pixels
const LONG = ["tensors", "per-class", "confused"]; // which scroll by themselves

/** @param {Line} line @returns {Child[]} */
const spoken = ({ text, strong, wrong }) => [
  strong ? h("b", {}, text) : text,
  ...(wrong
    ? [" ", h("span", { class: "mark" }, "✗"), h("span", { class: "hidden-text" }, ` ${wrong}`)]
    : []),
];

/** @param {SheetCell} cell */
function drawn({ lines, quiet, share, picture, strong }) {
  const text = picture
    ? [h("img", { src: picture, alt: lines[0].text })]
    : lines.flatMap((line, place) => [...(place ? [h("br")] : []), ...spoken(line)]);
  return {
    text: quiet ? [...text, " ", h("span", { class: "quiet" }, quiet)] : text,
    class: [strong && "right", lines.some(({ wrong }) => wrong) && "wrong"].filter(Boolean).join(" ") || null,
    style: share === undefined ? null : `--share:${share.toFixed(3)}`,
  };
}

/** @param {Sheet} sheet */
function tableOf({ kind, label, above, heads, rows, method }) {
  const made = table({ label, class: kind, tall: !LONG.includes(kind) });
  made.fill(
    heads,
    rows.map((row) => row.map(drawn)),
    undefined,
    above,
  );
  if (method) made.element.setAttribute("style", `--of:var(--method-${method})`);
  return made.node;
}

/** @param {Scatter} scatter */
function scatterOf({ method, about, points, low, high }) {
  const scale = SIDE / (high - low || 1);
  const dots = points.map(
    ([label, answer]) =>
      `M${(scale * (label - low)).toFixed(1)} ${(SIDE - scale * (answer - low)).toFixed(1)}h0`,
  );
  return h(
    "svg",
    {
      class: "scatter",
      viewBox: `-4 -4 ${SIDE + 8} ${SIDE + 8}`,
      role: "img",
      "aria-label": about,
      style: `--of:var(--method-${method})`,
    },
    h("path", { d: `M0 ${SIDE}L${SIDE} 0` }),
    h("path", { class: "dots", d: dots.join("") }),
  );
}

/** @param {Section} section */
function content({ said, quiet, problem, sheet, scatter }) {
  return [
    problem ? h("p", { class: "problem", role: "alert" }, problem) : null,
    said
      ? h(
          "p",
          {},
          said.flatMap((line, place) => [...(place ? [" "] : []), ...spoken(line)]),
        )
      : null,
    quiet ? h("p", { class: "quiet" }, quiet) : null,
    scatter ? scatterOf(scatter) : null,
    sheet ? tableOf(sheet) : null,
  ];
}

/** @param {Part<Sections>} part */
export function mount({ element, props }) {
  const place = find(element, ".mount");
  function show() {
    /** @type {HTMLElement | null} */
    let row = null;
    place.replaceChildren();
    for (const section of props.value.sections) {
      const { title, folded, beside } = section;
      if (folded) {
        place.append(h("details", {}, h("summary", {}, title ?? ""), content(section)));
      } else if (beside) {
        row ??= place.appendChild(h("div", { class: "side-by-side" }));
        row.append(h("section", {}, title ? h("h3", {}, title) : null, content(section)));
        continue;
      } else {
        place.append(h("div", {}, title ? h("h3", {}, title) : null, content(section)));
      }
      row = null;
    }
  }
  show();
  return { update: show };
}
