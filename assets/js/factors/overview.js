// All layers of a run at a glance, and in a sentence: one cell a layer, to click into.

import { h, segmented, setText } from "../shared/dom.js";
import { aligned, short, unbroken } from "../shared/format.js";
import { tableUnder } from "../shared/table.js";
import { symbol } from "./data.js";

const percent = (part) => `${aligned(100 * part)} %`;

export class Overview {
  /** `onchoose(module)` tells of the layer that somebody wants to see. */
  constructor(onchoose) {
    this.onchoose = onchoose;
    this.quantity = "size";
    this.sentence = h("p", { class: "sentence", "aria-live": "polite" });
    this.switch = h("div", { class: "overview-switch" });
    this.cells = h("div", { class: "cells" });
    this.table = tableUnder(() => this.numbers(), "All layers in numbers");
    this.node = h("div", { class: "overview" }, this.switch, this.cells, this.table.details);
  }

  show(run) {
    this.run = run;
    this.t = run.steps.length - 1;
    this.found = new Map();
    const vectors = run.method === "cdvft" ? 2 * run.m - 1 : 0;
    const choices = [
      [
        "size",
        "Size of the change",
        "Frobenius norm of the change ΔW, in percent of that of the pretrained weights where these are known",
      ],
      ["rank", "Effective rank", "About how many directions carry the change after the last step"],
      ...Array.from({ length: vectors }, (_, place) => [
        `moved-${place}`,
        `${symbol(place)} moved`,
        `How far the numbers of ${symbol(place)} have moved since the first snapshot (root mean square)`,
      ]),
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
    this.inputs = new Map();
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

  choose(module) {
    this.inputs.get(module).input.checked = true;
  }

  /** Take in what the server knows of some layers. */
  take(layers) {
    for (const layer of layers) this.found.set(layer.module, layer);
    this.refresh();
  }

  /** Say and paint anew, as after the norms of the frozen weights have come. */
  refresh() {
    setText(this.sentence, unbroken(this.say()));
    this.largest = null;
    this.paint();
  }

  at(t) {
    if (t === this.t) return;
    this.t = t;
    this.paint();
  }

  /** A layer's numbers at t; its norm after the last step where only that is known. */
  numbersOf(module, t) {
    const found = this.found.get(module);
    if (!found) return null;
    const norm = found.norm[t] ?? found.norm.at(-1),
      weight = this.run.weights[module];
    return {
      norm,
      ratio: weight ? norm / weight : null,
      rank: found.effective_rank,
      moved: Object.values(ordered(found.moved)).map((steps) => steps[t]),
    };
  }

  value(module, t) {
    const known = this.numbersOf(module, t);
    if (!known) return null;
    if (this.quantity === "size") return this.relative ? known.ratio : known.norm;
    return this.quantity === "rank" ? known.rank : (known.moved[Number(this.quantity.slice(6))] ?? null);
  }

  get relative() {
    return this.run.layers.every(({ module }) => this.run.weights[module]);
  }

  paint() {
    const { run } = this,
      relative = this.quantity === "size" && this.relative;
    const values = run.layers.map(({ module }) => this.value(module, this.t));
    // Over the whole run, so that the cells fill up as training goes on.
    this.largest ??= Math.max(
      1e-30,
      ...run.layers.flatMap(({ module }) => run.steps.map((_, t) => this.value(module, t) ?? 0)),
    );
    const { largest } = this;
    run.layers.forEach(({ module }, index) => {
      const { cell, value } = this.inputs.get(module),
        number = values[index];
      setText(
        value,
        number === null ? (this.found.has(module) ? "–" : "…") : relative ? percent(number) : short(number),
      );
      cell.style.setProperty("--part", number === null ? 0 : (number / largest).toFixed(3));
    });
    this.table.refresh();
  }

  /** What was learned where, in plain words, from the numbers after the last snapshot. */
  say() {
    const { run } = this,
      last = run.steps.length - 1;
    const known = run.layers
      .map((layer) => ({ ...layer, ...this.numbersOf(layer.module, last) }))
      .filter(({ norm }) => norm !== undefined);
    if (known.length < run.layers.length)
      return `Looking at ${run.layers.length} layers: ${known.length} done.`;
    const size = ({ ratio, norm }) => ratio ?? norm,
      said = this.relative
        ? (layer) => `${percent(layer.ratio)} of their norm`
        : (layer) => `a norm of ${short(layer.norm)}`;
    const sorted = [...known].sort((one, other) => size(other) - size(one)),
      most = sorted[0],
      least = sorted.at(-1);
    const name = ({ depth, kind }) =>
      depth === null ? `${kind} weights` : `${kind} weights of layer ${depth}`;
    const parts = [
      `After ${run.steps.at(-1)} steps ${run.label} changed the ${name(most)} most, by ${said(most)}`,
    ];
    if (known.length > 1)
      parts[0] +=
        size(least) > 0
          ? `, ${short(Number((size(most) / size(least)).toPrecision(2)))} times as much as the ${name(least)}, which changed least`
          : `, and the ${name(least)} not at all`;
    const kinds = [...new Set(known.map(({ kind }) => kind))];
    if (kinds.length > 1 && kinds.length < 5) {
      const medians = kinds
        .map((kind) => [kind, median(known.filter((layer) => layer.kind === kind).map(size))])
        .sort((one, other) => other[1] - one[1]);
      parts.push(
        `Typical for a layer is a change of ${medians.map(([kind, value]) => `${this.relative ? percent(value) : short(value)} for its ${kind} weights`).join(" and ")}`,
      );
    }
    const ranks = known.map(({ rank }) => rank).filter((rank) => rank !== null);
    if (ranks.length) {
      const [low, high, full] = [
        Math.min(...ranks),
        Math.max(...ranks),
        Math.min(...known.map(({ d_out, d_in }) => Math.min(d_out, d_in))),
      ].map(short);
      parts.push(
        `The changes have an effective rank of ${low === high ? low : `${low} to ${high}`} out of ${full}` +
          (run.method === "lora"
            ? `; ${run.rank} is the most that r = ${run.rank} allows`
            : "; LoRA with r = 8 reaches 8 at most"),
      );
    }
    return `${parts.join(". ")}.`;
  }

  numbers() {
    const t = this.t,
      symbols = Object.keys(this.found.values().next().value?.moved ?? {}).map(
        (_, place) => `${symbol(place)} moved`,
      );
    return {
      columns: ["Layer", "Norm of ΔW", "of ‖W‖", "Effective rank at the end", ...symbols],
      rows: this.run.layers
        .filter(({ module }) => this.found.has(module))
        .map(({ module }) => {
          const { norm, ratio, rank, moved } = this.numbersOf(module, t);
          return [
            module,
            norm,
            ratio === null ? "unknown" : percent(ratio),
            rank === null ? "not computed" : rank,
            ...moved,
          ];
        }),
    };
  }
}

const median = (values) => [...values].sort((one, other) => one - other)[values.length >> 1];

/** diagonal.0, circulant.0, diagonal.1, ...: the order in which data meets them. */
export function ordered(vectors) {
  const place = (name) => 2 * Number(name.split(".")[1]) + (name.startsWith("c") ? 1 : 0);
  return Object.fromEntries(Object.entries(vectors).sort(([one], [other]) => place(one) - place(other)));
}
