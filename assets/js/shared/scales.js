// Axes: their ends, their ticks, and the map from numbers to pixels.

/**
 * @typedef {object} Axis
 * @property {boolean} [log] logarithmic; what is not above zero is left out
 * @property {number} [low] the ends; where one is left out, the numbers' own
 * @property {number} [high]
 */

/**
 * About `count` round numbers between low and high, and two of them at least.
 * @param {number} low
 * @param {number} high
 * @returns {number[]}
 */
export function ticks(low, high, count = 4) {
  const raw = (high - low) / count;
  if (!(raw > 0)) return [low];
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = power * ([1, 2, 5].find((factor) => factor * power >= raw) ?? 10);
  const found = [];
  for (let value = Math.ceil(low / step) * step; value <= high + step * 1e-9; value += step)
    found.push(Math.abs(value) < step * 1e-9 ? 0 : value);
  return found.length < 2 && count < 12 ? ticks(low, high, count + 1) : found;
}

/**
 * At most `most` (2 or more) of evenly spaced numbers, evenly spaced again; zero stays where it is among them.
 * @param {number[]} values
 * @param {number} most
 * @returns {number[]}
 */
export function thinned(values, most) {
  if (values.length <= most) return values;
  const zero = values.indexOf(0);
  const kept = values.filter((_, place) => place % 2 === (zero < 0 ? 0 : zero % 2));
  return kept.length < 2 ? [values[0], values[values.length - 1]] : thinned(kept, most);
}

/**
 * A few of the powers of ten between low and high.
 * @param {number} low
 * @param {number} high
 */
export const powers = (low, high) =>
  ticks(Math.ceil(Math.log10(low)), Math.floor(Math.log10(high)), 3)
    .filter(Number.isInteger)
    .map((power) => 10 ** power);

/**
 * The powers of ten from low to high, over few of them their doubles and fives too; two round numbers at least.
 * @param {number} low
 * @param {number} high
 */
export function decades(low, high) {
  const factors = Math.log10(high / low) < 2.6 ? [1, 2, 5] : [1];
  const found = [];
  for (let power = Math.floor(Math.log10(low)); power <= Math.ceil(Math.log10(high)); power++)
    for (const factor of factors) found.push(factor * 10 ** power);
  const inside = found.filter((value) => value >= low * 0.999 && value <= high * 1.001);
  return inside.length < 2 ? ticks(low, high).filter((value) => value > 0) : inside;
}

/**
 * The ends of an axis: those given, else of the numbers, which are asked for only then; `room` lengthens a logarithmic
 * one by that factor.
 * @param {() => number[]} numbers
 * @param {Axis} axis
 * @returns {[number, number]}
 */
export function ends(numbers, { log = false, low, high }, room = 1) {
  const floor = low;
  if (low === undefined || high === undefined) {
    const drawn = numbers().filter((value) => Number.isFinite(value) && (!log || value > 0));
    low ??= drawn.reduce((a, b) => Math.min(a, b), Infinity) / (log ? room : 1);
    high ??= drawn.reduce((a, b) => Math.max(a, b), -Infinity) * (log ? room : 1);
  }
  if (high > low) return [low, high];
  if (log) return [0.1, 1];
  if (floor !== undefined) return [low, low + (Math.abs(low) || 1)];
  const middle = Number.isFinite(high) ? high : 0,
    pad = Math.abs(middle) * 0.5 || 1;
  return [middle - pad, middle + pad];
}

/**
 * Where a number is drawn, when low is drawn at `from` and high at `to`, in pixels.
 * @param {[number, number]} ends
 * @param {boolean} log
 * @param {number} from
 * @param {number} to
 * @returns {(value: number) => number}
 */
export function scale([low, high], log, from, to) {
  const place = log
    ? (/** @type {number} */ value) => Math.log10(Math.max(value, 1e-300))
    : (/** @type {number} */ value) => value;
  const start = place(low),
    span = place(high) - start;
  return (value) => from + ((place(value) - start) / span) * (to - from);
}
