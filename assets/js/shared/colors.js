// Colours as the page's CSS variables say, so that light and dark follow by themselves (see palette.py).

import { context2d } from "./dom.js";

/**
 * The value of a CSS variable at an element.
 * @param {Element} element
 * @param {string} name
 */
export const variable = (element, name) => getComputedStyle(element).getPropertyValue(name).trim();

const painter = context2d(document.createElement("canvas"), { willReadFrequently: true });

/**
 * Any CSS colour as [red, green, blue], 0..255.
 * @param {string} color
 */
function rgb(color) {
  painter.fillStyle = "#000";
  painter.fillStyle = color;
  painter.fillRect(0, 0, 1, 1);
  return [...painter.getImageData(0, 0, 1, 1).data.slice(0, 3)];
}

const SIZE = 513; // odd: the middle of a diverging scale is a colour of its own

/**
 * A scale ("diverging" or "cyclic") as SIZE colours, each a 32-bit pixel of an ImageData.
 * Its stops are equally spaced in the variable --scale-<name>.
 * @param {Element} element
 * @param {string} name
 */
export function ramp(element, name) {
  const stops = variable(element, `--scale-${name}`)
    .split(/,(?![^(]*\))/)
    .map((stop) => rgb(stop.trim()));
  const pixels = new Uint32Array(SIZE);
  for (let index = 0; index < SIZE; index++) {
    const at = (index / (SIZE - 1)) * (stops.length - 1),
      low = Math.min(Math.floor(at), stops.length - 2),
      part = at - low;
    const [red, green, blue] = stops[low].map((value, channel) =>
      Math.round(value + part * (stops[low + 1][channel] - value)),
    );
    pixels[index] = (255 << 24) | (blue << 16) | (green << 8) | red;
  }
  return pixels;
}

/**
 * The colours of numbers from -limit to limit, on a ramp whose middle is zero.
 * @param {Float32Array} values
 * @param {number} limit
 * @param {Uint32Array} pixels the ramp
 * @param {Uint32Array} out
 */
export function paint(values, limit, pixels, out) {
  const last = pixels.length - 1,
    middle = last / 2,
    scale = middle / limit;
  for (let at = 0; at < values.length; at++) {
    const place = middle + values[at] * scale;
    out[at] = pixels[place <= 0 ? 0 : place >= last ? last : (place + 0.5) | 0];
  }
}

/** @type {WeakMap<Uint32Array, string[]>} the colours of a ramp as CSS */
const texts = new WeakMap();

/**
 * A ramp's colour at 0..1 as CSS.
 * @param {Uint32Array} pixels
 * @param {number} part
 */
export function at(pixels, part) {
  let colors = texts.get(pixels);
  if (!colors) {
    colors = Array.from(
      pixels,
      (pixel) => `rgb(${pixel & 255} ${(pixel >> 8) & 255} ${(pixel >> 16) & 255})`,
    );
    texts.set(pixels, colors);
  }
  return colors[Math.round(Math.min(1, Math.max(0, part)) * (pixels.length - 1))];
}

/**
 * The colour of a phase in -pi..pi.
 * @param {Uint32Array} pixels
 * @param {number} angle
 */
export const phaseColor = (pixels, angle) => at(pixels, angle / (2 * Math.PI) + 0.5);
