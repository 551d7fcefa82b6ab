// Follow one token or patch through the layer: stage by stage, with its real numbers.

import { button, h, legend, setText } from "../shared/dom.js";
import { alignedPercent, short } from "../shared/format.js";
import { LinePlot } from "../shared/line_plot.js";
import { newest } from "../shared/part.js";
import { tableUnder } from "../shared/table.js";
import { Message } from "./answers.js";
import { degrees } from "./eigen_views.js";
import { PatchChoice, TextChoice } from "./example_choice.js";
import { difference, stages } from "./stages.js";

/** @import { Images, LayerInputs, Refused, WalkAnswers } from "../payloads.js" */
/** @import { TokenInput } from "./example_choice.js" */
/** @import { LayerData } from "./data.js" */
/** @import { Signal, Stage } from "./stages.js" */

const WALKED = ["cdvft", "lora"]; // the methods whose layers have stages

/**
 * The two ways to the last stage but one: [words, line]. The wide line lies under the thin one.
 * @param {string} method
 * @returns {[string, {color: string, width: number}][]}
 */
const ways = (method) => [
  ["as in the stages before", { color: `var(--method-${method})`, width: 1.4 }],
  ["entry by entry", { color: "var(--rule-strong)", width: 5 }],
];

const ANSWERED = ["As trained", "Without this layer's change", "Without any change of weights"];

const none = new Float64Array();

/**
 * @param {LinePlot} plot
 * @param {Signal} signal
 * @param {string} color
 * @param {number | null} block
 */
function draw(plot, { numbers = none, spectrum }, color, block) {
  if (!spectrum) return plot.show([{ y: numbers, color, width: 1.4 }], { blocks: block, xTitle: "place" });
  const { modulus, phases, each } = spectrum;
  plot.show([{ y: modulus, phases, color: "var(--factor-circulant)" }], {
    low: 0,
    blocks: modulus.length > each ? each : null,
    xTitle: "frequency; height the modulus, colour the phase",
  });
}

/**
 * A signal beside the stage's own, with its name; nothing where there is none.
 * @param {string} label
 */
function part(label) {
  const name = h("p", { class: "part-name" }),
    plot = new LinePlot({ label, height: 200 }),
    node = h("div", { hidden: true }, name, plot.node);
  return {
    node,
    /**
     * @param {Signal | undefined} signal
     * @param {string} text
     * @param {string} color
     */
    show(signal, text, color) {
      node.hidden = !signal;
      if (!signal) return;
      setText(name, text);
      draw(plot, signal, color, null);
    },
  };
}

export class Forward {
  /**
   * `ask(layer, example)` requests the layer's inputs for {text} or {image}, `images(layer)` the images, and
   * `walk(layer, example)` what the model answers for it.
   * @param {(layer: LayerData, example: TokenInput["example"]) => Promise<LayerInputs | Refused>} ask
   * @param {(layer: LayerData) => Promise<Images | Refused>} images
   * @param {(layer: LayerData, example: TokenInput["example"]) => Promise<WalkAnswers>} walk
   */
  constructor(ask, images, walk) {
    this.walk = walk;
    this.answering = newest();
    this.place = this.t = 0;
    this.word = "token";
    this.names = "";
    /** @type {LayerData | undefined} */
    this.layer = undefined;
    /** @type {TokenInput | null} */
    this.token = null;
    /** @type {Stage[]} */
    this.stages = [];
    const take = (/** @type {TokenInput} */ token) => {
      this.token = token;
      this.stage.hidden = false;
      this.compute();
    };
    this.choices = { text: new TextChoice(ask, take), image: new PatchChoice(ask, images, take) };
    this.trail = h("ol", { class: "trail" });
    this.back = button("Back", () => this.go(this.place - 1), { class: "small" });
    this.next = button("Next", () => this.go(this.place + 1), { class: "small strong" });
    this.formula = h("p", { class: "stage-formula" });
    this.text = h("p", { class: "stage-text", "aria-live": "polite" });
    this.shape = h("p", { class: "stage-shape" });
    this.plot = new LinePlot({
      label: "The numbers of this stage",
      height: 200,
      onmove: (k) => setText(this.cursorText, this.#cursorText(k) || "\u00a0"),
    });
    this.input = part("What comes in");
    this.factor = part("What it is multiplied by");
    this.result = h("p", { class: "part-name" });
    this.cursorText = h("p", { class: "under" }, "\u00a0");
    this.legend = legend("Lines");
    this.legend.node.hidden = true;
    this.verdict = h("p", { class: "verdict", hidden: true });
    this.answer = h("dl", { class: "walk-answers", hidden: true });
    this.unanswered = new Message();
    this.table = tableUnder(() => this.#numbers(), "This stage in numbers");
    this.parts = h(
      "div",
      { class: "stage-parts" },
      this.input.node,
      this.factor.node,
      h("div", {}, this.result, this.plot.node, this.cursorText),
    );
    this.stage = h(
      "div",
      { class: "stage" },
      this.trail,
      h(
        "div",
        { class: "stage-head" },
        h("div", {}, this.formula, this.text),
        h("div", { class: "stage-buttons" }, this.back, this.next),
      ),
      this.shape,
      this.parts,
      this.answer,
      this.unanswered.node,
      this.legend.node,
      this.verdict,
      this.table.details,
    );
    this.title = h("h2", { id: "forward-title" });
    this.about = h("p", { class: "quiet" });
    this.followed = h(
      "div",
      { class: "followed" },
      Object.values(this.choices).map(({ node }) => node),
      this.stage,
    );
    this.node = h(
      "section",
      { class: "forward", "aria-labelledby": "forward-title" },
      this.title,
      this.about,
      this.followed,
    );
  }

  /** @param {LayerData} layer */
  show(layer) {
    const able = WALKED.includes(layer.method),
      { kind } = layer.run;
    this.layer = layer;
    this.token = null;
    this.word = kind === "image" ? "patch" : "token";
    this.followed.hidden = !able;
    this.followed.dataset.kind = kind;
    setText(this.title, `Follow one ${this.word} through this layer`);
    setText(
      this.about,
      able
        ? `Real numbers: what this ${this.word} brings to the layer in the pretrained model, and what the trained factors make of it.`
        : `${layer.run.label} has no stages to go through; choose a CDVFT or LoRA run.`,
    );
    if (!able) return;
    this.legend.show(ways(layer.method).map(([text, line]) => ({ style: { line }, text })));
    this.stage.hidden = true;
    for (const [name, { node }] of Object.entries(this.choices)) node.hidden = name !== kind;
    this.choices[kind].show(layer);
  }

  /** @param {number} t */
  at(t) {
    this.t = t;
    if (this.token) this.compute();
  }

  compute() {
    if (!this.layer || !this.token) return;
    this.stages = stages(this.layer, this.t, this.token.x, this.word);
    const names = this.stages.map(({ title }) => title);
    if (names.join() !== this.names) {
      this.names = names.join();
      this.trail.replaceChildren(
        ...names.map((title, index) =>
          h(
            "li",
            {},
            button(title, () => this.go(index)),
          ),
        ),
      );
    }
    this.go(Math.min(this.place, this.stages.length - 1));
  }

  /** @param {number} place */
  go(place) {
    this.place = place;
    const stage = this.stages[place];
    [...this.trail.children].forEach((item, index) => {
      item.firstElementChild?.setAttribute("aria-current", index === place ? "step" : "false");
      item.classList.toggle("done", index < place);
    });
    this.back.disabled = place === 0;
    this.next.disabled = place === this.stages.length - 1;
    setText(this.formula, stage.formula);
    setText(this.text, stage.text);
    setText(this.shape, stage.shape);
    this.parts.hidden = this.table.details.hidden = Boolean(stage.answer);
    this.answer.hidden = true;
    this.unanswered.show(null);
    void this.answering(null);
    if (stage.answer) this.#answer();
    const { numbers = none, before, block = null, input, factor } = stage;
    this.input.show(input, "in", "var(--ink-soft)");
    this.factor.show(factor, `× ${factor?.title}`, "var(--factor-output)");
    setText(this.result, input ? "out" : "");
    if (stage.check && before) {
      const [[, stagewise], [, whole]] = ways(this.layer?.method ?? "");
      this.plot.show(
        [
          { y: numbers, ...whole },
          { y: before, ...stagewise },
        ],
        { xTitle: "place" },
      );
    } else draw(this.plot, stage, `var(--method-${this.layer?.method})`, block);
    this.verdict.hidden = this.legend.node.hidden = !stage.check;
    if (stage.check && before && this.token) {
      const { error, largest } = difference(numbers, before),
        added = Math.hypot(...numbers),
        { output } = this.token;
      setText(
        this.verdict,
        `The two lines lie on each other: the largest difference is ${short(error)}` +
          (largest ? `, where the largest value is ${short(largest)}.` : ": at this step ΔW is zero.") +
          ` The layer itself gives a vector of norm ${short(output)} for this ${this.word}; the change adds one of norm ${short(added)}.`,
      );
    }
    setText(this.cursorText, "\u00a0");
    this.table.refresh();
  }

  /** Ask for the example's answer, and show it beside what it would be without the changes. */
  async #answer() {
    const { layer, token } = this;
    if (!layer || !token) return;
    try {
      const { answers } = await this.answering(this.walk(layer, token.example));
      this.answer.replaceChildren(
        ...answers.flatMap(([text, sure], way) => [
          h("dt", {}, ANSWERED[way]),
          h("dd", {}, sure === null ? text : `${text} ${alignedPercent(sure)}`),
        ]),
      );
      this.answer.hidden = false;
    } catch (error) {
      this.unanswered.error(error, () => this.go(this.place));
    }
  }

  /** @param {number | null} k */
  #cursorText(k) {
    const stage = this.stages[this.place];
    if (k === null || !stage) return "";
    const { numbers = none, spectrum } = stage;
    if (spectrum)
      return spectrum.modulus[k] === undefined
        ? ""
        : `frequency ${k % spectrum.each}: modulus ${short(spectrum.modulus[k])}, phase ${degrees(spectrum.phases[k])}`;
    return numbers[k] === undefined ? "" : `[${k}] = ${short(numbers[k])}`;
  }

  #numbers() {
    const { numbers = none, spectrum } = this.stages[this.place] ?? {};
    const columns = spectrum ? ["frequency", "modulus", "phase"] : ["place", "value"];
    const values = spectrum
      ? spectrum.modulus.map((value, k) => [k % spectrum.each, value, spectrum.phases[k]])
      : Array.from(numbers, (value, k) => [k, value]);
    return { columns, values, rows: values.map(([place, ...rest]) => [String(place), ...rest.map(short)]) };
  }
}
