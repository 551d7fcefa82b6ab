// Prediction first: a lesson's machine works from the start, and what answers its question is shown once somebody has
// predicted, or asked to see.

import { h } from "../shared/dom.js";
import { heard, tell } from "../shared/events.js";

/** @import { Child } from "../shared/dom.js" */

/** @param {Element} element in a lesson */
export function lessonOf(element) {
  const lesson = element.closest(".lesson");
  if (!(lesson instanceof HTMLElement)) throw new Error("this stands in no lesson");
  return lesson;
}

/**
 * @param {Element} element in the lesson
 * @param {...string} keys of the questions whose answers may be shown now
 */
export function reveal(element, ...keys) {
  const lesson = lessonOf(element),
    before = lesson.dataset.revealed?.split(" ") ?? [];
  lesson.dataset.revealed = [...new Set([...before, ...keys])].join(" ");
  tell("lesson-revealed", null, lesson);
}

/**
 * Call when the answer to a question, or to any, may be shown; at once where it may already.
 * @param {Element} element in the lesson
 * @param {() => void} act
 * @param {string} [key]
 */
export function whenRevealed(element, act, key) {
  const lesson = lessonOf(element),
    waiting = new AbortController();
  const look = () => {
    const { revealed } = lesson.dataset;
    if (revealed === undefined || (key && !revealed.split(" ").includes(key))) return;
    waiting.abort();
    act();
  };
  heard("lesson-revealed", waiting.signal, look, lesson);
  look();
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

/**
 * Call with a question's key once its answer is to be shown, and with what was predicted: null for nothing.
 * @param {Element} element in the lesson
 * @param {AbortSignal} life
 * @param {(key: string, given: number | null) => void} act
 */
export const onPrediction = (element, life, act) =>
  heard("question-predicted", life, ({ key, given }) => act(key, given), lessonOf(element));
