// Choosing what is followed through a layer: a sentence or an image, and one token or patch of it.

import { h, setOptions } from "../shared/dom.js";
import { newest } from "../shared/part.js";
import { accepted, Message } from "./answers.js";
import { decode } from "./data.js";

/** @import { LayerInputs, Refused, Images } from "../payloads.js" */
/** @import { LayerData } from "./data.js" */

/**
 * One token's vector, the norm of what the layer makes of it, and the example that it is from.
 * @typedef {{x: Float32Array, output: number, example: {text: string} | {image: number}}} TokenInput
 */

/** @template Example */
class ExampleChoice {
  /** @type {LayerData | undefined} */
  layer;
  /** @type {number | null} */
  token = null;
  group = ""; // tells the radio buttons of several choices apart

  /**
   * `ask(layer, example)` requests the layer's input for `named(example)`; `ontake` is called with one token's.
   * @param {(layer: LayerData, example: TokenInput["example"]) => Promise<LayerInputs | Refused>} ask
   * @param {(example: Example) => TokenInput["example"]} named
   * @param {(token: TokenInput) => void} ontake
   */
  constructor(ask, named, ontake) {
    this.ask = ask;
    this.named = named;
    this.ontake = ontake;
    this.latest = newest();
    /** @type {(LayerInputs & {values: Float32Array, example: TokenInput["example"]}) | null} */
    this.inputs = null;
    this.node = h("div", { class: "choice" });
    this.refusal = new Message();
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
    this.refusal.show(null);
  }

  /**
   * The answer of `ask()`, or null if it was refused, which is said.
   * @template Answer
   * @param {() => Promise<Answer | Refused>} ask
   * @param {() => void} again is offered where that may help
   * @returns {Promise<Answer | null>}
   */
  async wait(ask, again) {
    this.node.toggleAttribute("data-busy", true);
    /** @type {Answer | null} */
    let answer = null;
    this.refusal.show(null);
    try {
      answer = accepted(await this.latest(ask()));
    } catch (error) {
      this.refusal.error(error, again);
    }
    this.node.toggleAttribute("data-busy", false);
    return answer;
  }

  /** @param {Example} example */
  async load(example) {
    const { layer } = this;
    if (!layer) return;
    const answer = await this.wait(
      () => this.ask(layer, this.named(example)),
      () => this.load(example),
    );
    if (!answer) return;
    this.inputs = { ...answer, values: decode(answer.data), example: this.named(example) };
    this.loaded(example, answer);
    this.choose(this.token ?? 0);
  }

  /** @param {number} token */
  choose(token) {
    if (!this.inputs) return;
    const { width, values, output_norms: outputs, example } = this.inputs;
    this.token = token;
    this.ontake({ x: values.subarray(token * width, (token + 1) * width), output: outputs[token], example });
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

/** @extends {ExampleChoice<number>} */
export class PatchChoice extends ExampleChoice {
  group = "image";

  /**
   * `images(layer)` gets the examples of the layer's run.
   * @param {(layer: LayerData, example: TokenInput["example"]) => Promise<LayerInputs | Refused>} ask
   * @param {(layer: LayerData) => Promise<Images | Refused>} images
   * @param {(token: TokenInput) => void} ontake
   */
  constructor(ask, images, ontake) {
    super(ask, (image) => ({ image }), ontake);
    this.images = images;
    /** @type {Images | null} */
    this.found = null;
    this.image = 0;
    this.thumbnails = h("fieldset", { class: "thumbnails" });
    this.picture = h("img", { alt: "" });
    this.grid = h("div", { class: "patch-grid" });
    this.tokens.classList.add("patches");
    this.node = h("div", { class: "choice images" }, this.refusal.node, this.thumbnails, this.tokens);
  }

  /** @param {LayerData} layer */
  async show(layer) {
    this.begin(layer);
    this.thumbnails.hidden = this.tokens.hidden = true;
    this.found = await this.wait(
      () => this.images(layer),
      () => this.show(layer),
    );
    if (!this.found || layer !== this.layer) return;
    const { images } = this.found;
    this.image = Math.min(this.image, images.length - 1);
    this.thumbnails.replaceChildren(
      h("legend", {}, "Image"),
      ...images.map(({ label, picture }, place) =>
        h(
          "label",
          { class: "thumbnail" },
          h("input", {
            type: "radio",
            name: "forward-image",
            value: place,
            checked: place === this.image,
            "aria-label": `Image ${place + 1}: ${label}`,
            onchange: () => this.load(place),
          }),
          h("img", { src: picture, alt: "" }),
          h("span", {}, label),
        ),
      ),
      ...(images.length === 1
        ? [h("p", { class: "quiet" }, "One image is recorded; a run of your own offers more.")]
        : []),
    );
    this.thumbnails.hidden = false;
    await this.load(this.image);
  }

  /**
   * @param {number} image
   * @param {LayerInputs} answer
   */
  loaded(image, { tokens }) {
    if (!this.found) return;
    const { images, before, rows, columns } = this.found,
      first = before.length;
    this.image = image;
    const { token } = this;
    this.token = Math.min(token ?? first + (rows >> 1) * columns + (columns >> 1), tokens.length - 1);
    this.picture.src = images[image].picture;
    this.grid.style.gridTemplate = `repeat(${rows}, 1fr) / repeat(${columns}, 1fr)`;
    this.grid.replaceChildren(
      ...tokens.slice(first).map((name, place) => this.radio(first + place, name, "patch", "")),
    );
    this.tokens.replaceChildren(
      h("legend", {}, `Patch, one of ${rows} × ${columns}`),
      h("div", { class: "patch-picture" }, this.picture, this.grid),
      h(
        "div",
        { class: "before" },
        before.map((name, token) => this.radio(token, name, "token-choice")),
        h(
          "p",
          { class: "quiet" },
          before.length ? "The class token stands for the whole image and has no place in it." : "",
        ),
      ),
    );
    this.tokens.hidden = false;
  }
}

/** @extends {ExampleChoice<string>} */
export class TextChoice extends ExampleChoice {
  group = "text";

  /**
   * @param {(layer: LayerData, example: TokenInput["example"]) => Promise<LayerInputs | Refused>} ask
   * @param {(token: TokenInput) => void} ontake
   */
  constructor(ask, ontake) {
    super(ask, (text) => ({ text }), ontake);
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
    this.node = h("div", { class: "choice" }, form, this.refusal.node, this.tokens);
  }

  /** @param {LayerData} layer */
  show(layer) {
    this.begin(layer);
    const { texts } = layer;
    setOptions(
      this.select,
      texts.map((text) => [text, text]),
      texts[0] ?? null,
    );
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
