// The overview of a run's layers: one cell a layer, to click on, and a sentence.

import { h, segmented, setText } from "../shared/dom.js";
import { alignedPercent, short, unbroken } from "../shared/format.js";
import { tableUnder } from "../shared/table.js";
import { changes, meaning, shiftSentence } from "./changes.js";
import { symbol } from "./data.js";

/** @import { Effects, Layer, LayerEffect, LayerNumbers, OpenedRun } from "../payloads.js" */

export class Overview {
  /**
   * `onchoose(module)` is called with the layer that was clicked on.
   * @param {(module: string) => void} onchoose
   */
  constructor(onchoose) {
    this.onchoose = onchoose;
    /** @type {Map<string, LayerNumbers>} what is known, by module */
    this.found = new Map();
    /** @type {Map<string, {input: HTMLInputElement, cell: HTMLElement, value: HTMLElement}>} by module */
    this.inputs = new Map();
    /** @type {number | null} the value that fills a cell; null until it is computed */
    this.largest = null;
    this.t = 0;
    /** @type {OpenedRun | undefined} */
    this.run = undefined;
    this.quantity = "size";
    /** @type {Map<string, LayerEffect>} what changes do to inputs, as far as that has come, by module */
    this.effects = new Map();
    /** @type {Effects | null} the last of these answers */
    this.effect = null;
    this.sentence = h("p", { class: "sentence", "aria-live": "polite" });
    this.seeds = h("p", { class: "quiet seeds", hidden: true });
    this.sizes = h("div", { class: "seen" });
    this.reasons = h("details", { class: "reasons", hidden: true }, h("summary", {}, "Why"), this.sizes);
    this.told = h("div", { class: "told-of-run" }, this.sentence, this.seeds, this.reasons);
    this.meaning = h("p", { class: "quiet meaning" });
    /** @type {{label: string, layers: LayerNumbers[]} | null} another run of the race, to compare sizes with */
    this.rival = null;
    this.switch = h("div", { class: "overview-switch" });
    this.ended = false; // whether no more numbers will come
    this.cells = h("div", { class: "cells" });
    this.table = tableUnder(() => this.numbers(), "All layers in numbers");
    this.node = h("div", { class: "overview" }, this.switch, this.cells, this.meaning, this.table.details);
  }

  /** @param {OpenedRun} run */
  show(run) {
    this.run = run;
    this.t = run.steps.length - 1;
    this.found.clear();
    this.rival = null;
    this.ended = false;
    this.effects.clear();
    this.effect = null;
    this.takeSeeds("");
    if (this.quantity === "effect") this.quantity = "size"; // until the effects have come
    this.#offer(run);
    const kinds = [...new Set(run.layers.map(({ kind }) => kind))];
    this.inputs.clear();
    this.cells.replaceChildren(
      ...kinds.map((kind) =>
        h(
          "fieldset",
          { class: "kind" },
          h("legend", {}, kind),
          h(
            "div",
            { class: "kind-cells" },
            run.layers.filter((layer) => layer.kind === kind).map((layer) => this.#cell(layer)),
          ),
        ),
      ),
    );
    this.refresh();
  }

  /**
   * What the cells may show of a run.
   * @param {OpenedRun} run
   */
  #offer(run) {
    const vectors = run.method === "cdvft" ? 2 * run.m - 1 : 0;
    /** @type {[string, string, string][]} */
    const choices = [
      ...(this.effect
        ? [
            /** @type {[string, string, string]} */ ([
              "effect",
              "Effect on inputs",
              `Of the change ΔW on what the layer gives, ‖ΔW x‖ / ‖W x‖: the median over ${this.effect.tokens} held-out ${this.effect.unit}, after the last step`,
            ]),
          ]
        : []),
      [
        "size",
        "Size",
        "Frobenius norm of the change ΔW, in percent of that of the pretrained weights where these are known",
      ],
      ["rank", "Effective rank", "About how many directions carry the change after the last step"],
      ...Array.from(
        { length: vectors },
        /** @returns {[string, string, string]} */ (_, place) => [
          `moved-${place}`,
          `${symbol(place)} moved`,
          `How far the numbers of ${symbol(place)} have moved since the first snapshot (root mean square)`,
        ],
      ),
    ];
    if (!choices.some(([key]) => key === this.quantity)) this.quantity = "size";
    this.switch.replaceChildren(
      segmented("What the cells show", "overview-quantity", choices, this.quantity, (key) => {
        this.quantity = key;
        this.largest = null;
        this.paint();
      }),
    );
  }

  /**
   * Take what the changes of some layers do to inputs: with the first of them the cells show that.
   * @param {Effects} answer
   */
  takeEffects(answer) {
    const first = !this.effect;
    this.effect = answer;
    for (const one of answer.layers) this.effects.set(one.module, one);
    if (first) {
      if (this.quantity === "size") this.quantity = "effect";
      if (this.run) this.#offer(this.run);
    }
    this.refresh();
  }

  /** @param {string} sentence on the same over several seeds; empty where there is one */
  takeSeeds(sentence) {
    setText(this.seeds, unbroken(sentence));
    this.seeds.hidden = !sentence;
  }

  /** @param {Layer} layer */
  #cell(layer) {
    const value = h("b", {}, "…");
    const input = h("input", {
      type: "radio",
      name: "factor-layer",
      value: layer.module,
      onchange: () => this.onchoose(layer.module),
      "aria-label": `${layer.depth === null ? "" : `layer ${layer.depth} `}${layer.kind}`,
    });
    const cell = h(
      "label",
      { class: "cell", title: layer.module },
      input,
      h("span", { class: "depth" }, layer.depth ?? "·"),
      value,
    );
    this.inputs.set(layer.module, { input, cell, value });
    return cell;
  }

  /** @param {string} module */
  choose(module) {
    const cell = this.inputs.get(module);
    if (cell) cell.input.checked = true;
  }

  /**
   * Take the server's numbers of some layers.
   * @param {LayerNumbers[]} layers
   */
  take(layers) {
    this.ended = false;
    for (const layer of layers) this.found.set(layer.module, layer);
    this.refresh();
  }

  /** Stop waiting for numbers, which the server has refused. */
  end() {
    this.ended = true;
    this.refresh();
  }

  /** Update sentence and cells, as after the norms of the frozen weights have come. */
  refresh() {
    const { effect } = this,
      sizes = this.summary(),
      meaning = this.#meaning();
    setText(this.sentence, unbroken(effect ? effect.sentence || this.#progress() : sizes));
    this.reasons.hidden = !effect?.sentence;
    this.meaning.hidden = Boolean(effect);
    setText(this.meaning, unbroken(meaning));
    this.sizes.replaceChildren(
      ...[effect?.sentence ? shiftSentence(effect) : "", sizes, meaning]
        .filter(Boolean)
        .map((text) => h("p", {}, unbroken(text))),
    );
    this.largest = null;
    this.paint();
  }

  #progress() {
    const all = this.run?.layers.length ?? 0;
    return `Trying ${all} layers on held-out rows: ${this.effects.size} done.`;
  }

  /** @param {number} t */
  at(t) {
    if (t === this.t) return;
    this.t = t;
    this.paint();
  }

  /**
   * A layer's numbers at t; its norm after the last step where only that is known.
   * @param {string} module
   * @param {number} t
   */
  numbersOf(module, t) {
    const found = this.found.get(module);
    if (!found) return null;
    const norm = found.norm[t] ?? found.norm[found.norm.length - 1],
      weight = this.run?.weights?.[module];
    return {
      norm,
      ratio: weight && norm !== null ? norm / weight : null,
      rank: found.effective_rank,
      moved: Object.values(ordered(found.moved)).map((steps) => steps[t]),
    };
  }

  /**
   * @param {string} module
   * @param {number} t
   */
  value(module, t) {
    if (this.quantity === "effect") return this.effects.get(module)?.ratio[1] ?? null;
    const known = this.numbersOf(module, t);
    if (!known) return null;
    if (this.quantity === "size") return this.relative ? known.ratio : known.norm;
    return this.quantity === "rank" ? known.rank : (known.moved[Number(this.quantity.slice(6))] ?? null);
  }

  get relative() {
    const { layers = [], weights } = this.run ?? {};
    return layers.every(({ module }) => weights?.[module]);
  }

  paint() {
    const { run } = this,
      relative = this.quantity === "effect" || (this.quantity === "size" && this.relative);
    if (!run) return;
    const values = run.layers.map(({ module }) => this.value(module, this.t));
    // Over the whole run, so that the cells fill up as training goes on.
    const largest = (this.largest ??= Math.max(
      1e-30,
      ...run.layers.flatMap(({ module }) => run.steps.map((_, t) => this.value(module, t) ?? 0)),
    ));
    run.layers.forEach(({ module }, index) => {
      const one = this.inputs.get(module),
        number = values[index];
      if (!one) return;
      setText(
        one.value,
        number === null
          ? this.quantity !== "effect" && (this.ended || this.found.has(module))
            ? "–"
            : "…"
          : relative
            ? alignedPercent(number)
            : short(number),
      );
      one.cell.style.setProperty("--part", number === null ? "0" : (number / largest).toFixed(3));
    });
    this.table.refresh();
  }

  /** A sentence on which layers changed how much by the last snapshot. */
  summary() {
    const { run } = this;
    if (!run) return "";
    const known = run.layers.flatMap((layer) => {
      const numbers = this.numbersOf(layer.module, run.steps.length - 1);
      return numbers ? [{ ...layer, ...numbers }] : [];
    });
    if (known.length < run.layers.length && this.ended) return "";
    return known.length < run.layers.length
      ? `Looking at ${run.layers.length} layers: ${known.length} done.`
      : changes(run, known, this.relative);
  }

  #meaning() {
    const { run, rival } = this;
    if (!run) return "";
    const last = (/** @type {LayerNumbers} */ { module, norm }) => {
      const weight = run.weights?.[module],
        size = norm[norm.length - 1];
      return weight && size !== null ? size / weight : null;
    };
    const other = rival && { label: rival.label, ratios: rival.layers.map(last) };
    return meaning(
      run.layers.map(({ module }) => this.numbersOf(module, run.steps.length - 1)?.ratio ?? null),
      other,
    );
  }

  numbers() {
    const vectors = Object.keys(this.found.values().next().value?.moved ?? {}),
      symbols = vectors.map((_, place) => `${symbol(place)} moved`);
    const rows = (this.run?.layers ?? []).flatMap(({ module }) => {
      const known = this.numbersOf(module, this.t);
      if (!known) return [];
      const { norm, ratio, rank, moved } = known,
        effect = this.effects.get(module);
      return [
        [
          module,
          ...(this.effect
            ? [
                ...(effect?.ratio ?? ["", "", ""]).map((part) =>
                  typeof part === "number" ? alignedPercent(part) : part,
                ),
                effect ? alignedPercent(effect.common) : "",
                effect?.without.right ?? "",
              ]
            : []),
          norm,
          ratio === null ? "unknown" : alignedPercent(ratio),
          rank ?? "not computed",
          ...moved,
        ],
      ];
    });
    const ofEffects = this.effect
      ? [
          "Effect on inputs, lower quartile",
          "median",
          "upper quartile",
          "of it common to all",
          `right of ${this.effect.rows} rows without it`,
        ]
      : [];
    return {
      columns: ["Layer", ...ofEffects, "Norm of ΔW", "of ‖W‖", "Effective rank at the end", ...symbols],
      rows,
    };
  }
}

/**
 * Vectors in the order in which they apply to the input: diagonal.0, circulant.0, diagonal.1, ...
 * @template Value
 * @param {Record<string, Value>} vectors
 * @returns {Record<string, Value>}
 */
export function ordered(vectors) {
  /** @param {string} name */
  const place = (name) => 2 * Number(name.split(".")[1]) + (name.startsWith("c") ? 1 : 0);
  return Object.fromEntries(Object.entries(vectors).sort(([one], [other]) => place(one) - place(other)));
}
