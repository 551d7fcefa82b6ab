// Whether a part of the page is looked at: what lies on another tab or page computes and draws nothing.

import { drawn } from "./part.js";

/**
 * Call `show` when the tab and page that the element lies on come to be looked at, and each time again.
 * @param {Element} element
 * @param {() => unknown} show
 */
export function whenShown(element, show) {
  let before = false;
  new ResizeObserver(() => {
    const now = isShown(element);
    if (now && !before) drawn(element, show);
    before = now;
  }).observe(element);
}

/**
 * Whether the tab and page that the element lies on are looked at.
 * @param {Element} element
 */
export const isShown = (element) => element.checkVisibility();
