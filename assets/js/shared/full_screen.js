// A button that shows a part of the page on the whole screen, and back.

import { h, setText } from "./dom.js";

/**
 * The button; hidden where the browser shows nothing on the whole screen.
 * @param {() => HTMLElement} part
 */
export function fullScreenButton(part) {
  const button = h(
    "button",
    {
      type: "button",
      class: "text-button full-screen-button",
      hidden: !document.fullscreenEnabled,
      onclick: () => (document.fullscreenElement ? document.exitFullscreen() : part().requestFullscreen()),
    },
    "Full screen",
  );
  document.addEventListener("fullscreenchange", () =>
    setText(button, document.fullscreenElement ? "Leave full screen" : "Full screen"),
  );
  return button;
}
