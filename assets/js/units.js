// Amounts as text: 55,296 · 231 kB · 3.13 GFLOP · 38.2 ms. The same words as in cdvft_app/costs/quantities.py.

import { count, h } from "./dom.js";

const PREFIXES = ["", "k", "M", "G", "T", "P", "E"];
const UNITS = { bytes: "B", flops: "FLOP" };

const digits = (value) => value < 99.95 ? value.toPrecision(3) : count(Math.round(value));

export function amount(kind, value) {
  if (value === null || value === undefined) return "–";
  if (kind === "count") return count(Math.round(value));
  if (kind === "seconds") return value < 1 ? `${digits(1000 * value)} ms` : `${digits(value)} s`;
  const power = PREFIXES.findIndex((_, index) => value / 1000 ** index < 999.5);
  const at = power < 0 ? PREFIXES.length - 1 : power;
  const shown = at === 0 && Number.isInteger(value) ? String(value) : digits(value / 1000 ** at);
  return `${shown} ${PREFIXES[at]}${UNITS[kind]}`;
}

/** A ratio with three digits: 5.33, 0.434 or 29.0; a whole one as it is. */
export const times = (ratio) => ratio >= 99.95 || Number.isInteger(ratio) ? count(Math.round(ratio)) : ratio.toPrecision(3);

/** Sentences as paragraphs, in which no line ends between an amount and its unit. */
export const paragraphs = (sentences) => sentences.map((sentence) => h("p", {},
  sentence.replace(/(\d) (?=(%|[kMGTPE]?(B|FLOP)|ms|s|min|hours?|days?)(?!\w))/g, "$1\u00a0")));
