// The questions that this browser has answered, kept in its storage; each new one dispatches an event.

import { tell } from "../shared/events.js";

const KEY = "cdvft-lessons";
/** Questions as they were called when lessons had numbers. @type {Record<string, string | undefined>} */
const FORMERLY = {
  2: "fft",
  3: "rank-full",
  4: "reach",
  5: "blocks",
  6: "start",
  7: "breaking",
  8: "shapes",
};

/** @returns {string[]} */
export function remembered() {
  try {
    const kept = JSON.parse(localStorage.getItem(KEY) ?? "[]");
    return Array.isArray(kept) ? kept.map((key) => FORMERLY[key] ?? key) : [];
  } catch {
    return [];
  }
}

/** @param {string} key */
export function remember(key) {
  try {
    localStorage.setItem(KEY, JSON.stringify([...new Set([...remembered(), key])]));
  } catch {
    /* private window */
  }
  tell("lesson-answered", key);
}
