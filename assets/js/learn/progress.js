// The questions that this browser has answered, kept in its storage; each new one dispatches an event.

const KEY = "cdvft-lessons";

/** @returns {string[]} */
export function remembered() {
  try {
    return JSON.parse(localStorage.getItem(KEY) ?? "[]") ?? [];
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
  document.dispatchEvent(new CustomEvent("lesson-answered", { detail: key }));
}
