// A vector with entries to drag: horizontal bars around zero, or strokes across them; keys work too.

import { h } from "../shared/dom.js";

/** @param {number} value */
const clamp = (value) => Math.min(1, Math.max(-1, Math.round(value * 100) / 100));

/**
 * `values` in -1..1 are changed in place; `onchange(k)` follows every change, `onpoint(k)` every touched bar.
 * @param {{values: Float64Array, name: string, onchange: (k: number) => void, onpoint: (k: number) => void}} options
 */
export function vectorBars({ values, name, onchange, onpoint }) {
  const tracks = Array.from(values, () =>
    h("span", { class: "bar-track" }, h("span", { class: "bar-fill" })),
  );
  const bars = Array.from(values, (_, k) =>
    h(
      "div",
      {
        class: "bar",
        role: "slider",
        tabindex: k ? -1 : 0,
        "aria-label": `${name} ${k}`,
        "aria-valuemin": -1,
        "aria-valuemax": 1,
        "aria-orientation": "horizontal",
      },
      h("span", { class: "bar-name", "aria-hidden": "true" }, name, h("sub", {}, k)),
      tracks[k],
    ),
  );
  const node = h(
    "div",
    { class: "vector-bars", role: "group", "aria-label": `The numbers of ${name}` },
    bars,
  );
  /** @param {number} k */
  const draw = (k) => {
    bars[k].setAttribute("aria-valuenow", String(values[k]));
    bars[k].style.setProperty("--from", `${50 + 50 * Math.min(0, values[k])}%`);
    bars[k].style.setProperty("--long", `${50 * Math.abs(values[k])}%`);
    bars[k].classList.toggle("negative", values[k] < 0);
  };
  /**
   * @param {number} k
   * @param {number} value
   */
  const set = (k, value) => {
    values[k] = clamp(value);
    draw(k);
    onpoint(k);
    onchange(k);
  };
  /** @param {PointerEvent} event */
  const point = (event) => {
    const box = node.getBoundingClientRect();
    const k = Math.min(
      values.length - 1,
      Math.max(0, Math.floor(((event.clientY - box.top) / box.height) * values.length)),
    );
    const track = tracks[k].getBoundingClientRect();
    set(k, ((event.clientX - track.left) / track.width) * 2 - 1);
    return k;
  };
  node.addEventListener("pointerdown", (event) => {
    node.setPointerCapture(event.pointerId);
    event.preventDefault();
    focus(point(event));
  });
  node.addEventListener("pointermove", (event) => {
    if (node.hasPointerCapture(event.pointerId)) point(event);
  });
  /** @param {number} k */
  const focus = (k) => {
    bars.forEach((bar, at) => {
      bar.tabIndex = at === k ? 0 : -1;
    });
    bars[k].focus({ preventScroll: true });
  };
  bars.forEach((bar, k) => {
    bar.addEventListener("focus", () => onpoint(k));
    bar.addEventListener("keydown", (event) => {
      const step = event.shiftKey ? 0.25 : 0.05;
      /** @type {Record<string, number | undefined>} */
      const wanted = { ArrowRight: values[k] + step, ArrowLeft: values[k] - step, Home: -1, End: 1 };
      /** @type {Record<string, number | undefined>} */
      const places = { ArrowDown: k + 1, ArrowUp: k - 1 };
      const to = wanted[event.key],
        other = places[event.key];
      if (to !== undefined) set(k, to);
      else if (other !== undefined) focus((other + values.length) % values.length);
      else return;
      event.preventDefault();
    });
    draw(k);
  });
  return node;
}
