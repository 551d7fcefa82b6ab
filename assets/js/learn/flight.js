// A number of a vector on its way to the entries of the matrix that it scales.

import { h } from "../shared/dom.js";
import { prefersStill } from "./tween.js";

/** @import { Heatmap } from "../shared/heatmap.js" */

const MILLISECONDS = 450;

/**
 * @param {HTMLElement} around in which it flies
 * @param {Element} bar
 * @param {Heatmap} picture
 * @param {{i: number, j: number}[]} entries
 * @param {string} color
 */
export function fly(around, bar, picture, entries, color) {
  if (prefersStill()) return;
  const from = bar.getBoundingClientRect(),
    canvas = picture.canvas.getBoundingClientRect(),
    { x, y, unit } = picture.frame;
  for (const { i, j } of entries) {
    const left = canvas.left + x + j * unit,
      top = canvas.top + y + i * unit;
    const piece = h("span", { class: "flying", "aria-hidden": "true" });
    Object.assign(piece.style, {
      left: `${left}px`,
      top: `${top}px`,
      width: `${unit}px`,
      height: `${unit}px`,
      background: color,
    });
    around.append(piece);
    const begin = `translate(${from.left - left}px, ${from.top - top}px) scale(${from.width / unit}, ${from.height / unit})`;
    const flight = piece.animate(
      [
        { transform: begin, opacity: 0.9 },
        { transform: "none", opacity: 0.75, offset: 0.8 },
        { transform: "none", opacity: 0 },
      ],
      { duration: MILLISECONDS, easing: "ease-in-out" },
    );
    flight.finished.then(
      () => piece.remove(),
      () => piece.remove(),
    );
  }
}
