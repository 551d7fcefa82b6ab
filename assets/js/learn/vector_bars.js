// Numbers to drag: horizontal bars from zero; keys work too, and 0 or a double click makes a number zero.

import { h, isShortcut, setText } from "../shared/dom.js";
import { short } from "../shared/format.js";

const SNAP = 0.04; // of the range: so near to one of `snaps`, a dragged number becomes that one

/**
 * @typedef {object} Bar
 * @property {string} name beside the bar
 * @property {string} label for screen readers
 * @property {number} low
 * @property {number} high
 */

/**
 * `values` are changed in place; `onchange(k)` follows every change by the visitor, `onsettle()` the end of a drag or a
 * key, `onpoint(k)` every touched bar. `draw()` shows values that were changed elsewhere; `mark(k)` frames a bar. `tracks` are what the bars lie in.
 * @param {{values: Float64Array, bars: Bar[], label: string, text?: (value: number) => string, snaps?: number[],
 *   onchange: (k: number) => void, onsettle?: () => void, onpoint?: (k: number) => void}} options
 */
export function vectorBars({
  values,
  bars: given,
  label,
  text = short,
  snaps = [0],
  onchange,
  onsettle = () => {},
  onpoint = () => {},
}) {
  const least = Math.min(...given.map(({ low }) => low)),
    most = Math.max(...given.map(({ high }) => high)); // one scale for all, so that equal numbers look equal
  const tracks = given.map(() => h("span", { class: "bar-track" }, h("span", { class: "bar-fill" })));
  const numbers = given.map(() => h("span", { class: "bar-number", "aria-hidden": "true" }));
  const bars = given.map((bar, k) =>
    h(
      "div",
      {
        class: "bar",
        role: "slider",
        tabindex: k ? -1 : 0,
        "aria-label": bar.label,
        "aria-valuemin": bar.low,
        "aria-valuemax": bar.high,
        "aria-orientation": "horizontal",
      },
      h("span", { class: "bar-name", "aria-hidden": "true" }, bar.name),
      tracks[k],
      numbers[k],
    ),
  );
  const node = h("div", { class: "vector-bars", role: "group", "aria-label": label }, bars);

  const draw = () =>
    given.forEach(({ low, high }, k) => {
      const value = values[k],
        part = (/** @type {number} */ at) =>
          (100 * (Math.min(high, Math.max(low, at)) - least)) / (most - least);
      const said = text(value);
      if (numbers[k].textContent === said && bars[k].ariaValueText === said) return;
      bars[k].setAttribute("aria-valuenow", String(Math.round(1000 * value) / 1000));
      bars[k].setAttribute("aria-valuetext", said);
      bars[k].style.setProperty("--zero", `${part(0)}%`);
      bars[k].style.setProperty("--from", `${Math.min(part(0), part(value))}%`);
      bars[k].style.setProperty("--long", `${Math.abs(part(value) - part(0))}%`);
      bars[k].classList.toggle("negative", value < 0);
      bars[k].classList.toggle("is-zero", said === text(0));
      setText(numbers[k], said);
    });
  /**
   * @param {number} k
   * @param {number} value
   */
  const set = (k, value) => {
    const { low, high } = given[k],
      rounded = Math.round(100 * Math.min(high, Math.max(low, value))) / 100;
    values[k] = rounded;
    onpoint(k);
    onchange(k);
    draw();
  };
  /** @param {PointerEvent | MouseEvent} event */
  const under = (event) => {
    const distances = bars.map((bar) => {
      const { top, bottom } = bar.getBoundingClientRect();
      return Math.abs(event.clientY - (top + bottom) / 2);
    });
    return distances.indexOf(Math.min(...distances));
  };
  /** @type {number | null} */
  let dragged = null;
  /** @param {PointerEvent} event */
  const point = (event) => {
    dragged ??= under(event);
    const track = tracks[dragged].getBoundingClientRect();
    const value = least + ((event.clientX - track.left) / track.width) * (most - least);
    set(dragged, snaps.find((near) => Math.abs(value - near) < SNAP * (most - least)) ?? value);
    return dragged;
  };
  node.addEventListener("pointerdown", (event) => {
    if (event.button) return;
    node.setPointerCapture(event.pointerId);
    event.preventDefault();
    focus(under(event));
    if (event.target instanceof Element && event.target.closest(".bar-track")) point(event);
  });
  node.addEventListener("pointermove", (event) => {
    if (dragged !== null && node.hasPointerCapture(event.pointerId)) point(event);
    else if (event.pointerType === "mouse" && !event.buttons) onpoint(under(event));
  });
  const drop = () => {
    if (dragged === null) return;
    dragged = null;
    onsettle();
  };
  node.addEventListener("pointerup", drop);
  node.addEventListener("pointercancel", drop);
  node.addEventListener("dblclick", (event) => {
    set(under(event), 0);
    onsettle();
  });
  /** @param {number} k */
  const focus = (k) => {
    bars.forEach((bar, at) => {
      bar.tabIndex = at === k ? 0 : -1;
    });
    bars[k].focus({ preventScroll: true });
  };
  bars.forEach((bar, k) => {
    const { low, high } = given[k];
    bar.addEventListener("focus", () => onpoint(k));
    bar.addEventListener("keydown", (event) => {
      if (isShortcut(event)) return;
      const step = (event.shiftKey ? 0.125 : 0.025) * (high - low);
      /** @type {Record<string, number | undefined>} */
      const wanted = {
        ArrowRight: values[k] + step,
        ArrowLeft: values[k] - step,
        Home: low,
        End: high,
        0: 0,
        Delete: 0,
      };
      /** @type {Record<string, number | undefined>} */
      const places = { ArrowDown: k + 1, ArrowUp: k - 1 };
      const to = wanted[event.key],
        other = places[event.key];
      if (to !== undefined) {
        set(k, to);
        onsettle();
      } else if (other !== undefined) focus((other + values.length) % values.length);
      else return;
      event.preventDefault();
    });
  });
  draw();
  const mark = (/** @type {number | null} */ k) =>
    bars.forEach((bar, at) => bar.classList.toggle("marked", at === k));
  return { node, draw, mark, tracks };
}
