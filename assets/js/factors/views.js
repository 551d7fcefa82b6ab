// The views of one layer: vectors, eigenvalues, circulant, weight update, singular values, all at one snapshot.

import { h, segmented } from "../shared/dom.js";
import { short } from "../shared/format.js";
import { magnitude, phase } from "../shared/fft.js";
import { Heatmap, link, zoomButtons } from "../shared/heatmap.js";
import { LinePlot } from "../shared/line_plot.js";
import { colorLimit, symbol } from "./data.js";
import { explainCirculant, explainUpdate } from "./entries.js";
import { panel, scaleBar } from "./panels.js";

const TINTS = {
  first: "var(--factor-input)",
  circulant: "var(--factor-circulant)",
  last: "var(--factor-output)",
};

const degrees = (angle) => `${short(Math.round((angle * 180) / Math.PI))}°`;

export class Views {
  constructor() {
    this.fixed = true;
    this.shownCirculant = 0;
    const name = () => this.fileName();
    this.vectors = h("div", { class: "row vectors" });
    this.eigen = panel(
      "|FFT(c)|",
      new LinePlot({
        label: "Modulus of the circulant's eigenvalues, by frequency",
        height: 165,
        onmove: (k) => this.#atFrequency(k),
      }),
      { name: () => `${name()}_moduli` },
    );
    this.turn = panel(
      "Phase",
      new LinePlot({
        label: "Phase of the circulant's eigenvalues, by frequency",
        height: 165,
        onmove: (k) => this.#atFrequency(k),
      }),
      { name: () => `${name()}_phases`, note: "coloured as above" },
    );
    this.spectra = h("div", { class: "spectra" }, this.eigen.node, this.turn.node);
    this.circulant = panel(
      "circ(c)",
      new Heatmap({
        label: "Heatmap of the circulant; arrow keys move the cursor, plus and minus zoom",
        onmove: (cursor) => this.point(cursor),
      }),
      { name: () => `${name()}_circulant` },
    );
    this.update = panel(
      "ΔW",
      new Heatmap({
        label: "Heatmap of the weight update; arrow keys move the cursor, plus and minus zoom",
        onmove: (cursor) => this.point(cursor),
      }),
      { name: () => `${name()}_update` },
    );
    this.beside = panel(
      "ΔW beside",
      new Heatmap({
        label: "Heatmap of the other run's weight update",
        onmove: (cursor) => this.point(cursor),
      }),
      { name: () => `${name()}_beside` },
    );
    link(this.circulant.view, this.update.view, this.beside.view);
    this.bars = { circulant: scaleBar(), update: scaleBar(), beside: scaleBar() };
    for (const [which, bar] of Object.entries(this.bars)) this[which].node.append(bar.node);
    this.colors = segmented(
      "Colour scale",
      "factor-colors",
      [
        ["run", "Whole run"],
        ["step", "This step"],
      ],
      "run",
      (key) => {
        this.fixed = key === "run";
        this.draw();
      },
    );
    this.which = h("span", {});
    this.heatmaps = h(
      "div",
      { class: "row heatmaps" },
      this.spectra,
      this.circulant.node,
      this.update.node,
      this.beside.node,
    );
    this.node = h(
      "div",
      { class: "views" },
      this.vectors,
      h(
        "div",
        { class: "heat-controls" },
        zoomButtons(this.update.view),
        h("span", { class: "quiet" }, "Colours over"),
        this.colors,
        this.which,
      ),
      this.heatmaps,
    );
  }

  /** Show a layer, and another run's beside it or null; `at(t)` then draws. */
  show(layer, beside) {
    Object.assign(this, { layer, other: beside });
    const cdvft = layer.method === "cdvft";
    this.vectors.hidden = this.spectra.hidden = this.circulant.node.hidden = !cdvft;
    this.beside.node.hidden = !beside;
    this.heatmaps.classList.toggle("four", cdvft && Boolean(beside));
    this.shownCirculant = 0;
    this.lines = cdvft ? layer.order.map((vector, place) => this.#line(vector, place)) : [];
    this.vectors.replaceChildren(...this.lines.map(({ node }) => node));
    const circulants = this.lines.length >> 1;
    this.which.replaceChildren(
      ...(circulants > 1
        ? [
            segmented(
              "Which circulant",
              "factor-circulant",
              Array.from({ length: circulants }, (_, number) => [number, symbol(2 * number + 1)]),
              0,
              (number) => {
                this.shownCirculant = Number(number);
                this.#limits();
                this.draw();
              },
            ),
          ]
        : []),
    );
    this.#limits();
  }

  #line(vector, place) {
    const { size, stack, shape } = this.layer.vectors[vector],
      circulant = vector.startsWith("c");
    const color = circulant ? TINTS.circulant : place === 0 ? TINTS.first : TINTS.last;
    const one = panel(
      symbol(place),
      new LinePlot({
        label: `${symbol(place)} over its ${size} entries`,
        height: 120,
        onmove: (k) => one.say(this.#vectorEntry(vector, place, k)),
      }),
      {
        name: () => `${this.fileName()}_${circulant ? "c" : "a"}${place + 1}`,
        note: circulant
          ? `circulant · ${shape[0] * shape[1] > 1 ? `${shape[0]} × ${shape[1]} blocks of ${shape[2]}` : `${size} numbers`}`
          : `${place === 0 ? "input" : place === this.layer.order.length - 1 ? "output" : "middle"} diagonal · ${size} numbers`,
      },
    );
    let low = Infinity,
      high = -Infinity;
    for (const value of stack) {
      if (value < low) low = value;
      if (value > high) high = value;
    }
    const pad = 0.04 * (high - low || 1);
    return {
      ...one,
      vector,
      color,
      low: low - pad,
      high: high + pad,
      blocks: circulant && shape[0] * shape[1] > 1 ? shape[2] : null,
    };
  }

  #vectorEntry(vector, place, k) {
    if (k === null) return "";
    const now = this.layer.at(vector, this.t)[k],
      start = this.layer.at(vector, 0)[k];
    return now === undefined ? "" : `${symbol(place)}[${k}] = ${short(now)}, at the start ${short(start)}`;
  }

  /** Ends of the colour scales over the whole run; where a matrix is costly to build, after its last step. */
  #limits() {
    const over = (layer, limit) =>
      Math.max(
        ...layer.steps.map((_, t) =>
          layer.order.length === 3 || t === layer.steps.length - 1 ? limit(t) : 0,
        ),
      );
    const both = [this.layer, this.other]
      .filter(Boolean)
      .map((layer) => over(layer, (t) => colorLimit(layer.update(t))));
    this.runLimits = { update: Math.max(...both), beside: Math.max(...both), circulant: 1 };
    if (!this.lines.length) return;
    const circulant = (t) => this.layer.circulant(this.shownCirculant, t);
    this.runLimits.circulant = over(this.layer, (t) => colorLimit(circulant(t)));
    this.eigenHigh = over(this.layer, (t) =>
      Math.max(
        ...circulant(t)
          .spectra()
          .map((one) => Math.max(...magnitude(one))),
      ),
    );
  }

  at(t) {
    this.t = t;
    this.draw();
  }

  draw() {
    const { layer, t, other } = this;
    for (const { vector, color, low, high, blocks, view } of this.lines) {
      view.show(
        [
          { y: layer.at(vector, 0), color: "var(--rule-strong)", opacity: 0.55, width: 1 },
          { y: layer.at(vector, t), color },
        ],
        { low, high, blocks },
      );
    }
    const update = layer.update(t);
    if (this.lines.length) {
      const circulant = layer.circulant(this.shownCirculant, t);
      this.#eigenvalues(circulant);
      this.#heat("circulant", circulant, layer.block);
      this.circulant.title(`circ(${symbol(2 * this.shownCirculant + 1)})`);
      this.circulant.note(layer.block ? "in each block one column, shifted" : "one column, shifted");
    }
    this.#heat("update", update, layer.block);
    this.update.title(other ? `ΔW of ${layer.run.label}` : "ΔW");
    this.update.note(
      layer.method === "cdvft" ? "its rows and columns scaled" : `${layer.d_out} × ${layer.d_in}`,
    );
    if (other) {
      const at = other.nearest(layer.steps[t]);
      this.beside.title(`ΔW of ${other.run.label}`);
      this.beside.note(`step ${other.steps[at]}`);
      this.#heat("beside", other.update(at), other.block);
    }
    this.point(this.update.view.cursor);
  }

  #heat(which, matrix, block) {
    const limit = this.fixed ? this.runLimits[which] : colorLimit(matrix);
    this[which].view.show(matrix, { limit, blocks: block && { p: block } });
    this.bars[which].set(limit, short(limit));
  }

  #eigenvalues(circulant) {
    const spectra = circulant.spectra(),
      y = spectra.flatMap((one) => Array.from(magnitude(one)));
    this.spectrum = {
      y,
      phases: spectra.flatMap((one) => Array.from(phase(one))),
      each: spectra[0].re.length,
    };
    const blocks = spectra.length > 1 ? this.spectrum.each : null;
    this.eigen.view.show([{ y, phases: this.spectrum.phases, color: TINTS.circulant }], {
      low: 0,
      high: 1.05 * this.eigenHigh,
      blocks,
      xTitle: blocks ? "frequency, block after block" : "frequency",
    });
    this.turn.view.show(
      [{ y: this.spectrum.phases, phases: this.spectrum.phases, dots: true, color: TINTS.circulant }],
      {
        low: -Math.PI,
        high: Math.PI,
        blocks,
        xTitle: blocks ? "frequency, block after block" : "frequency",
        yTicks: [-Math.PI, 0, Math.PI],
        yText: degrees,
      },
    );
    this.eigen.title(`|FFT(${symbol(2 * this.shownCirculant + 1)})|`);
    this.eigen.note(blocks ? "each block's eigenvalues" : "the circulant's eigenvalues");
  }

  #atFrequency(k) {
    const text = this.eigenvalue(k);
    for (const one of [this.eigen, this.turn]) {
      one.view.point(k, false);
      one.say(text);
    }
  }

  eigenvalue(k) {
    if (k === null || !this.spectrum) return "";
    const { y, phases, each } = this.spectrum;
    if (y[k] === undefined) return "";
    const block = y.length > each ? `block ${Math.floor(k / each)}, ` : "";
    return `${block}frequency ${k % each}: |λ| = ${short(y[k])}, turned by ${degrees(phases[k])}`;
  }

  point(cursor) {
    if (!cursor || !this.layer) {
      for (const view of [this.circulant, this.update, this.beside]) view.say("");
      return;
    }
    const { i, j } = cursor,
      inside = (matrix) => matrix && i < matrix.rows && j < matrix.cols;
    if (this.lines.length) {
      const circulant = this.circulant.view.matrix;
      this.circulant.say(
        inside(circulant) ? explainCirculant(this.layer, this.shownCirculant, this.t, i, j) : "",
      );
    }
    this.update.say(inside(this.update.view.matrix) ? explainUpdate(this.layer, this.t, i, j) : "");
    if (this.other)
      this.beside.say(
        inside(this.beside.view.matrix)
          ? explainUpdate(this.other, this.other.nearest(this.layer.steps[this.t]), i, j)
          : "",
      );
  }

  fileName() {
    return `${this.layer.run.label}_${this.layer.module}_step_${this.layer.steps[this.t]}`.replace(
      /[^\w.-]+/g,
      "_",
    );
  }
}
