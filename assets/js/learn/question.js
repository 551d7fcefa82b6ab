// A lesson's questions, one after the other. Each is answered by a prediction: a choice, a number on a scale, or a state
// to which the machine is brought. Then it gets its reply, and the machine shows what happens.

import { actButton, button, find, h, isShortcut, setText } from "../shared/dom.js";
import { heard, tell } from "../shared/events.js";
import { count } from "../shared/format.js";
import { whenShown } from "../shared/shown.js";
import { ask, isHeld, membership, vote } from "./class_state.js";
import { keptState } from "./kept_state.js";
import { setSlider, slider } from "./parts.js";
import { remember, remembered } from "./progress.js";
import { afterwards, lessonOf, reveal, whenRevealed } from "./revealing.js";

/** @import { ChoiceQuestion, EstimateQuestion, QuestionsFixed, TaskQuestion } from "../payloads.js" */
/** @import { Child } from "../shared/dom.js" */
/** @import { Part } from "../shared/part.js" */

/**
 * A prediction is a whole number from 1 to `most`, as the address keeps it. `controls` are what it is made with, and
 * call `predict`; `set` shows one that was made before.
 * @typedef {object} Asked
 * @property {number} most
 * @property {(given: number) => {right: boolean | null, text: string}} graded null: it was shown, not predicted
 * @property {(predict: (given: number) => void) => {nodes: Child[], set: (given: number) => void}} controls
 */

/**
 * @param {ChoiceQuestion} question
 * @returns {Asked}
 */
const choice = ({ key, answers, right }) => ({
  most: answers.length,
  graded: (given) => ({ right: given - 1 === right, text: answers[given - 1][1] }),
  controls(predict) {
    let last = 0, // what was predicted, 0: nothing
      looking = false; // while an arrow key is down, which checks the answers that it passes
    const set = (/** @type {number} */ given) => {
      inputs[given - 1].checked = true;
      last = given;
    };
    const give = (/** @type {number} */ given) => {
      if (given === last) return;
      set(given);
      predict(given);
    };
    const see = actButton("See", () => give(inputs.findIndex(({ checked }) => checked) + 1), {
      class: "act see",
      hidden: true,
    });
    const inputs = answers.map((_, at) =>
      h("input", {
        type: "radio",
        name: `question-${key}`,
        value: at,
        onclick: () => {
          if (looking) see.hidden = false;
          else give(at + 1);
        },
        onkeydown: (event) => {
          looking = event.key.startsWith("Arrow");
          // The space bar clicks no answer that is checked already.
          if ((event.key === "Enter" || event.key === " ") && !isShortcut(event)) give(at + 1);
        },
        onkeyup: () => {
          looking = false;
        },
      }),
    );
    return {
      nodes: [...answers.map(([text], at) => h("label", {}, inputs[at], h("span", {}, text))), see],
      set,
    };
  },
});

/**
 * @param {EstimateQuestion} question
 * @returns {Asked}
 */
const estimate = ({ label, low, high, step, start, right, off, reply }) => ({
  most: high - low + 1,
  graded(given) {
    const hit = Math.abs(given - 1 + low - right) <= off;
    return { right: hit, text: hit && !off ? reply : `It is ${count(right)}. ${reply}` };
  },
  controls(predict) {
    const dial = slider({
      label,
      min: low,
      max: high,
      step,
      value: start,
      valueText: count,
      oninput: () => {},
    });
    const input = /** @type {HTMLInputElement} */ (dial.querySelector("input"));
    const see = () => predict(Number(input.value) - low + 1);
    return {
      nodes: [dial, actButton("See", see, { class: "act see" })],
      set: (given) => setSlider(dial, given - 1 + low),
    };
  },
});

const DONE = 1,
  SHOWN = 2; // what a task was answered by
/**
 * @param {TaskQuestion} question
 * @returns {Asked}
 */
const task = ({ reply }) => ({
  most: SHOWN,
  graded: (given) => ({ right: given === SHOWN ? null : true, text: reply }),
  controls: () => ({ nodes: [], set: () => {} }),
});

/** @param {QuestionsFixed["questions"][number]} question */
function asKind(question) {
  if (question.kind === "choice") return choice(question);
  return question.kind === "estimate" ? estimate(question) : task(question);
}

/** @param {Part<null, QuestionsFixed>} part */
export function mount({ element, props: { questions }, life }) {
  const lesson = lessonOf(element),
    kept = keptState(element, "answer");
  const place = h("p", { class: "quiet place-of-question" });
  const next = actButton("Next", () => show(at + 1));
  const skip = button(
    "Show me without a guess",
    () => {
      asked[at].show();
      finish();
    },
    { class: "skip" },
  );
  /** The reasons answer all questions, so they come after the last. */
  const finish = () => {
    lesson.dataset.finished = "";
    reveal(lesson, ...questions.map(({ key }) => key));
  };
  whenRevealed(element, () => {
    skip.hidden = true; // a link's answer reveals before this button stands on the page
  });

  const asked = questions.map((question, index) => {
    const { key, prompt, kind } = question,
      { most, graded, controls } = asKind(question);
    const feedback = h("p", { class: "feedback", role: "status" });
    let answered = false;
    // Before anything is revealed the button below does it.
    const help = button("Show me", () => predict(SHOWN), { class: "skip", hidden: true });
    if (kind === "task") whenRevealed(element, () => void (help.hidden = answered));
    /** @param {number} given */
    const reply = (given) => {
      const { right, text } = graded(given);
      answered = true;
      feedback.className = `feedback ${right ? "right" : "wrong"}`;
      feedback.replaceChildren(right === null ? "" : h("b", {}, right ? "Yes. " : "Not quite. "), text);
      next.hidden = index + 1 >= questions.length;
      help.hidden = true;
      if (index + 1 === questions.length) finish();
      else reveal(lesson, key);
      return right;
    };
    /** @type {number | null} a vote that waits for the teacher's reveal */
    let held = null;
    /** @param {number} given */
    const predict = (given) => {
      if (isHeld(key)) {
        held = given;
        feedback.className = "feedback";
        setText(feedback, "Sending your vote.");
        vote(key, given);
        return;
      }
      if (reply(given)) remember(key);
      kept.set(index, given);
      if (kind !== "task" || given === SHOWN) tell("question-predicted", { key, given }, lesson);
    };
    heard("lesson-voted", life, (voted) => {
      if (voted === key && isHeld(key)) setText(feedback, "Vote received. Your teacher reveals the answer.");
    });
    heard("class-revealed", life, (revealed) => {
      if (revealed === key && held !== null) predict(held);
    });
    const { nodes, set } = controls(predict);
    if (kind === "task")
      heard("task-reached", life, (reached) => {
        if (reached === key && at === index && !answered && held === null) predict(DONE);
      });
    const before = kept.number(index, 0, 1, most);
    if (before) {
      set(before);
      reply(before);
    }
    const node = h(
      "fieldset",
      { class: `question ${kind}` },
      h("legend", {}, prompt),
      nodes.flat(),
      help,
      feedback,
      remembered().includes(key)
        ? h("p", { class: "quiet answered" }, "You have answered this one before.")
        : null,
    );
    return {
      node,
      isAnswered: () => answered,
      show: () =>
        kind === "task" ? predict(SHOWN) : tell("question-predicted", { key, given: null }, lesson),
    };
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
    announce();
  };
  /** Which question is asked now, where its lesson is seen: a class votes on it. */
  const announce = () => {
    if (asked[at].node.checkVisibility()) ask(questions[at].key);
  };
  /** Who follows a class votes first. */
  const inClass = () => {
    const member = membership();
    if (member && member.key === undefined) skip.hidden = true;
  };
  const found = questions.map((question) => {
    const line = h("li", { hidden: true }, question.found);
    whenRevealed(element, () => void (line.hidden = false), question.key);
    return line;
  });
  heard("class-changed", life, inClass);
  heard("class-question", life, (key) => {
    const index = questions.findIndex((question) => question.key === key);
    if (index >= 0) show(index);
  });
  heard("class-played", life, (key) => {
    const index = questions.findIndex((question) => question.key === key);
    if (index < 0 || asked[index].isAnswered()) return;
    asked[index].show();
    reveal(lesson, key);
  });
  whenShown(element, announce);
  find(element, ".mount").replaceChildren(
    place,
    ...asked.map(({ node }) => node),
    h("div", { class: "after-question" }, next, skip),
    afterwards(element, [
      h("div", { class: "found" }, h("p", { class: "quiet" }, "Found so far"), h("ul", {}, found)),
    ]),
  );
  const last = asked.map(({ isAnswered }) => isAnswered()).lastIndexOf(true);
  show(Math.max(0, last));
  inClass();
}
