// How the page looks: light or dark, the system's until the visitor chooses, and alone or with its head.

import { button, h } from "./dom.js";
import { asked } from "./router.js";

const KEY = "cdvft-theme";
const stored = () => {
  try {
    return localStorage.getItem(KEY);
  } catch {
    return null;
  }
};
const system = matchMedia("(prefers-color-scheme: dark)");
const theme = () => stored() ?? (system.matches ? "dark" : "light");

/** ?embed=1: what is looked at alone, without the page's head, for slides and notebooks. */
const embed = asked("embed") === "1";

/** Give the page its colours, now and when the system's change. Returns the button that changes them. */
export function appearance() {
  document.documentElement.classList.toggle("embed", embed);
  const label = h("span", {}, "");
  const toggle = button(
    label,
    () => {
      try {
        localStorage.setItem(KEY, theme() === "dark" ? "light" : "dark");
      } catch {
        /* private window */
      }
      apply();
    },
    { class: "theme-toggle" },
  );
  const apply = () => {
    const dark = theme() === "dark";
    document.body.classList.toggle("dark", dark);
    document.documentElement.style.colorScheme = dark ? "dark" : "light";
    label.textContent = dark ? "Light" : "Dark";
    toggle.setAttribute("aria-label", dark ? "Switch to light colours" : "Switch to dark colours");
  };
  system.addEventListener("change", () => queueMicrotask(apply)); // after Gradio's own listener
  apply();
  return toggle;
}

export const isDark = () => document.body.classList.contains("dark");

const CHANGED = "theme"; // an event of each element that wants to know
let dark = false;
/** @type {MutationObserver | undefined} of the body's classes, which Gradio changes, too; one for the page */
let observer;

function tell() {
  if (isDark() === dark) return;
  dark = isDark();
  for (const node of document.querySelectorAll("[data-on-theme]")) node.dispatchEvent(new Event(CHANGED));
}

/**
 * Call `redraw` when the page turns light or dark while the element is in it. Nothing else holds on to either.
 * @param {Element} element
 * @param {() => void} redraw
 */
export function onTheme(element, redraw) {
  if (!observer) {
    dark = isDark();
    observer = new MutationObserver(tell);
    observer.observe(document.body, { attributes: true, attributeFilter: ["class"] });
  }
  element.toggleAttribute("data-on-theme", true);
  element.addEventListener(CHANGED, () => redraw());
}
