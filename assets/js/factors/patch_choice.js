// An image of the run's evaluation, and one of the patches that its model cuts it into.

import { h } from "../shared/dom.js";
import { ExampleChoice } from "./example_choice.js";

/** @import { Images, LayerInputs, Refused } from "../payloads.js" */
/** @import { TokenInput } from "./example_choice.js" */
/** @import { LayerData } from "./data.js" */

/** @extends {ExampleChoice<number>} */
export class PatchChoice extends ExampleChoice {
  group = "image";

  /**
   * `images(layer)` gets the examples of the layer's run.
   * @param {(layer: LayerData, example: {image: number}) => Promise<LayerInputs | Refused>} ask
   * @param {(layer: LayerData) => Promise<Images | Refused>} images
   * @param {(token: TokenInput) => void} ontake
   */
  constructor(ask, images, ontake) {
    super((layer, image) => ask(layer, { image }), ontake);
    this.images = images;
    /** @type {Images | null} */
    this.found = null;
    this.image = 0;
    this.thumbnails = h("fieldset", { class: "thumbnails" });
    this.picture = h("img", { alt: "" });
    this.grid = h("div", { class: "patch-grid" });
    this.tokens.classList.add("patches");
    this.node = h("div", { class: "choice images" }, this.refusal, this.thumbnails, this.tokens);
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
