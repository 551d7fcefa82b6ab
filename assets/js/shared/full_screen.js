// A button that shows a part of the page on the whole screen, and back.

import { setText, textButton } from "./dom.js";

/**
 * The button; hidden where the browser shows nothing on the whole screen.
 * @param {() => HTMLElement} part
 * @param {AbortSignal} life of the part of the page that the button is in
 */
export function fullScreenButton(part, life) {
  const button = textButton(
    "Full screen",
    () => (document.fullscreenElement ? document.exitFullscreen() : part().requestFullscreen()),
    { class: "text-button full-screen-button", hidden: !document.fullscreenEnabled },
  );
  document.addEventListener(
    "fullscreenchange",
    () => setText(button, document.fullscreenElement ? "Leave full screen" : "Full screen"),
    { signal: life },
  );
  return button;
}
