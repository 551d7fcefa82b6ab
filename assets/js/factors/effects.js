// What a layer's change does to real inputs: how much, along which directions, shared with another run or not. Each
// direction can be switched off, and an example's answer changes with it.

import { button, fold, h, segmented, setText } from "../shared/dom.js";
import { alignedPercent, count, short, unbroken } from "../shared/format.js";
import { newest } from "../shared/part.js";
import { onView } from "../shared/shown.js";
import { tableUnder } from "../shared/table.js";
import { Message } from "./answers.js";

/** @import { Direction, Effects, ExampleAnswers, LayerEffect, Together } from "../payloads.js" */
/** @import { Styles } from "../shared/plotly_types.js" */
/** @import { LayerData } from "./data.js" */

/** @typedef {"directions" | "layer" | "all"} Off */

const SHARED = 0.25; // of a direction's larger share, which the smaller one must reach to call it shared

/**
 * Whose a direction is: the name of the run that does more along it, or that both do.
 * @param {Direction} direction
 * @param {string[]} labels of the runs
 */
export function owner({ shares, cosine }, labels) {
  if (shares.length < 2) return "";
  const [least, most] = [...shares].sort((one, other) => one - other);
  if (least < SHARED * most) return `${labels[shares.indexOf(most)]} alone`;
  return (cosine ?? 0) < 0 ? "shared, in opposite senses" : "shared";
}

/**
 * @param {LayerEffect} effect of one run
 * @param {{tokens: number, unit: string}} about
 */
export function effectSentence({ ratio, common }, { tokens, unit }) {
  const [low, middle, high] = ratio.map((part) => alignedPercent(part));
  return (
    `‖ΔW x‖ is ${middle} of ‖W x‖ in the median of ${count(tokens)} held-out ${unit} (quartiles ${low} to ${high}). ` +
    `A constant vector explains ${alignedPercent(common)} of its energy.`
  );
}

/**
 * Whether two runs learned the same here.
 * @param {Together} found
 * @param {string[]} labels
 */
export function pairSentence({ updates, effects, centred, alone }, [own, other]) {
  if (updates === null || effects === null) return "";
  const cosines = [
    `ΔW ${short(round(updates))}`,
    `ΔW x ${short(round(effects))}`,
    ...(centred === null ? [] : [`ΔW x without its mean ${short(round(centred))}`]),
  ];
  return (
    `Cosine of ${own} and ${other}: ${cosines.join(", ")}. ` +
    `Outside the other run's eight leading directions: ${alignedPercent(alone[0])} of ${own}, ${alignedPercent(alone[1])} of ${other}.`
  );
}

/** @param {number} value */
const round = (value) => Math.round(value * 1000) / 1000;

/**
 * An answer with its probability.
 * @param {ExampleAnswers} example
 * @param {number} run
 * @param {number} set
 */
export function answerText({ labels, answers }, run, set) {
  const [place, sure] = answers[run][set];
  return {
    text: labels[place],
    sure,
    shown: sure === null ? labels[place] : `${labels[place]} ${alignedPercent(sure)}`,
  };
}

export class EffectsPanel {
  /** @type {LayerData | undefined} */
  layer;
  /** @type {{id: string, method: string, label: string} | null} the run beside */
  other = null;
  /** @type {Map<string, LayerEffect>} of the shown run, by module */
  own = new Map();
  /** @type {Effects | null} what all layers have in common of the last answer */
  about = null;
  /** @type {Together | null} */
  found = null;
  /** @type {Off} */
  off = "directions";
  /** @type {Set<number>} */
  silenced = new Set();
  example = 0;
  wanted = false; // whether the layer that is shown has not been asked for

  /**
   * `ask(layer, beside)` requests what stands here.
   * @param {Styles} lines
   * @param {(layer: LayerData, beside: string | null) => Promise<Together>} ask
   */
  constructor(lines, ask) {
    this.lines = lines;
    this.ask = ask;
    this.latest = newest();
    this.sentence = h("p", { class: "effect-sentence" });
    this.refusal = new Message();
    this.waiting = h("p", { class: "quiet", role: "status", hidden: true }, "Computing on held-out rows …");
    this.list = h("div", { class: "directions" });
    this.switch = h("div", {});
    this.shown = h("div", { class: "effect-example", "aria-live": "polite" });
    this.behind = h("div", { class: "seen" });
    this.table = tableUnder(() => this.#numbers(), "Directions in numbers");
    this.body = h(
      "div",
      { class: "effect-body", hidden: true },
      h("div", {}, this.switch, this.list),
      this.shown,
    );
    this.why = fold("Details", this.behind, this.table.details);
    this.why.hidden = true;
    this.node = h(
      "section",
      { class: "effects", "aria-labelledby": "effects-title" },
      h("h2", { id: "effects-title" }, "Effect on held-out inputs"),
      this.sentence,
      this.refusal.node,
      this.waiting,
      this.body,
      this.why,
    );
    // It costs the server seconds: only for somebody who looks at it.
    onView(this.node, (inView) => {
      this.inView = inView;
      if (inView && this.wanted) this.load();
    });
  }

  /**
   * @param {LayerData} layer
   * @param {LayerData | null} beside
   */
  show(layer, beside) {
    const other = beside?.run ?? null;
    if (layer.run.id !== this.layer?.run.id) {
      this.own.clear();
      this.about = null;
    }
    this.layer = layer;
    this.other = other;
    this.found = null;
    this.silenced.clear();
    this.off = "directions";
    this.body.hidden = this.why.hidden = true;
    this.refusal.show(null);
    void this.latest(null);
    setText(this.sentence, "");
    this.wanted = true;
    if (this.inView) this.load();
  }

  /**
   * Take what is known of some layers.
   * @param {Effects} answer
   */
  take(answer) {
    this.about = answer;
    for (const one of answer.layers) this.own.set(one.module, one);
    this.say();
  }

  async load() {
    const { layer, other } = this;
    if (!layer) return;
    this.wanted = false;
    this.waiting.hidden = false;
    this.refusal.show(null);
    try {
      const found = await this.latest(this.ask(layer, other?.id ?? null));
      if (layer !== this.layer) return;
      this.found = found;
      this.example = 0;
      this.waiting.hidden = true;
      this.body.hidden = this.why.hidden = false;
      this.#drawSwitch();
      this.draw();
    } catch (error) {
      if (layer !== this.layer) return;
      this.waiting.hidden = true;
      this.refusal.error(error, () => this.load());
    }
  }

  /** The runs that are shown: their labels and methods. */
  get runs() {
    return [this.layer?.run, this.other].filter((run) => run !== undefined && run !== null);
  }

  /** Which of an example's answers is shown. */
  get set() {
    const sets = 2 ** (this.found?.directions.length ?? 0);
    if (this.off === "layer") return sets;
    if (this.off === "all") return sets + 1;
    return [...this.silenced].reduce((bits, k) => bits | (1 << k), 0);
  }

  say() {
    const { found, layer, about } = this;
    if (!layer) return;
    const labels = this.runs.map(({ label }) => label),
      own = this.own.get(layer.module);
    setText(
      this.sentence,
      unbroken(
        found && this.other ? pairSentence(found, labels) : about && own ? effectSentence(own, about) : "",
      ),
    );
    if (!about || !own) return;
    this.behind.replaceChildren(
      h(
        "p",
        {},
        `${count(own.directions)} of ${count(own.width)} directions hold 90% of the inputs' energy. ` +
          `${alignedPercent(own.used)} of ‖ΔW‖² lies along them (${alignedPercent(own.directions / own.width)} expected at random).`,
      ),
      h(
        "p",
        {},
        "Directions are the leading right singular vectors of ΔW x over the tokens. Switching one off removes it from this layer's ΔW.",
      ),
    );
  }

  draw() {
    this.say();
    const { found } = this;
    if (!found) return;
    const labels = this.runs.map(({ label }) => label);
    this.list.hidden = this.off !== "directions";
    this.list.replaceChildren(
      ...found.directions.map((direction, k) => this.#direction(direction, k, labels)),
    );
    this.#drawExample(found);
    this.table.refresh();
  }

  #drawSwitch() {
    this.switch.replaceChildren(
      segmented(
        "What is switched off",
        "effect-off",
        [
          ["directions", "Directions"],
          ["layer", "This layer off"],
          ["all", "All layers off"],
        ],
        this.off,
        (key) => {
          this.off = /** @type {Off} */ (key);
          this.draw();
        },
      ),
    );
  }

  /**
   * @param {Direction} direction
   * @param {number} k
   * @param {string[]} labels
   */
  #direction(direction, k, labels) {
    const whose = owner(direction, labels);
    const input = h("input", {
      type: "checkbox",
      checked: !this.silenced.has(k),
      "aria-label": `Direction ${k + 1}${whose && `, ${whose}`}`,
      onchange: () => {
        if (input.checked) this.silenced.delete(k);
        else this.silenced.add(k);
        if (this.found) this.#drawExample(this.found);
      },
    });
    return h(
      "label",
      { class: "direction" },
      input,
      h(
        "span",
        { class: "direction-about" },
        h("b", {}, `Direction ${k + 1}`),
        whose ? ` ${whose}` : "",
        h("span", { class: "quiet" }, ` · moves most: ${direction.tokens.join(", ")}`),
      ),
      h(
        "span",
        { class: "direction-bars" },
        direction.shares.map((share, run) =>
          this.#bar(
            share,
            run,
            `${labels[run]} ${share < 0.001 ? "under 0.1 %" : alignedPercent(share)} of its effect`,
          ),
        ),
      ),
    );
  }

  /**
   * @param {number} part
   * @param {number} run
   * @param {string} text
   */
  #bar(part, run, text) {
    const { color } = this.lines[this.runs[run].method].line;
    return h(
      "span",
      { class: "effect-bar" },
      h("span", { style: `width: ${(100 * part).toFixed(1)}%; background: ${color}` }),
      h("i", {}, text),
    );
  }

  /** @param {Together} found */
  #drawExample({ examples }) {
    const example = examples[this.example];
    if (!example) return this.shown.replaceChildren();
    const { text, picture, right } = example;
    this.shown.replaceChildren(
      h(
        "div",
        { class: "example-given" },
        picture ? h("img", { src: picture, alt: "" }) : h("q", {}, text),
        h("span", { class: "quiet" }, `Held-out example. Label: ${right}`),
      ),
      ...this.runs.map((run, place) => {
        const now = answerText(example, place, this.set),
          whole = answerText(example, place, 0);
        return h(
          "p",
          { class: "example-answer", "data-method": run.method },
          h("span", {}, `${run.label} predicts `),
          h("b", {}, now.shown),
          h("span", { class: "quiet" }, this.set === 0 ? " as trained" : ` (as trained: ${whole.shown})`),
          now.sure === null ? null : this.#bar(now.sure, place, ""),
        );
      }),
      examples.length > 1
        ? button(
            "Next example",
            () => {
              this.example = (this.example + 1) % examples.length;
              if (this.found) this.#drawExample(this.found);
            },
            { class: "small" },
          )
        : h("span", {}),
    );
  }

  #numbers() {
    const labels = this.runs.map(({ label }) => label);
    const rows = (this.found?.directions ?? []).map((direction, k) => [
      String(k + 1),
      ...direction.shares.map((share) => alignedPercent(share)),
      ...direction.common.map((part) => alignedPercent(part)),
      ...(labels.length > 1 ? [direction.cosine === null ? "" : short(round(direction.cosine))] : []),
      direction.tokens.join(" "),
    ]);
    const columns = [
      "Direction",
      ...labels.map((label) => `Share of ${label}'s effect`),
      ...labels.map((label) => `Common to all, of ${label}'s`),
      ...(labels.length > 1 ? ["Cosine along it"] : []),
      "Moves most",
    ];
    return { columns, rows };
  }
}
