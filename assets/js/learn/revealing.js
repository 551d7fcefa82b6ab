// Prediction first: a lesson's machine works from the start, and what answers its question is shown once somebody has
// predicted, or asked to see.

import { h } from "../shared/dom.js";

/** @import { Child } from "../shared/dom.js" */

/** @param {Element} element in a lesson */
export function lessonOf(element) {
  const lesson = element.closest(".lesson");
  if (!(lesson instanceof HTMLElement)) throw new Error("this stands in no lesson");
  return lesson;
}

/**
 * Whether somebody has predicted: the answer to this question, or any.
 * @param {Element} element in the lesson
 * @param {string} [key] of the question
 */
function isRevealed(element, key) {
  const { revealed } = lessonOf(element).dataset;
  return key === undefined ? revealed !== undefined : (revealed?.split(" ").includes(key) ?? false);
}

/**
 * @param {Element} element in the lesson
 * @param {...string} keys of the questions whose answers may be shown now
 */
export function reveal(element, ...keys) {
  const lesson = lessonOf(element),
    before = lesson.dataset.revealed?.split(" ") ?? [];
  lesson.dataset.revealed = [...new Set([...before, ...keys])].join(" ");
  lesson.dispatchEvent(new Event("revealed"));
}

/**
 * Call when the answer to a question, or to any, may be shown; at once where it may already.
 * @param {Element} element in the lesson
 * @param {() => void} act
 * @param {string} [key]
 */
export function whenRevealed(element, act, key) {
  const lesson = lessonOf(element);
  const look = () => {
    if (!isRevealed(element, key)) return false;
    lesson.removeEventListener("revealed", look);
    act();
    return true;
  };
  if (!look()) lesson.addEventListener("revealed", look);
}

/**
 * What is not there until then.
 * @param {Element} element in the lesson
 * @param {Child[]} children
 * @param {string} [key]
 */
export function afterwards(element, children, key) {
  const node = h("div", { class: "lesson-picture", hidden: true }, children);
  whenRevealed(element, () => void (node.hidden = false), key);
  return node;
}

/** @typedef {CustomEvent<{key: string, given: number | null}>} Predicted dispatched on the lesson as "lesson-answer" */

/**
 * Call with a question's key once its answer is to be shown, and with what was predicted: null for nothing.
 * @param {Element} element in the lesson
 * @param {(key: string, given: number | null) => void} act
 */
export function onPrediction(element, act) {
  lessonOf(element).addEventListener("lesson-answer", (event) => {
    const { key, given } = /** @type {Predicted} */ (event).detail;
    act(key, given);
  });
}

/**
 * Tell the lesson's questions that the machine is in the state that a task asks for.
 * @param {Element} element in the lesson
 * @param {string} key of the task
 */
export const reached = (element, key) =>
  lessonOf(element).dispatchEvent(new CustomEvent("task-reached", { detail: key }));
