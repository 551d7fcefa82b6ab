// What each model of a race answers to an input: a column a model, in its method's colour.

import { find, h, shareBar } from "../shared/dom.js";

/** @import { Part } from "../shared/part.js" */
/** @import { AnsweredInputs, ModelAnswer } from "../payloads.js" */

/** @param {ModelAnswer} answer */
const column = ({ title, note, method, said, differs, likeliest }) =>
  h(
    "section",
    {
      class: differs ? "differs" : null,
      style: `--of:var(${method ? `--method-${method}` : "--rule-strong"})`,
    },
    h("h4", {}, title, note ? h("span", { class: "quiet" }, note) : null),
    h(
      "p",
      { class: "said" },
      said,
      differs && method
        ? [h("span", { class: "mark" }, " ≠"), h("span", { class: "hidden-text" }, " differs")]
        : [],
    ),
    h(
      "ul",
      { role: "list" },
      likeliest.map(([label, share]) =>
        h("li", {}, shareBar(share), h("span", {}, `${label} ${(100 * share).toFixed(1)}\u00a0%`)),
      ),
    ),
  );

/** @param {Part<AnsweredInputs>} part */
export function mount({ element, props }) {
  const place = find(element, ".mount");
  function show() {
    const { answered, problem } = props.value;
    place.replaceChildren(
      ...(problem ? [h("p", { class: "problem", role: "alert" }, problem)] : []),
      ...answered.map(({ input, cut, picture, answers }) =>
        h(
          "article",
          { class: "answered" },
          h("h3", {}, input),
          cut ? h("p", { class: "quiet" }, cut) : null,
          picture ? h("img", { src: picture, alt: "What was asked about" }) : null,
          answers.some(({ differs, method }) => differs && method)
            ? h("p", { class: "differ" }, "The methods differ here.")
            : null,
          h("div", { class: "written-columns" }, answers.map(column)),
        ),
      ),
    );
  }
  show();
  return { update: show };
}
