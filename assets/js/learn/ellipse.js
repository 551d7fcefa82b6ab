// What a matrix makes of a circle of directions of length 1: an ellipse, with a singular value as each half axis.

import { h, setText } from "../shared/dom.js";
import { short } from "../shared/format.js";

const SIDE = 160;

/** The circle in the plane of two directions, and its image in the plane of the two that they go to. */
export function ellipse() {
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
