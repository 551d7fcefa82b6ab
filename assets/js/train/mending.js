// What is found in a table of one's own, with a button for each step that mends it; and the steps that were done.

import { h, textButton } from "../shared/dom.js";

/** @import { UploadedLook } from "../payloads.js" */
/** @typedef {(steps: string[]) => void} Clean has the rows mended by these steps, in their order */

/**
 * The steps that somebody asked for; the others follow from the columns.
 * @param {UploadedLook} look
 */
export const askedFor = (look) => look.roles.clean.filter((step) => !look.automatic.includes(step));

/** @param {string[]} sentences @param {UploadedLook} look @param {Clean} clean */
export const findings = (sentences, look, clean) =>
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
export function steps(look, clean) {
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
