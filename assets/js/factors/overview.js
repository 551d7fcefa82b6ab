// The overview of a run's layers: one cell a layer, to click on, and a sentence.

import { h, segmented, setText } from "../shared/dom.js";
import { short, unbroken } from "../shared/format.js";
import { tableUnder } from "../shared/table.js";
import { changes, meaning, percent } from "./changes.js";
import { symbol } from "./data.js";

/** @import { Layer, LayerNumbers, OpenedRun } from "../payloads.js" */

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
    this.sentence = h("p", { class: "sentence", "aria-live": "polite" });
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
    const vectors = run.method === "cdvft" ? 2 * run.m - 1 : 0;
    /** @type {[string, string, string][]} */
    const choices = [
      [
        "size",
        "Size of the change",
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
    setText(this.sentence, unbroken(this.summary()));
    setText(this.meaning, unbroken(this.#meaning()));
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
      relative = this.quantity === "size" && this.relative;
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
          ? this.ended || this.found.has(module)
            ? "–"
            : "…"
          : relative
            ? percent(number)
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
      const { norm, ratio, rank, moved } = known;
      return [[module, norm, ratio === null ? "unknown" : percent(ratio), rank ?? "not computed", ...moved]];
    });
    return { columns: ["Layer", "Norm of ΔW", "of ‖W‖", "Effective rank at the end", ...symbols], rows };
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
