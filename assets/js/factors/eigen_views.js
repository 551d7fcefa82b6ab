// The eigenvalues of a circulant: their moduli and their phases, by frequency.

import { h } from "../shared/dom.js";
import { magnitude } from "../shared/fft.js";
import { short } from "../shared/format.js";
import { LinePlot } from "../shared/line_plot.js";
import { symbol } from "./data.js";
import { panel } from "./panels.js";
import { COLORS } from "./vector_views.js";
import { polar } from "./waves.js";

/** @import { BlockCirculant } from "../shared/circulant.js" */
/** @import { Polar } from "./waves.js" */

/** @param {number} angle in radians */
export const degrees = (angle) => `${short(Math.round((angle * 180) / Math.PI))}°`;

/**
 * The largest modulus of a circulant's eigenvalues.
 * @param {BlockCirculant} circulant
 */
export const largestModulus = (circulant) =>
  Math.max(...circulant.spectra().map((one) => Math.max(...magnitude(one))));

export class EigenViews {
  /** @type {Polar | undefined} blocks one after another */
  #spectrum;

  /**
   * `onfrequency(k)` is called with the frequency under the pointer, or null.
   * @param {(what: string) => string} fileName
   * @param {(k: number | null) => void} onfrequency
   */
  constructor(fileName, onfrequency) {
    this.onfrequency = onfrequency;
    this.moduli = this.#panel("|FFT(c)|", "Modulus", () => fileName("moduli"));
    this.phases = this.#panel("Phase", "Phase", () => fileName("phases"), "same colors");
    this.node = h("div", { class: "spectra" }, this.moduli.node, this.phases.node);
  }

  /**
   * @param {string} title
   * @param {string} what
   * @param {() => string} name
   * @param {string} [note]
   */
  #panel(title, what, name, note) {
    const label = `${what} of the circulant's eigenvalues, by frequency`;
    return panel(title, new LinePlot({ label, height: 165, onmove: (k) => this.#point(k) }), { name, note });
  }

  /**
   * @param {BlockCirculant} circulant
   * @param {number} number of the circulant in its layer
   * @param {number} high the largest modulus that the axis must hold
   */
  show(circulant, number, high) {
    const { modulus: y, phases, each } = (this.#spectrum = polar(circulant.spectra())),
      blocks = y.length > each ? each : null,
      xTitle = blocks ? "frequency, block after block" : "frequency";
    this.moduli.view.show([{ y, phases, color: COLORS.circulant }], { low: 0, high, blocks, xTitle });
    this.phases.view.show([{ y: phases, phases, dots: true, color: COLORS.circulant }], {
      low: -Math.PI,
      high: Math.PI,
      blocks,
      xTitle,
      yTicks: [-Math.PI, 0, Math.PI],
      yText: degrees,
    });
    this.moduli.title(`|FFT(${symbol(2 * number + 1)})|`);
    this.moduli.note(blocks ? "each block's eigenvalues" : "the circulant's eigenvalues");
  }

  /** @param {number | null} k */
  #point(k) {
    const text = this.#eigenvalue(k);
    for (const one of [this.moduli, this.phases]) {
      one.view.point(k, false);
      one.say(text);
    }
    this.onfrequency(text ? k : null);
  }

  /** @param {number | null} k */
  #eigenvalue(k) {
    if (k === null || !this.#spectrum) return "";
    const { modulus: y, phases, each } = this.#spectrum;
    if (y[k] === undefined) return "";
    const block = y.length > each ? `block ${Math.floor(k / each)}, ` : "";
    return `${block}frequency ${k % each}: |λ| = ${short(y[k])}, turned by ${degrees(phases[k])}`;
  }
}
