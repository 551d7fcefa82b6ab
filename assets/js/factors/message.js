// What the tab says in place of numbers: a problem, and a button to try again where that helps.

import { h } from "../shared/dom.js";
import { Refusal } from "./answers.js";

export class Message {
  constructor() {
    this.node = h("p", { class: "problem", role: "status", hidden: true });
  }

  /**
   * @param {string | null} text null hides it
   * @param {...(string | Node)} more
   */
  show(text, ...more) {
    this.node.replaceChildren(text ?? "", ...more);
    this.node.hidden = !text;
  }

  /**
   * Show an error, with a button for `again` unless the refusal is final.
   * @param {unknown} error
   * @param {() => void} again
   */
  error(error, again) {
    const final = error instanceof Refusal && error.final;
    const retry = () => {
      this.show(null);
      again();
    };
    this.show(
      error instanceof Error ? error.message : String(error),
      ...(final
        ? []
        : [" ", h("button", { type: "button", class: "text-button", onclick: retry }, "Try again")]),
    );
  }
}
