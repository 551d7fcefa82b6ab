// The components of lessons: slider, large numbers, framed picture.

import { find, h, setText } from "../shared/dom.js";
import { whenRevealed } from "./revealing.js";

/** @import { Child } from "../shared/dom.js" */

/**
 * Render a lesson's machine.
 * @param {HTMLElement} element
 * @param {...(Child | Child[])} picture
 */
export const renderLesson = (element, ...picture) =>
  find(element, ".mount").replaceChildren(h("div", { class: "lesson-picture" }, ...picture));

/**
 * What stays in sight on a phone while its question is read and its numbers are dragged.
 * @param {...(Child | Child[])} picture
 */
export const stage = (...picture) => h("div", { class: "stage" }, ...picture);

/** A bar in its track; `fill(part)` makes it as long as a part of that, 0 to 1. */
export function trackBar() {
  const bar = h("span", { class: "bar-fill" });
  return {
    node: h("span", { class: "bar-track" }, bar),
    fill: (/** @type {number} */ part) => bar.style.setProperty("--long", `${100 * part}%`),
  };
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

/**
 * Move a slider to a value, as if somebody had dragged it there.
 * @param {HTMLElement} dial
 * @param {number} value
 */
export function setSlider(dial, value) {
  const input = /** @type {HTMLInputElement} */ (find(dial, "input"));
  input.value = String(value);
  input.dispatchEvent(new Event("input"));
}

/**
 * The same, and let go of it there, so that it is kept.
 * @param {HTMLElement} dial
 * @param {number} value
 */
export function settleSlider(dial, value) {
  setSlider(dial, value);
  find(dial, "input").dispatchEvent(new Event("change"));
}

/**
 * Numbers under a picture: `set([[value, meaning], ...])`, the values large. Those that answer the question of the lesson
 * in which `answering` stands are question marks until somebody has predicted.
 * @param {Element} [answering]
 */
export function numbers(answering) {
  const node = h("dl", { class: "figures", "aria-live": "polite" });
  /** @type {{value: HTMLElement, meaning: HTMLElement}[]} */
  const cells = [];
  /** @type {[string, string][]} */
  let known = [];
  let hidden = Boolean(answering);
  const show = () =>
    known.forEach(([value, meaning], index) => {
      cells[index] ??= (() => {
        const cell = { value: h("dd", {}), meaning: h("dt", {}) };
        node.append(h("div", {}, cell.value, cell.meaning));
        return cell;
      })();
      setText(cells[index].value, hidden ? "?" : value);
      setText(cells[index].meaning, meaning);
    });
  const uncover = () => {
    hidden = false;
    show();
  };
  if (answering) whenRevealed(answering, uncover);
  const set = (/** @type {[string, string][]} */ pairs) => {
    known = pairs;
    show();
  };
  return { node, set };
}

/**
 * Which colour is above zero and which below, in matrices and bars.
 * @param {...Child} more
 */
export const signs = (...more) =>
  h(
    "p",
    { class: "quiet signs" },
    h("span", { class: "positive", role: "img", "aria-label": "Purple:" }),
    "+",
    h("span", { class: "negative", role: "img", "aria-label": "brown:" }),
    "−",
    more,
  );

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
