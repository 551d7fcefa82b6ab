// The overview of a run: its results on held-out examples, and one cell per layer to choose from.

import { h, segmented, setText } from "../shared/dom.js";
import { alignedPercent, short } from "../shared/format.js";
import { tableUnder } from "../shared/table.js";
import { symbol } from "./data.js";
import { Results } from "./results.js";

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
    this.results = new Results();
    this.switch = h("div", { class: "overview-switch" });
    this.ended = false; // whether no more numbers will come
    this.cells = h("div", { class: "cells" });
    this.table = tableUnder(() => this.numbers(), "All layers in numbers");
    this.node = h("div", { class: "overview" }, this.switch, this.cells, this.table.details);
  }

  /** @param {OpenedRun} run */
  show(run) {
    this.run = run;
    this.t = run.steps.length - 1;
    this.found.clear();
    this.ended = false;
    this.effects.clear();
    this.effect = null;
    this.results.clear();
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
              `Median of ‖ΔW x‖ / ‖W x‖ over ${this.effect.tokens} held-out ${this.effect.unit} after the last step`,
            ]),
          ]
        : []),
      ["size", "Size", "Frobenius norm of ΔW, in percent of the norm of W if that is known"],
      ["rank", "Effective rank", "Effective rank of ΔW after the last step"],
      ...Array.from(
        { length: vectors },
        /** @returns {[string, string, string]} */ (_, place) => [
          `moved-${place}`,
          `${symbol(place)} moved`,
          `Root mean square change of ${symbol(place)} since the first snapshot`,
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

  /** Update results and cells, for example when the norms of the base weights arrive. */
  refresh() {
    if (this.effect) this.results.show(this.effect, this.effects.size, this.run?.layers.length ?? 0);
    this.largest = null;
    this.paint();
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
          "common part",
          `correct of ${this.effect.rows} without this layer`,
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
