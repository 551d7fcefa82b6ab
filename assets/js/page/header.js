// The header: the theme (the system's until the visitor chooses), the server's mode and device, and setup for all tabs.

import { find, h } from "../shared/dom.js";
import { setCookie, showServerMode } from "./server.js";
import { improveDropdowns } from "./dropdowns.js";
import { followHistory } from "./tabs_in_history.js";
import { labelForScreenReaders } from "./gradio_parts.js";

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
const theme = () => stored() ?? (system.matches ? "dark" : "light");

/** ?embed=1: what is looked at alone, without the page's head, for slides and notebooks. */
const embed = new URL(location.href).searchParams.get("embed") === "1";

/** @param {Part<HeaderView, ServerMode, {where: Ask<object, string>} & ServerCalls>} part */
export function mount({ element, props, server, watch }) {
  const rememberViewer = () => props.value.viewer && setCookie("cdvft-viewer", props.value.viewer);
  watch("value", rememberViewer);
  rememberViewer();
  document.documentElement.classList.toggle("embed", embed);
  const label = h("span", {}, "");
  const button = h(
    "button",
    {
      type: "button",
      class: "theme-toggle",
      onclick: () => {
        try {
          localStorage.setItem(KEY, theme() === "dark" ? "light" : "dark");
        } catch {
          /* private window */
        }
        apply();
      },
    },
    label,
  );
  const apply = () => {
    const dark = theme() === "dark";
    document.body.classList.toggle("dark", dark);
    document.documentElement.style.colorScheme = dark ? "dark" : "light";
    label.textContent = dark ? "Light" : "Dark";
    button.setAttribute("aria-label", dark ? "Switch to light colours" : "Switch to dark colours");
  };
  find(element, ".theme-place").replaceChildren(button);
  system.addEventListener("change", () => queueMicrotask(apply)); // after Gradio's own listener
  apply();
  showServerMode(find(element, ".mode-place"), props, server);
  improveDropdowns();
  followHistory();
  labelForScreenReaders();
  // This may import torch on the server, which would slow down the loading of the page.
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
