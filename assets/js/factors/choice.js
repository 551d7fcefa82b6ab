// What is followed through a layer: an example, and one token or patch of it. Texts and images build on this.

import { h } from "../shared/dom.js";
import { decode } from "./data.js";

export class Choice {
  /** `ask(layer, example)` gets what the layer receives; `ontake({x, output})` gets one token's vector. */
  constructor(ask, ontake) {
    Object.assign(this, { ask, ontake, token: null, inputs: null });
    this.refusal = h("p", { class: "problem", role: "status", hidden: true });
    this.tokens = h("fieldset", { class: "tokens", hidden: true });
  }

  /** Begin with a layer: nothing is chosen until an answer comes. */
  begin(layer) {
    this.layer = layer;
    this.inputs = null;
    this.refuse(null);
  }

  refuse(problem, again = null) {
    this.refusal.replaceChildren(
      problem ?? "",
      ...(again
        ? [" ", h("button", { type: "button", class: "text-button", onclick: again }, "Try again")]
        : []),
    );
    this.refusal.hidden = !problem;
  }

  /** The answer of `ask()`, or null where it was refused or another layer is looked at by now. Whoever found the server
   *  busy or away is offered `again`. */
  async wait(ask, again) {
    const { layer } = this;
    this.node.toggleAttribute("data-busy", true);
    const answer = await ask().catch((error) => ({
      error: error.message || "The server does not answer.",
      busy: !error.final,
    }));
    this.node.toggleAttribute("data-busy", false);
    if (layer !== this.layer) return null;
    this.refuse(answer.error, answer.busy ? again : null);
    return answer.error ? null : answer;
  }

  async load(example) {
    const answer = await this.wait(
      () => this.ask(this.layer, example),
      () => this.load(example),
    );
    if (!answer) return;
    this.inputs = { ...answer, values: decode(answer.data) };
    this.loaded(example, answer);
    this.choose(this.token);
  }

  choose(token) {
    const { width, values, output_norms: outputs } = this.inputs;
    this.token = token;
    this.ontake({ x: values.subarray(token * width, (token + 1) * width), output: outputs[token] });
  }

  /** A radio button for one token. */
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
