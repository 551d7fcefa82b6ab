// The singular values of the rank machine's matrix, and what two of them make of a circle.

import { h, setText } from "../shared/dom.js";
import { short } from "../shared/format.js";
import { D } from "./machine.js";
import { panel, slider, trackBar } from "./parts.js";

/** A bar for each value, and the ellipse of the largest and one that a slider chooses. */
export function singularView() {
  const bars = Array.from({ length: D }, () => {
    const bar = trackBar(),
      text = h("span", {});
    return { fill: bar.fill, text, node: h("div", { class: "sigma" }, bar.node, text) };
  });
  const circle = ellipse();
  let second = D - 1;
  /** @type {Float64Array} */
  let shown = new Float64Array(D);
  const draw = () => {
    shown.forEach((value, k) => {
      bars[k].fill(value / (shown[0] || 1));
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

const SIDE = 160;

/** The circle in the plane of two directions, and its image in the plane of the two that they go to. */
function ellipse() {
  const circle = h("path", { class: "unit-circle", d: oval(1, 1) });
  const image = h("path", { class: "image-ellipse" });
  const picture = h(
    "svg",
    { viewBox: `${-SIDE / 2} ${-SIDE / 2} ${SIDE} ${SIDE}`, role: "img", "aria-label": "" },
    h("line", { class: "axis", x1: -SIDE / 2, y1: 0, x2: SIDE / 2, y2: 0 }),
    h("line", { class: "axis", x1: 0, y1: -SIDE / 2, x2: 0, y2: SIDE / 2 }),
    circle,
    image,
  );
  const words = h("p", { class: "quiet" });
  /**
   * @param {Float64Array} values singular values, largest first
   * @param {number} k the second direction, from 0
   */
  const show = (values, k) => {
    const unit = 1 / Math.max(1, values[0]); // so that circle and ellipse both fit
    circle.setAttribute("d", oval(unit, unit));
    image.setAttribute("d", oval(values[0] * unit, values[k] * unit));
    const flat = values[k] <= 1e-9 * values[0];
    const text =
      `Lengths of 1 (dashed) become ${short(values[0])} along the first direction and ` +
      (flat ? `0 along number ${k + 1}: the ellipse is flat.` : `${short(values[k])} along number ${k + 1}.`);
    picture.setAttribute("aria-label", text);
    setText(words, text);
  };
  return { node: h("div", { class: "ellipse" }, picture, words), show };
}

/**
 * An SVG path with these half axes, as shares of the picture's half side.
 * @param {number} across
 * @param {number} down
 */
function oval(across, down) {
  const [a, b] = [across, down].map((share) => Math.max(0.2, (SIDE / 2 - 4) * share).toFixed(2));
  return `M -${a} 0 A ${a} ${b} 0 1 0 ${a} 0 A ${a} ${b} 0 1 0 -${a} 0 Z`;
}
