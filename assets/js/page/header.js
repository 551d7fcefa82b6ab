// Light or dark: remembered, and following the system until somebody chooses; and what holds for every tab.

import { find, h } from "../shared/dom.js";
import { keepCookie, tellOfServer } from "./server.js";
import { tendChoices } from "./choices.js";
import { describeParts } from "./gradio_parts.js";

/** @import { HeaderView, ServerMode } from "../payloads.js" */
/** @import { ServerCalls } from "./server.js" */
/** @import { Ask, Part } from "../shared/part.js" */

const KEY = "cdvft-theme";
const stored = () => {
  try {
    return localStorage.getItem(KEY);
  } catch {
    return null;
  }
};
const system = matchMedia("(prefers-color-scheme: dark)");
const wanted = () => stored() ?? (system.matches ? "dark" : "light");

/** @param {Part<HeaderView, ServerMode, {where: Ask<object, string>} & ServerCalls>} part */
export function mount({ element, props, server, watch }) {
  const known = () => props.value.viewer && keepCookie("cdvft-viewer", props.value.viewer);
  watch("value", known);
  known();
  const label = h("span", {}, "");
  const button = h(
    "button",
    {
      type: "button",
      class: "theme-toggle",
      onclick: () => {
        try {
          localStorage.setItem(KEY, wanted() === "dark" ? "light" : "dark");
        } catch {
          /* private window */
        }
        apply();
      },
    },
    label,
  );
  const apply = () => {
    const dark = wanted() === "dark";
    document.body.classList.toggle("dark", dark);
    document.documentElement.style.colorScheme = dark ? "dark" : "light";
    label.textContent = dark ? "Light" : "Dark";
    button.setAttribute("aria-label", dark ? "Switch to light colours" : "Switch to dark colours");
  };
  find(element, ".theme-place").replaceChildren(button);
  system.addEventListener("change", () => queueMicrotask(apply)); // after Gradio's own listener
  apply();
  tellOfServer(find(element, ".mode-place"), props, server);
  tendChoices();
  describeParts();
  // Asking torch may import it first, which would slow down the drawing of the page.
  const chip = find(element, ".chip");
  setTimeout(
    () =>
      server.where({}).then(
        (text) => {
          chip.textContent = text;
        },
        () => {},
      ),
    2000,
  );
}
