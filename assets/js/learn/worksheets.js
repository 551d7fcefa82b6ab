// For teachers: all questions of a lesson on a sheet, without answers or with them.

import { actButton, find, h } from "../shared/dom.js";

/** @import { WorksheetsFixed } from "../payloads.js" */
/** @import { Part } from "../shared/part.js" */

/** @param {Part<null, WorksheetsFixed>} part */
export function mount({ element, props: { lessons } }) {
  const sheet = h("div", { class: "worksheet" });
  const chosen = h(
    "select",
    { "aria-label": "Lesson", onchange: () => show() },
    lessons.map(({ title }, at) => h("option", { value: at }, title)),
  );
  const solved = h("input", { type: "checkbox", onchange: () => show() });
  const show = () => {
    const { title, questions } = lessons[Number(chosen.value)];
    sheet.replaceChildren(
      h("h3", {}, title),
      h(
        "ol",
        {},
        questions.map(({ prompt, answers, right }) =>
          h(
            "li",
            {},
            h("p", {}, prompt),
            answers.length
              ? h(
                  "ul",
                  {},
                  answers.map((answer) => h("li", {}, answer)),
                )
              : null,
            h("p", { class: "to-write" }, solved.checked ? `Answer: ${right}` : "Answer:"),
          ),
        ),
      ),
    );
  };
  const print = () => {
    document.body.classList.add("prints-worksheet");
    addEventListener("afterprint", () => document.body.classList.remove("prints-worksheet"), { once: true });
    window.print();
  };
  find(element, ".mount").replaceChildren(
    h(
      "div",
      { class: "act-row presets worksheet-form" },
      chosen,
      h("label", { class: "zero" }, solved, h("span", {}, "with answers")),
      actButton("Print", print),
    ),
    sheet,
  );
  show();
}
