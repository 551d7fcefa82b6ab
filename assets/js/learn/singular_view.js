// The singular values of the rank machine's matrix, and what two of them make of a circle.

import { h, setText } from "../shared/dom.js";
import { short } from "../shared/format.js";
import { ellipse } from "./ellipse.js";
import { D } from "./machine.js";
import { panel, slider } from "./parts.js";

/** A bar for each value, and the ellipse of the largest and one that a slider chooses. */
export function singularView() {
  const bars = Array.from({ length: D }, () => {
    const fill = h("span", { class: "bar-fill" }),
      text = h("span", {});
    return { fill, text, node: h("div", { class: "sigma" }, h("span", { class: "bar-track" }, fill), text) };
  });
  const circle = ellipse();
  let second = D - 1;
  /** @type {Float64Array} */
  let shown = new Float64Array(D);
  const draw = () => {
    shown.forEach((value, k) => {
      bars[k].fill.style.setProperty("--long", `${(100 * value) / (shown[0] || 1)}%`);
      setText(bars[k].text, value > 1e-9 * shown[0] ? short(value) : "0");
    });
    circle.show(shown, second);
  };
  const choice = slider({
    label: "second direction",
    min: 2,
    max: D,
    value: D,
    valueText: (value) => `number ${value} of ${D}`,
    oninput: (value) => {
      second = value - 1;
      draw();
    },
  });
  const node = h(
    "div",
    { class: "two spectrum" },
    panel(
      `Singular values: how much each of ${D} perpendicular directions is stretched`,
      ...bars.map((bar) => bar.node),
    ).node,
    h("div", { class: "panel" }, circle.node, choice),
  );
  return {
    node,
    show: (/** @type {Float64Array} */ values) => {
      shown = values;
      draw();
    },
  };
}
