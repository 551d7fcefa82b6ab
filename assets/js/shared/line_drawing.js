// The pieces of a line plot, drawn on a canvas.

import { phaseColor } from "./colors.js";

/**
 * @typedef {object} Series
 * @property {ArrayLike<number>} y
 * @property {ArrayLike<number>} [x] where y's places are not 0, 1, 2, ...
 * @property {string} color as CSS; "var(--name)" follows light and dark
 * @property {number} [width] 0: no line
 * @property {number[]} [dash]
 * @property {number} [opacity]
 * @property {ArrayLike<number>} [phases] bars, coloured by these angles, in place of a line
 * @property {boolean} [dots] small squares in place of the bars
 * @property {boolean} [points] a dot at each place too
 * @property {string} [name] stands in the legend, over numeric axes
 */

/** @typedef {{x: (value: number) => number, y: (value: number) => number}} Places where numbers are drawn, in pixels */

const MANY = 256; // points of a line
const SIDES = [
  [-1, 0],
  [1, 0],
  [0, -1],
  [0, 1],
];

/**
 * @param {CanvasRenderingContext2D} context
 * @param {string} color
 * @param {number} fromX
 * @param {number} fromY
 * @param {number} toX
 * @param {number} toY
 * @param {number[]} dash
 */
export function stroke(context, color, fromX, fromY, toX, toY, dash = []) {
  context.strokeStyle = color;
  context.setLineDash(dash);
  context.beginPath();
  context.moveTo(fromX, fromY);
  context.lineTo(toX, toY);
  context.stroke();
  context.setLineDash([]);
}

/**
 * @param {CanvasRenderingContext2D} context
 * @param {number} x
 * @param {number} y
 * @param {number} radius
 */
export function dot(context, x, y, radius) {
  context.beginPath();
  context.arc(x, y, radius, 0, 7);
  context.fill();
}

/**
 * A line, interrupted where there is no number, or with `positive` none above zero.
 * @param {CanvasRenderingContext2D} context
 * @param {Places} to
 * @param {Series} series
 * @param {boolean} positive
 */
export function drawLine(context, to, series, positive) {
  const { x, y, color, width = 1.4, dash = [], points = false, opacity = 1 } = series;
  const path = new Path2D();
  context.strokeStyle = context.fillStyle = color;
  context.globalAlpha = opacity;
  context.lineJoin = "round";
  context.setLineDash(dash);
  let pen = false;
  for (let k = 0; k < y.length; k++) {
    const good = Number.isFinite(y[k]) && (!positive || y[k] > 0);
    if (good) path[pen ? "lineTo" : "moveTo"](to.x(x ? x[k] : k), to.y(y[k]));
    pen = good;
  }
  context.lineWidth = width; // a canvas would draw a line of width 0 as wide as the one before
  if (width && y.length > MANY && !dash.length) strokeHairlines(context, path, width);
  else if (width) context.stroke(path);
  context.setLineDash([]);
  for (let k = 0; points && k < y.length; k++) dot(context, to.x(x ? x[k] : k), to.y(y[k]), 3.2);
  context.globalAlpha = 1;
}

/**
 * A line of very many points: the browser draws it a hundred times faster when it is no wider than a pixel of the
 * screen, so that a wider one is that line four times, moved to each side.
 * @param {CanvasRenderingContext2D} context
 * @param {Path2D} path
 * @param {number} width
 */
function strokeHairlines(context, path, width) {
  const pixel = 1 / context.getTransform().a,
    aside = Math.max(0, width - pixel) / 2;
  context.lineWidth = Math.min(width, pixel);
  // What shines through would be darker where such lines lie over each other.
  const moves = aside && context.globalAlpha === 1 ? SIDES : [[0, 0]];
  for (const [right, down] of moves) {
    context.save();
    context.translate(right * aside, down * aside);
    context.stroke(path);
    context.restore();
  }
}

/**
 * Bars from the floor, `each` pixels apart, or small squares, in the colours of their phases.
 * @param {CanvasRenderingContext2D} context
 * @param {Places} to
 * @param {Series} series
 * @param {number} each
 * @param {number} floor
 * @param {Uint32Array} ramp
 */
export function drawBars(context, to, { y, dots = false, phases = [] }, each, floor, ramp) {
  const thick = Math.max(dots ? 2.5 : 1, each * 0.8);
  for (let k = 0; k < y.length; k++) {
    context.fillStyle = phaseColor(ramp, phases[k]);
    const top = to.y(y[k]),
      tall = dots ? thick : Math.max(0.5, floor - top);
    context.fillRect(to.x(k) - thick / 2, dots ? top - thick / 2 : top, thick, tall);
  }
}

/**
 * Names in the upper corner of the box that has more room, each with a piece of its line.
 * @param {CanvasRenderingContext2D} context
 * @param {Places} to
 * @param {Series[]} series
 * @param {{left: number, right: number, top: number, floor: number}} box
 * @param {string} ink
 */
export function drawLegend(context, to, series, box, ink) {
  const center = (box.left + box.right) / 2,
    middle = (box.top + box.floor) / 2;
  const places = series.flatMap(({ x, y }) =>
    Array.from(y, (value, k) => ({ x: to.x(x ? x[k] : k), y: to.y(value) })),
  );
  const high = (/** @type {boolean} */ right) =>
    places.filter((place) => place.x > center === right && place.y < middle).length;
  const named = series.flatMap((one) => (one.name ? [{ ...one, name: one.name }] : []));
  const wide = Math.max(0, ...named.map(({ name }) => context.measureText(name).width)) + 30;
  const left = high(true) > high(false) ? box.left + 8 : box.right - wide;
  context.textAlign = "left";
  context.textBaseline = "middle";
  named.forEach(({ name, color, width = 1.4, dash }, index) => {
    const y = box.top + 12 + index * 18;
    context.lineWidth = width;
    stroke(context, color, left, y, left + 22, y, dash);
    context.fillStyle = ink;
    context.fillText(name, left + 28, y);
  });
}
