// Numbers, amounts and times as text: 55,296 · 231 kB · 3.13 GFLOP · 38.2 ms · 1.2 × 10⁻⁴ · 0:38.

import { SHARES } from "./constants.js";

const integers = new Intl.NumberFormat("en-US");
/** @param {number | null | undefined} value */
export const count = (value) => (value === null || value === undefined ? "" : integers.format(value));

/** @param {number} power */
export const powerOfTen = (power) =>
  `10${String(power).replace(/[-\d]/g, (sign) => "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"["-0123456789".indexOf(sign)])}`;

/** @param {string} text */
const minus = (text) => text.replace("-", "−");

/**
 * Three significant digits, and very large or small numbers with a power of ten, as in books.
 * @param {number | null | undefined} value
 */
export function short(value) {
  if (value === null || value === undefined) return "";
  const size = Math.abs(value);
  if (size !== 0 && (size < 1e-3 || size >= 1e6) && Number.isFinite(value)) {
    const [digits, power] = value.toExponential(1).split("e");
    return minus(`${digits} × ${powerOfTen(Number(power))}`);
  }
  return minus(size >= 100 ? integers.format(Math.round(value)) : String(Number(value.toPrecision(3))));
}

/**
 * As `short`, for a column: 12.0 and 0.720 keep their zeros. Whole numbers are counts and stay as they are.
 * @param {number | null | undefined} value
 */
export function aligned(value) {
  const rounded =
    value === null ||
    value === undefined ||
    Number.isInteger(value) ||
    Math.abs(value) >= 99.95 ||
    Math.abs(value) < 1e-3;
  return rounded ? short(value) : minus(value.toPrecision(3));
}

/**
 * A part of one as a percentage of three digits.
 * @param {number} part
 */
export const percent = (part) => `${short(100 * part)}\u00a0%`;

/**
 * As `percent`, for a column: 12.0 % and 0.720 % keep their zeros. A line may end within it; see `unbroken`.
 * @param {number} part of one
 */
export const alignedPercent = (part) => `${aligned(100 * part)} %`;

/**
 * Seconds as 0:38 or 1:02:09.
 * @param {number} seconds
 */
export function clock(seconds) {
  const whole = Math.max(0, Math.round(seconds));
  const [hours, minutes, rest] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  /** @param {number} value */
  const two = (value) => String(value).padStart(2, "0");
  return hours ? `${hours}:${two(minutes)}:${two(rest)}` : `${minutes}:${two(rest)}`;
}

/**
 * Seconds as 0:38 min or 1:02:09 h.
 * @param {number} seconds
 */
export const clockWithUnit = (seconds) => `${clock(seconds)} ${seconds < 3600 ? "min" : "h"}`;

/**
 * Seconds of training in a table: 38 s, 1:40 min or 1:02:09 h.
 * @param {number | null} seconds
 */
export const timeText = (seconds) =>
  seconds === null ? "–" : seconds < 100 ? `${seconds.toFixed(0)} s` : clockWithUnit(seconds);

/**
 * Whether a metric is a share of the evaluation rows, shown as per cent.
 * @param {string | null | undefined} name
 */
export const isShare = (name) => SHARES.includes(name ?? "");

/**
 * Shares as a percentage, correlations as numbers.
 * @param {string | null | undefined} name
 * @param {number | null | undefined} value
 */
export function metricText(name, value) {
  if (value === null || value === undefined) return "";
  return minus(isShare(name) ? `${(100 * value).toFixed(1)} %` : value.toFixed(3));
}

/**
 * 25 Nov 10:18.
 * @param {number} secondsSince1970
 */
export function when(secondsSince1970) {
  return new Date(1000 * secondsSince1970)
    .toLocaleString("en-GB", { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" })
    .replace(",", "");
}

// Amounts are written as cdvft_app/costs/quantities.py writes them.
/** @typedef {'count' | 'bytes' | 'flops' | 'seconds'} Kind */
const PREFIXES = ["", "k", "M", "G", "T", "P", "E"];
const UNITS = { bytes: "B", flops: "FLOP" };

/** @param {number} value */
const digits = (value) => (value < 99.95 ? value.toPrecision(3) : count(Math.round(value)));

/**
 * A number of that kind with its unit; a dash where there is none.
 * @param {Kind} kind
 * @param {number | null | undefined} value
 */
export function amount(kind, value) {
  if (value === null || value === undefined) return "–";
  if (kind === "count") return count(Math.round(value));
  if (kind === "seconds") return value < 1 ? `${digits(1000 * value)} ms` : `${digits(value)} s`;
  const power = PREFIXES.findIndex((_, index) => value / 1000 ** index < 999.5);
  const at = power < 0 ? PREFIXES.length - 1 : power;
  const shown = at === 0 && Number.isInteger(value) ? String(value) : digits(value / 1000 ** at);
  return `${shown} ${PREFIXES[at]}${UNITS[kind]}`;
}

/**
 * A ratio with three digits: 5.33, 0.434 or 29.0; a whole one as it is.
 * @param {number} ratio
 */
export const times = (ratio) =>
  ratio >= 99.95 || Number.isInteger(ratio) ? count(Math.round(ratio)) : ratio.toPrecision(3);

/**
 * The digits of a number as an index: 12 becomes ₁₂.
 * @param {number} number
 */
export const subscript = (number) => String(number).replace(/\d/g, (digit) => "₀₁₂₃₄₅₆₇₈₉"[Number(digit)]);

/**
 * Words in which no line ends between an amount and its unit or within "m = 2".
 * @param {string} text
 */
export const unbroken = (text) =>
  text
    .replace(/(\d) (?=(%|[kMGTPE]?(B|FLOP)|ms|s|min|hours?|days?)(?!\w))/g, "$1\u00a0")
    .replace(/\b([a-z]) = (?=\d)/g, "$1\u00a0=\u00a0");
