// The components of lessons: slider, large numbers, framed picture, question.

import { find, h, setText } from "../shared/dom.js";
import { remember, remembered } from "./progress.js";

/** @import { Child } from "../shared/dom.js" */
/** @import { LessonFixed, Question } from "../payloads.js" */

/**
 * Render a lesson's picture and its question.
 * @param {HTMLElement} element
 * @param {LessonFixed} props
 * @param {...Child} picture
 */
export function renderLesson(element, props, ...picture) {
  find(element, ".mount").replaceChildren(
    h("div", { class: "lesson-picture" }, picture),
    question(props.question),
  );
}

/**
 * A slider with its name and value; `valueText(value)` gives the value in words, for eyes and for screen readers.
 * @param {{label: string, min: number, max: number, step?: number, value: number, valueText: (value: number) => string,
 *   oninput: (value: number) => void, onchange?: (value: number) => void}} options
 */
export function slider({ label, min, max, step = 1, value, valueText, oninput, onchange = () => {} }) {
  const output = h("output", { class: "drag-value" });
  const input = h("input", {
    type: "range",
    min,
    max,
    step,
    value,
    "aria-label": label,
    oninput: () => {
      showValue();
      oninput(Number(input.value));
    },
    onchange: () => onchange(Number(input.value)),
  });
  const showValue = () => {
    const text = valueText(Number(input.value));
    setText(output, text);
    input.setAttribute("aria-valuetext", text);
    input.style.setProperty("--part", String((Number(input.value) - min) / (max - min)));
  };
  showValue();
  return h("label", { class: "drag" }, h("span", { class: "drag-label" }, label), input, output);
}

/** Numbers under a picture: `set([[value, meaning], ...])`, the values large. */
export function numbers() {
  const node = h("dl", { class: "figures", "aria-live": "polite" });
  /** @type {{value: HTMLElement, meaning: HTMLElement}[]} */
  const cells = [];
  /** @param {[string, string][]} pairs */
  const set = (pairs) =>
    pairs.forEach(([value, meaning], index) => {
      cells[index] ??= (() => {
        const cell = { value: h("dd", {}), meaning: h("dt", {}) };
        node.append(h("div", {}, cell.value, cell.meaning));
        return cell;
      })();
      setText(cells[index].value, value);
      setText(cells[index].meaning, meaning);
    });
  return { node, set };
}

/**
 * A picture with a line of words above it.
 * @param {string} title
 * @param {...Child} inside
 */
export function panel(title, ...inside) {
  const caption = h("figcaption", {}, title);
  const node = h("figure", { class: "panel" }, caption, inside);
  return { node, retitle: (/** @type {string} */ text) => setText(caption, text) };
}

/**
 * One question, several answers, each with what to say to whoever gives it.
 * @param {Question} question
 */
function question({ key, prompt, answers, right }) {
  const feedback = h("p", { class: "feedback", role: "status" });
  /** @param {number} index */
  const choose = (index) => {
    feedback.className = `feedback ${index === right ? "right" : "wrong"}`;
    feedback.replaceChildren(h("b", {}, index === right ? "Yes. " : "Not quite. "), answers[index][1]);
    if (index === right) remember(key);
  };
  return h(
    "fieldset",
    { class: "question" },
    h("legend", {}, prompt),
    answers.map(([text], index) =>
      h(
        "label",
        {},
        h("input", { type: "radio", name: `question-${key}`, value: index, onchange: () => choose(index) }),
        h("span", {}, text),
      ),
    ),
    feedback,
    remembered().includes(key)
      ? h("p", { class: "quiet answered" }, "You have answered this one before.")
      : null,
  );
}
