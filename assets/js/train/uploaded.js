// Data of one's own: its first rows under what each column is for, holds, and is to be known of; what is found in it,
// with a button for each step that mends it, and the steps that were done.

import { find, h, segmented, shareBar, textButton } from "../shared/dom.js";
import { count } from "../shared/format.js";
import { table } from "../shared/table.js";

/** @import { Part } from "../shared/part.js" */
/** @import { Bars, Roles, UploadedColumn, UploadedLook } from "../payloads.js" */

const MAX_READ = 2; // columns: two make a pair, or the two parts of a prompt
const LEARNED = /** @type {const} */ ([
  ["label", "A class or an amount"],
  ["answer", "An answer in words"],
]);

/** @param {Bars} given */
const bars = ({ title, bars: rows, more }) =>
  h(
    "div",
    { class: "own-bars" },
    h("p", { class: "bars-title" }, title),
    h(
      "ul",
      { role: "list", "aria-label": title },
      rows.map(([name, share, text]) =>
        h("li", {}, h("span", {}, name), shareBar(share), h("span", {}, text)),
      ),
    ),
    more ? h("p", { class: "quiet" }, more) : null,
  );

/** @typedef {(steps: string[]) => void} Clean has the rows mended by these steps, in their order */

/**
 * The steps that somebody asked for; the others follow from the columns.
 * @param {UploadedLook} look
 */
const askedFor = (look) => look.roles.clean.filter((step) => !look.automatic.includes(step));

/** @param {string[]} sentences @param {UploadedLook} look @param {Clean} clean */
const findings = (sentences, look, clean) =>
  sentences.length
    ? h(
        "ul",
        { class: "own-findings", role: "list" },
        sentences.map((sentence) =>
          h(
            "li",
            {},
            sentence,
            ...look.mended_by
              .filter(({ warning }) => warning === sentence)
              .flatMap(({ step, title }) => [" ", textButton(title, () => clean([...askedFor(look), step]))]),
          ),
        ),
      )
    : null;

/**
 * What each step did, and a way back; and a field for a step that is not offered.
 * @param {UploadedLook} look @param {Clean} clean
 */
function steps(look, clean) {
  const done = look.roles.clean;
  const more = h("input", { "aria-label": "Another step", placeholder: "rename:OLD=NEW", maxlength: 200 });
  const asked = askedFor(look);
  const add = () => more.value.trim() && clean([...asked, more.value.trim()]);
  more.addEventListener("keydown", (event) => {
    if (event.key === "Enter") add();
  });
  return h(
    "details",
    { class: "own-steps", open: done.length > 0 },
    h("summary", {}, done.length ? `Mended by ${done.length} step${done.length > 1 ? "s" : ""}` : "Mend it"),
    h(
      "ol",
      {},
      done.map((step, place) =>
        h(
          "li",
          {},
          look.cleaned[place] ?? step,
          " ",
          look.automatic.includes(step)
            ? null
            : textButton("Undo", () => clean(asked.filter((_, other) => other !== asked.indexOf(step))), {
                "aria-label": `Undo ${step}`,
              }),
        ),
      ),
    ),
    done.length ? h("p", { class: "quiet" }, look.cleaned.at(-1) ?? "") : null,
    h("p", {}, more, " ", textButton("Do it", add)),
  );
}

/** @param {Part<UploadedLook | null>} part */
export function mount({ element, props, trigger }) {
  const place = find(element, ".mount");
  const rows = table({ label: "First rows", class: "own-rows" });

  /** @param {Omit<Roles, "clean">} roles */
  const told = (roles) => trigger("input", { clean: props.value ? askedFor(props.value) : [], ...roles });
  /** @param {string[]} steps */
  const clean = (steps) => trigger("input", { ...props.value?.roles, clean: steps });

  /** @param {UploadedLook} look @param {UploadedColumn} column */
  function head(look, { name, type, distinct, missing }) {
    const { task, inputs, label } = look.roles;
    const read = inputs.includes(name);
    const choices = [
      ["", "left out"],
      ...(look.kind === "text" ? [["input", task === "answer" ? "prompt" : "read"]] : []),
      ["label", task === "answer" ? "answer" : "predicted"],
    ];
    const chosen = name === label ? "label" : read ? "input" : "";
    const select = h(
      "select",
      {
        "aria-label": `What “${name}” is for`,
        onchange: ({ target }) => {
          const others = inputs.filter((one) => one !== name);
          const more = target.value === "input" ? [...others.slice(0, MAX_READ - 1), name] : others;
          const told_now = target.value === "label" ? name : label === name ? null : label;
          told({ task, inputs: more, label: told_now });
        },
      },
      choices.map(([value, text]) => h("option", { value, selected: value === chosen }, text)),
    );
    return {
      class: chosen ? `role-${chosen}` : null,
      text: [
        h(
          "label",
          { class: "column-head" },
          h("span", { class: "column-name" }, name),
          look.kind === "image" && read ? "read" : select, // pictures are what is read
        ),
        h(
          "span",
          { class: "quiet" },
          `${type}, ${count(distinct)} different${missing ? `, ${count(missing)} missing` : ""}`,
        ),
      ],
    };
  }

  /** @param {UploadedLook} look @param {UploadedColumn} column */
  const about = (look, { name, findings: found }) => ({
    text: [
      name === look.roles.label && look.classes ? bars(look.classes) : null,
      name === look.roles.inputs[0] && look.lengths ? bars(look.lengths) : null,
      findings(found, look, clean),
    ],
  });

  /** @param {UploadedLook} look */
  function columns(look) {
    const used = look.columns.map((column) => about(look, column));
    const heads = ["Column", ...look.columns.map((column) => head(look, column))];
    const lines = look.rows.map((row, place) => [row, ...look.columns.map(({ cells }) => cells[place])]);
    rows.fill(heads, [{ class: "about", cells: ["About", ...used] }, ...lines]);
    return [
      rows.node,
      look.hidden_columns ? h("p", { class: "quiet" }, `and ${look.hidden_columns} more columns`) : null,
    ];
  }

  /** @param {UploadedLook} look */
  const pictures = (look) =>
    h(
      "div",
      { class: "own-pictures" },
      look.pictures.map(({ png, label }) =>
        h(
          "figure",
          {},
          h("img", { src: `data:image/png;base64,${png}`, alt: label, width: 56, height: 56 }),
          h("figcaption", {}, label),
        ),
      ),
    );

  function show() {
    const look = props.value;
    if (!look) return place.replaceChildren();
    const active = document.activeElement;
    const focused = place.contains(active) ? active?.getAttribute("aria-label") : null;
    place.replaceChildren(
      h("h2", {}, look.name),
      h("p", { class: "quiet" }, look.read),
      look.problem
        ? h("p", { class: "problem", role: "alert" }, look.problem)
        : h("p", { class: "own-task" }, h("b", {}, look.task), " ", look.sides),
      look.kind === "text"
        ? segmented("What is learned", `task-${element.id}`, LEARNED, look.roles.task, (task) =>
            told({ task, inputs: [], label: null }),
          )
        : "",
      look.pictures.length ? pictures(look) : "",
      ...columns(look).filter((node) => node !== null),
      findings(look.findings, look, clean) ?? "",
      steps(look, clean),
      h("p", { class: "quiet" }, look.settings),
    );
    if (!focused) return;
    // An undone step is there no more.
    const same = place.querySelector(`[aria-label="${CSS.escape(focused)}"]`);
    const again = same ?? place.querySelector(".own-steps summary");
    if (again instanceof HTMLElement) again.focus();
  }
  show();
  return { update: show };
}
