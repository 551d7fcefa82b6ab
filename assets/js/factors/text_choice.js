// A recorded or a typed sentence, and one of its tokens.

import { h } from "../shared/dom.js";
import { ExampleChoice } from "./example_choice.js";

/** @import { LayerInputs, Refused } from "../payloads.js" */
/** @import { TokenInput } from "./example_choice.js" */
/** @import { LayerData } from "./data.js" */

/** @extends {ExampleChoice<string>} */
export class TextChoice extends ExampleChoice {
  group = "text";

  /**
   * @param {(layer: LayerData, example: {text: string}) => Promise<LayerInputs | Refused>} ask
   * @param {(token: TokenInput) => void} ontake
   */
  constructor(ask, ontake) {
    super((layer, text) => ask(layer, { text }), ontake);
    /** @type {string | null} */
    this.text = null;
    this.select = h("select", { id: "forward-example", onchange: () => this.load(this.select.value) });
    this.label = h("label", { for: "forward-example" }, "Example");
    this.typed = h("input", {
      type: "text",
      id: "forward-text",
      maxlength: 400,
      placeholder: "or type a sentence",
      "aria-label": "A sentence of your own",
    });
    const form = h(
      "form",
      {
        class: "forward-form",
        onsubmit: (event) => {
          event.preventDefault();
          this.load(this.typed.value);
        },
      },
      this.label,
      this.select,
      this.typed,
      h("button", { type: "submit", class: "small" }, "Use it"),
    );
    this.node = h("div", { class: "choice" }, form, this.refusal, this.tokens);
  }

  /** @param {LayerData} layer */
  show(layer) {
    this.begin(layer);
    const { texts } = layer;
    this.select.replaceChildren(...texts.map((text) => h("option", { value: text }, text)));
    this.select.hidden = this.label.hidden = !texts.length;
    this.tokens.hidden = true;
    const text = this.text ?? texts[0];
    if (text) this.load(text);
  }

  /**
   * @param {string} text
   * @param {LayerInputs} answer
   */
  loaded(text, { tokens }) {
    this.text = text;
    if ([...this.select.options].some(({ value }) => value === text)) this.select.value = text;
    const { token } = this;
    this.token = Math.min(Math.max(1, token ?? 2), tokens.length - 1);
    this.tokens.replaceChildren(
      h("legend", {}, "Token"),
      ...tokens.map((name, place) => this.radio(place, name, "token-choice")),
    );
    this.tokens.hidden = false;
  }
}
