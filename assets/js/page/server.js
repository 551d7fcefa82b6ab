// The dialog of a public server: a visitor's remaining time and the code of a class.

import { button, h } from "../shared/dom.js";
import { polling } from "../shared/polling.js";

/** @import { ServerMode, Servers } from "../payloads.js" */

const REFRESH_MILLISECONDS = 30_000;
const NAMES = "The names that you give to runs are shown to you and to the operator alone.";

/**
 * A cookie for all requests of this page; inside another site's frame only on a Space, whose page says so.
 * @param {string} name
 * @param {string} value
 */
export function setCookie(name, value) {
  const framed = document.querySelector('meta[name="cdvft-page"]') && location.protocol === "https:";
  const frame = framed ? "SameSite=None; Secure; Partitioned" : "SameSite=Lax";
  document.cookie = `${name}=${value}; Path=/; Max-Age=31536000; ${frame}`;
}

/**
 * Replace the word in `place` by a button that opens the dialog; a private server has none.
 * @param {HTMLElement} place
 * @param {ServerMode} mode
 * @param {Servers["page/header"]} server
 * @param {AbortSignal} life
 */
export function showServerMode(place, mode, server, life) {
  if (!mode.public) return;
  const open = button(
    "Public",
    () => {
      void poll.now();
      dialog.showModal();
    },
    { class: "chip", "aria-haspopup": "dialog" },
  );
  const left = h("p", {});
  const dialog = h(
    "dialog",
    { class: "server", "aria-label": "This server" },
    h("h2", {}, "This server is public"),
    left,
    h("p", { class: "quiet" }, NAMES),
    mode.codes ? codeForm(() => poll.now()) : null,
    button("Close", () => void dialog.close(), { class: "close" }),
  );
  place.replaceChildren(open);
  document.querySelector(".gradio-container")?.append(dialog);

  const poll = polling({
    life,
    place,
    ask: () => server.standing({}),
    take: (standing) => {
      if (standing) {
        open.textContent = `Public · ${standing.short}`;
        left.textContent = `${standing.text} They are counted for ${standing.visitor}.`;
      }
      return REFRESH_MILLISECONDS;
    },
  });
  void poll.now();
}

/** @param {() => Promise<void>} ask */
function codeForm(ask) {
  const field = h("input", { type: "text", autocomplete: "off", maxlength: 64 });
  const submitted = (/** @type {SubmitEvent} */ event) => {
    event.preventDefault();
    setCookie("cdvft-code", encodeURIComponent(field.value.trim()));
    void ask();
  };
  return h(
    "form",
    { onsubmit: submitted },
    h("label", {}, "Code of your class ", field),
    h("button", { type: "submit" }, "Use"),
  );
}
