// A lesson's values and answers in the address: ?tab=learn&lesson=reach&values=3&answer=2.

import { heard } from "../shared/events.js";
import { asked, keep } from "../shared/router.js";
import { lessonOf } from "./revealing.js";

/** @typedef {"values" | "answer"} Name */

const BETWEEN = { values: "~", answer: "-" };

/** @param {Element} element */
const keyOf = (element) => lessonOf(element).id.replace("lesson-", "");

/**
 * The parts that the address gives for the lesson in which an element stands.
 * @param {Element} element
 * @param {Name} name
 */
function given(element, name) {
  return asked("lesson") === keyOf(element) ? (asked(name)?.split(BETWEEN[name]) ?? []) : [];
}

/**
 * The parts of a lesson's state under one name; `at` reads what the address gave, `set` writes.
 * @param {Element} element in the lesson
 * @param {Name} name
 */
export function keptState(element, name) {
  const parts = given(element, name);
  /**
   * @param {number} index of the first of the given parts
   * @param {...(string | number)} more
   */
  const set = (index, ...more) => {
    while (parts.length < index) parts.push("");
    parts.splice(index, more.length, ...more.map(String));
    if ((asked("lesson") ?? keyOf(element)) === keyOf(element)) write(); // else another is looked at
  };
  const write = () => keep({ lesson: keyOf(element), [name]: parts.join(BETWEEN[name]) });
  const here = new AbortController();
  // A link from another lesson says nothing of what was done in this one, which still stands there.
  heard("address", here.signal, () => {
    if (!element.isConnected) here.abort();
    else if (asked("lesson") === keyOf(element) && asked(name) === null && parts.length) write();
  });
  /**
   * A whole number from low to high, or the usual one.
   * @param {number} index
   * @param {number} usual
   * @param {number} low
   * @param {number} high
   */
  const number = (index, usual, low, high) => {
    const value = Number.parseInt(parts[index] ?? "", 10);
    return value >= low && value <= high ? value : usual;
  };
  return { at: (/** @type {number} */ index) => parts[index] ?? "", number, set };
}
