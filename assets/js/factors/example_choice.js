// The base class of choosing an example, and one token or patch of it, to follow through a layer: texts and images.

import { h } from "../shared/dom.js";
import { newest } from "../shared/part.js";
import { accepted, Refusal } from "./answers.js";
import { decode } from "./data.js";

/** @import { LayerInputs, Refused } from "../payloads.js" */
/** @import { LayerData } from "./data.js" */

/** @typedef {{x: Float32Array, output: number}} TokenInput one token's vector, and the norm of what the layer makes of it */

/** @template Example */
export class ExampleChoice {
  /** @type {LayerData | undefined} */
  layer;
  /** @type {number | null} */
  token = null;
  group = ""; // tells the radio buttons of several choices apart

  /**
   * `ask(layer, example)` requests the layer's input; `ontake({x, output})` is called with one token's vector.
   * @param {(layer: LayerData, example: Example) => Promise<LayerInputs | Refused>} ask
   * @param {(token: TokenInput) => void} ontake
   */
  constructor(ask, ontake) {
    this.ask = ask;
    this.ontake = ontake;
    this.latest = newest();
    /** @type {(LayerInputs & {values: Float32Array}) | null} */
    this.inputs = null;
    this.node = h("div", { class: "choice" });
    this.refusal = h("p", { class: "problem", role: "status", hidden: true });
    this.tokens = h("fieldset", { class: "tokens", hidden: true });
  }

  /**
   * Start with another layer: nothing is chosen until its input has come.
   * @param {LayerData} layer
   */
  begin(layer) {
    this.layer = layer;
    this.inputs = null;
    void this.latest(null);
    this.refuse(null);
  }

  /**
   * @param {string | null} problem
   * @param {(() => void) | null} again
   */
  refuse(problem, again = null) {
    this.refusal.replaceChildren(
      problem ?? "",
      ...(again
        ? [" ", h("button", { type: "button", class: "text-button", onclick: again }, "Try again")]
        : []),
    );
    this.refusal.hidden = !problem;
  }

  /**
   * The answer of `ask()`, or null if it was refused. If the server was busy or did
   * not answer, `again` is offered.
   * @template Answer
   * @param {() => Promise<Answer | Refused>} ask
   * @param {() => void} again
   * @returns {Promise<Answer | null>}
   */
  async wait(ask, again) {
    this.node.toggleAttribute("data-busy", true);
    /** @type {Answer | null} */
    let answer = null,
      problem = null,
      final = false;
    try {
      answer = accepted(await this.latest(ask()));
    } catch (error) {
      problem = (error instanceof Error && error.message) || "The server does not answer.";
      final = error instanceof Refusal && error.final;
    }
    this.node.toggleAttribute("data-busy", false);
    this.refuse(problem, final ? null : again);
    return answer;
  }

  /** @param {Example} example */
  async load(example) {
    const { layer } = this;
    if (!layer) return;
    const answer = await this.wait(
      () => this.ask(layer, example),
      () => this.load(example),
    );
    if (!answer) return;
    this.inputs = { ...answer, values: decode(answer.data) };
    this.loaded(example, answer);
    this.choose(this.token ?? 0);
  }

  /** @param {number} token */
  choose(token) {
    if (!this.inputs) return;
    const { width, values, output_norms: outputs } = this.inputs;
    this.token = token;
    this.ontake({ x: values.subarray(token * width, (token + 1) * width), output: outputs[token] });
  }

  /**
   * Show an example's tokens when its input has come.
   * @param {Example} _example
   * @param {LayerInputs} _answer
   */
  loaded(_example, _answer) {}

  /**
   * A radio button for one token.
   * @param {number} token
   * @param {string} name
   * @param {string} style
   */
  radio(token, name, style, shown = name) {
    return h(
      "label",
      { class: style, title: shown === name ? null : name },
      h("input", {
        type: "radio",
        name: `${this.group}-token`,
        value: token,
        "aria-label": name,
        checked: token === this.token,
        onchange: () => this.choose(token),
      }),
      h("span", {}, shown),
    );
  }
}
