// Singular values of the update, beside those of the other methods on the same layer, and the numbers in a table.

import { dashes, h, legend } from "../shared/dom.js";
import { count, percent, short } from "../shared/format.js";
import { LinePlot } from "../shared/line_plot.js";
import { decode } from "./data.js";
import { table } from "../shared/table.js";
import { fileName } from "../shared/download.js";
import { panel } from "./panels.js";

/** @import { InspectedRun, NoSingularValues, OpenedRun, SingularValues } from "../payloads.js" */
/** @import { Styles } from "../shared/plotly_types.js" */
/** @import { LayerData } from "./data.js" */

/** @type {[string, string | null][]} */
const COLUMNS = [
  ["Method", null],
  ["Step", "Training step of these values"],
  ["Trainable parameters", "Trainable parameters of this layer"],
  ["‖ΔW‖", "Frobenius norm of the weight update"],
  ["of ‖W‖", "Frobenius norm of the weight update, in percent of that of the base weight"],
  ["Effective rank", "Effective rank of the update, of the full rank of this layer"],
];
/** @typedef {Pick<SingularValues, "steps" | "effective_rank" | "norm"> & {rows: Float32Array[], reason?: string}} Unpacked */
/** @typedef {Unpacked & {run: OpenedRun, parameters: number}} Companion another run's same layer */

const DEPTH = 1e-5; // how far under the largest value the axis reaches

export class Ranks {
  /** @param {Styles} lines */
  constructor(lines) {
    this.lines = lines;
    /** @type {LayerData | undefined} */
    this.layer = undefined;
    /** @type {number | undefined} the norm of the frozen weight */
    this.weight = undefined;
    /** @type {Unpacked | null} the shown run's own */
    this.own = null;
    /** @type {Companion[]} */
    this.others = [];
    this.t = 0;
    this.panel = panel(
      "Singular values of ΔW",
      new LinePlot({
        label: "Singular values of the weight update in descending order",
        height: 240,
        onmove: (k) => this.panel.say(this.cursorText(k)),
      }),
      { name: () => this.name() },
    );
    this.legend = legend("Lines");
    const meaning = h(
      "p",
      { class: "quiet" },
      "ΔW = Σ σₖ uₖ vₖᵀ with orthonormal uₖ and vₖ. The rank is the number of singular values σₖ above zero.",
    );
    this.panel.node.append(this.legend.node, meaning);
    this.table = table({ label: "This layer in numbers", class: "numbers compare", tall: false });
    this.node = h(
      "div",
      { class: "row ranks" },
      this.panel.node,
      h(
        "figure",
        { class: "panel" },
        h("figcaption", {}, h("h3", {}, "Comparison"), h("span", { class: "note" }, "this layer")),
        this.table.node,
        h(
          "p",
          { class: "quiet" },
          "Effective rank: about how many directions carry the change. It is r when r singular values are equal and the others zero, and less the more uneven they are (exp of the entropy of their shares).",
        ),
      ),
    );
  }

  /**
   * Begin with a layer; `take` and `compare` bring the numbers as they come.
   * @param {LayerData} layer
   * @param {number | undefined} weight
   */
  show(layer, weight) {
    this.layer = layer;
    this.weight = weight;
    this.own = null;
    this.others = [];
    this.t = layer.steps.length - 1;
  }

  /** Stop waiting for numbers of this layer, which the server has refused. */
  end() {
    if (this.layer && !this.own) this.take({ reason: "not computed" });
  }

  /** @param {SingularValues | NoSingularValues} answer */
  take(answer) {
    this.own = unpack(answer);
    this.draw();
  }

  /**
   * Another run's same layer: {run, answer, parameters}.
   * @param {OpenedRun} run
   * @param {SingularValues | NoSingularValues} answer
   * @param {number} parameters
   */
  compare(run, answer, parameters) {
    this.others.push({ run, parameters, ...unpack(answer) });
    this.draw();
  }

  /** @param {number} t */
  at(t) {
    this.t = t;
    this.draw();
  }

  /** Own numbers at the snapshot that is shown. */
  get place() {
    return this.layer && this.own ? this.own.steps.indexOf(this.layer.steps[this.t]) : -1;
  }

  draw() {
    const { layer, own } = this;
    if (!layer) return;
    const shown = this.others.filter(({ rows }) => rows.length);
    const values = own && this.place >= 0 ? own.rows[this.place] : null;
    const high = Math.max(
      1e-12,
      ...(own?.rows ?? []).map(([largest]) => largest),
      ...shown.map(({ rows }) => rows[rows.length - 1][0]),
    );
    const line = (/** @type {InspectedRun} */ { method }) => {
      const { color, dash } = this.lines[method].line;
      return { color, dash: dashes(dash) };
    };
    const series = [
      ...shown.map(({ run, rows }) => ({ y: rows[rows.length - 1], ...line(run), width: 1.6 })),
      ...(values ? [{ y: values, ...line(layer.run), width: 2.4 }] : []),
    ];
    const alone = layer.method !== "lora" && !shown.some(({ run }) => run.method === "lora");
    this.panel.view.show(series, {
      log: true,
      low: high * DEPTH,
      high: high * 1.6,
      xTitle: "place in the order, from the largest",
      first: 1,
      last: Math.min(layer.d_out, layer.d_in) - 1,
      marks: alone ? [{ x: 7, text: "LoRA with r = 8 ends here", color: "var(--method-lora)" }] : [],
    });
    this.panel.note(
      own?.reason ??
        (values && !values[0] ? "ΔW is zero here: training has not begun" : own ? "" : "computing …"),
    );
    this.legend.show(
      [{ run: layer.run }, ...shown].map(({ run }) => ({
        style: this.lines[run.method],
        text: run === layer.run ? `${run.label}, this step` : `${run.label}, last step`,
      })),
    );
    this.#numbers(layer);
  }

  /** @param {LayerData} layer */
  #numbers(layer) {
    const { own, weight } = this,
      at = this.place;
    const rows = [
      {
        run: layer.run,
        parameters: layer.parameters,
        norm: own && at >= 0 ? own.norm[at] : null,
        rank: own && at >= 0 ? own.effective_rank[at] : null,
        step: layer.steps[this.t],
      },
      ...this.others.map((other) => ({
        run: other.run,
        parameters: other.parameters,
        norm: other.norm.at(-1) ?? null,
        rank: other.effective_rank.at(-1) ?? null,
        step: other.steps.at(-1),
      })),
    ];
    this.table.fill(
      COLUMNS.map(([text, title]) => ({ text, title })),
      rows.map(({ run, parameters, norm, rank, step }) => [
        run.label,
        step ?? "",
        count(parameters),
        norm === null ? "" : short(norm),
        norm !== null && weight ? percent(norm / weight) : "unknown",
        rank === null ? "not computed" : `${short(rank)} of ${Math.min(layer.d_out, layer.d_in)}`,
      ]),
    );
  }

  /** @param {number | null} k */
  cursorText(k) {
    if (k === null || !this.own || this.place < 0) return "";
    const others = this.others.filter(({ rows }) => rows.length);
    return [
      `σ of place ${k + 1} = ${short(this.own.rows[this.place][k])}`,
      ...others.map(({ run, rows }) => `${run.label} ${short(rows[rows.length - 1][k])}`),
    ].join(" · ");
  }

  name() {
    const { module = "", steps = [] } = this.layer ?? {};
    return fileName(`${module}_singular_values_step_${steps[this.t]}`);
  }
}

/**
 * @param {SingularValues | NoSingularValues} answer
 * @returns {Unpacked}
 */
function unpack(answer) {
  if ("reason" in answer) return { steps: [], effective_rank: [], norm: [], rows: [], reason: answer.reason };
  const all = decode(answer.values);
  return {
    ...answer,
    rows: answer.steps.map((_, t) => all.subarray(t * answer.count, (t + 1) * answer.count)),
  };
}
