// For who looks elsewhere: how far a race is in the tab's title, and a note of the browser's when it is over.
// Nobody is asked to allow notes before a click.

import { textButton } from "../shared/dom.js";
import { isActive, isFinal, progress, statusText } from "./run_model.js";

/** @import { Run } from "./run_model.js" */

const OFFER = "Tell me when it is done";

export class Notice {
  wanted = false;
  busy = false;
  title = document.title;

  constructor() {
    this.node = textButton(OFFER, () => this.#ask(), {
      hidden: true,
      "aria-pressed": "false",
      title: "A note of your browser's, as long as this page is open",
    });
  }

  async #ask() {
    const allowed = this.wanted ? null : await Notification.requestPermission();
    this.wanted = allowed === "granted";
    this.node.setAttribute("aria-pressed", String(this.wanted));
    this.node.textContent = this.wanted
      ? "You will be told"
      : allowed === null
        ? OFFER
        : "Your browser does not let this page tell you";
  }

  /**
   * What is shown now; the first time that all of it is over after some was not, it is told.
   * @param {string} name of the race
   * @param {Run[]} race
   */
  see(name, race) {
    const part = Math.round(100 * progress(race));
    document.title = race.some(isActive) ? `${part} % · ${this.title}` : this.title;
    const busy = race.some((run) => !isFinal(run));
    const possible = "Notification" in window && window.isSecureContext;
    this.node.hidden = !busy || !possible;
    if (this.busy && !busy && race.length && this.wanted) this.#tell(name, statusText(race));
    this.busy = busy;
  }

  /**
   * @param {string} name
   * @param {string} body
   */
  #tell(name, body) {
    try {
      const note = new Notification(name, { body, tag: "cdvft-race" });
      note.onclick = () => {
        window.focus();
        note.close();
      };
    } catch {
      /* a browser that only lets service workers tell */
    }
  }
}
