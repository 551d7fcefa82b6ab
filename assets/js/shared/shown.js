// Whether a part of the page is looked at: what lies on another tab or page, or is not in view, computes and draws nothing.

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

/**
 * Call `act` when the element comes into view and when it leaves it, with whether it is; `margin` counts as the view.
 * @param {Element} element
 * @param {(inView: boolean) => unknown} act
 * @param {string} [margin]
 */
export function onView(element, act, margin = "0px") {
  // A page that was slow is told of several changes at once; the last is how it is now.
  const observer = new IntersectionObserver((told) => void act(told[told.length - 1].isIntersecting), {
    rootMargin: margin,
  });
  observer.observe(element);
  return observer;
}

/**
 * Call `act` once, when the element is first in view.
 * @param {Element} element
 * @param {() => unknown} act
 */
export function whenFirstInView(element, act) {
  const observer = onView(element, (inView) => {
    if (!inView) return;
    observer.disconnect();
    act();
  });
}
