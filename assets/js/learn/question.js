// A lesson's questions, one after the other: each answer gets its reply, and lets the lesson show what happens.

import { find, h, setText } from "../shared/dom.js";
import { keptState } from "./kept_state.js";
import { remember, remembered } from "./progress.js";
import { lessonOf, reveal, whenRevealed } from "./revealing.js";

/** @import { QuestionsFixed } from "../payloads.js" */
/** @import { Part } from "../shared/part.js" */

/** @typedef {CustomEvent<{key: string, answer: number}>} Answered dispatched on the lesson as "lesson-answer" */

/** @param {Part<null, QuestionsFixed>} part */
export function mount({ element, props: { questions } }) {
  const lesson = lessonOf(element),
    kept = keptState(element, "answer");
  const place = h("p", { class: "quiet place-of-question" });
  const next = h(
    "button",
    { type: "button", class: "act next-question", onclick: () => show(at + 1) },
    "Next",
  );
  const skip = h(
    "button",
    { type: "button", class: "skip", onclick: () => finish() },
    "Show me without a guess",
  );
  /** The reasons answer all questions, so they come after the last. */
  const finish = () => {
    lesson.dataset.finished = "";
    reveal(lesson);
  };
  whenRevealed(element, () => {
    skip.hidden = true; // a link's answer reveals before this button stands on the page
  });

  const asked = questions.map((question, index) => {
    const { key, prompt, answers, right } = question;
    const feedback = h("p", { class: "feedback", role: "status" });
    /** @param {number} answer */
    const reply = (answer) => {
      feedback.className = `feedback ${answer === right ? "right" : "wrong"}`;
      feedback.replaceChildren(h("b", {}, answer === right ? "Yes. " : "Not quite. "), answers[answer][1]);
      next.hidden = index + 1 >= questions.length;
      if (index + 1 === questions.length) finish();
      else reveal(lesson);
    };
    /** @param {number} answer */
    const choose = (answer) => {
      reply(answer);
      kept.set(index, answer + 1);
      if (answer === right) remember(key);
      lesson.dispatchEvent(new CustomEvent("lesson-answer", { detail: { key, answer } }));
    };
    const inputs = answers.map((_, answer) =>
      h("input", {
        type: "radio",
        name: `question-${key}`,
        value: answer,
        onchange: () => choose(answer),
      }),
    );
    const before = kept.number(index, 0, 1, answers.length);
    if (before) {
      inputs[before - 1].checked = true;
      reply(before - 1);
    }
    const node = h(
      "fieldset",
      { class: "question" },
      h("legend", {}, prompt),
      answers.map(([text], answer) => h("label", {}, inputs[answer], h("span", {}, text))),
      feedback,
      remembered().includes(key)
        ? h("p", { class: "quiet answered" }, "You have answered this one before.")
        : null,
    );
    return { node, isAnswered: () => inputs.some(({ checked }) => checked) };
  });

  let at = 0;
  /** @param {number} index */
  const show = (index) => {
    at = index;
    asked.forEach(({ node }, each) => {
      node.hidden = each !== at;
    });
    place.hidden = questions.length === 1;
    setText(place, `Question ${at + 1} of ${questions.length}`);
    next.hidden = at + 1 >= questions.length || !asked[at].isAnswered();
  };
  find(element, ".mount").replaceChildren(
    place,
    ...asked.map(({ node }) => node),
    h("div", { class: "after-question" }, next, skip),
  );
  const last = asked.map(({ isAnswered }) => isAnswered()).lastIndexOf(true);
  show(Math.max(0, last));
}
