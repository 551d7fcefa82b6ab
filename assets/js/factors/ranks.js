// Singular values of the update, beside those of the other methods on the same layer, and the numbers in a table.

import { h, swatch } from "../shared/dom.js";
import { count, short } from "../shared/format.js";
import { LinePlot } from "../shared/line_plot.js";
import { decode } from "./data.js";
import { panel } from "./panels.js";

const DASH = { dash: [6, 3], dot: [2, 3], dashdot: [6, 3, 2, 3], longdash: [10, 3] };
const HEADS = [
  ["Method", null],
  ["Step", "The training step after which these numbers were taken"],
  ["Numbers trained", "How many numbers of this layer training may change"],
  ["‖ΔW‖", "Size of the change: the square root of the sum of its squared entries (Frobenius norm)"],
  ["of ‖W‖", "That size in percent of the same norm of the pretrained weights"],
  ["Effective rank", "About how many directions carry the change, out of the most that this layer has"],
];
const DEPTH = 1e-5; // how far under the largest value the axis reaches

export class Ranks {
  constructor(lines) {
    this.lines = lines;
    this.panel = panel(
      "Singular values of ΔW",
      new LinePlot({
        label: "Singular values of the weight update in descending order",
        height: 240,
        onmove: (k) => this.panel.say(this.under(k)),
      }),
      { name: () => this.name() },
    );
    this.legend = h("p", { class: "legend" });
    this.panel.node.append(this.legend);
    this.table = h("table", { class: "numbers compare" });
    this.node = h(
      "div",
      { class: "row ranks" },
      this.panel.node,
      h(
        "figure",
        { class: "panel" },
        h("figcaption", {}, h("h3", {}, "In numbers"), h("span", { class: "note" }, "this layer")),
        h(
          "div",
          { class: "table-scroll", tabindex: "0", role: "region", "aria-label": "This layer in numbers" },
          this.table,
        ),
        h(
          "p",
          { class: "quiet" },
          "Effective rank: about how many directions carry the change. It is r when r singular values are equal and the others zero, and less the more uneven they are (exp of the entropy of their shares).",
        ),
      ),
    );
  }

  /** Begin with a layer; `take` and `compare` bring the numbers as they come. */
  show(layer, weight) {
    Object.assign(this, { layer, weight, own: null, others: [] });
    this.t = layer.steps.length - 1;
  }

  take(answer) {
    this.own = answer.reason ? answer : unpack(answer);
    this.draw();
  }

  /** Another run's same layer: {run, answer, parameters}. */
  compare(run, answer, parameters) {
    this.others.push({ run, parameters, ...(answer.reason ? answer : unpack(answer)) });
    this.draw();
  }

  at(t) {
    this.t = t;
    this.draw();
  }

  /** Own numbers at the snapshot that is shown. */
  get place() {
    return this.own?.steps?.indexOf(this.layer.steps[this.t]) ?? -1;
  }

  draw() {
    const { layer, own } = this;
    if (!layer) return;
    const shown = this.others.filter(({ rows }) => rows);
    const values = this.place >= 0 ? own.rows[this.place] : null;
    const high = Math.max(
      1e-12,
      ...(own?.rows ?? []).map(([largest]) => largest),
      ...shown.map(({ rows }) => rows.at(-1)[0]),
    );
    const line = (run) => ({
      color: this.lines[run.method].line.color,
      dash: DASH[this.lines[run.method].line.dash] ?? [],
    });
    const series = [
      ...shown.map(({ run, rows }) => ({ y: rows.at(-1), ...line(run), width: 1.6 })),
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
    this.legend.replaceChildren(
      ...[{ run: layer.run }, ...shown].map(({ run }) =>
        h(
          "span",
          {},
          swatch(this.lines[run.method]),
          run === layer.run ? `${run.label}, this step` : `${run.label}, last step`,
        ),
      ),
    );
    this.#numbers();
  }

  #numbers() {
    const { layer, own, weight } = this,
      at = this.place;
    const rows = [
      {
        run: layer.run,
        parameters: layer.parameters,
        norm: at >= 0 ? own.norm[at] : null,
        rank: at >= 0 ? own.effective_rank[at] : null,
        step: layer.steps[this.t],
      },
      ...this.others.map((other) => ({
        run: other.run,
        parameters: other.parameters,
        norm: other.norm?.at(-1) ?? null,
        rank: other.effective_rank?.at(-1) ?? null,
        step: other.steps?.at(-1),
      })),
    ];
    const cell = (text) => h("td", {}, text);
    this.table.replaceChildren(
      h(
        "thead",
        {},
        h(
          "tr",
          {},
          HEADS.map(([text, hint]) => h("th", { scope: "col", title: hint }, text)),
        ),
      ),
      h(
        "tbody",
        {},
        rows.map(({ run, parameters, norm, rank, step }) =>
          h(
            "tr",
            {},
            h("td", {}, run.label),
            cell(step ?? ""),
            cell(count(parameters)),
            cell(norm === null ? "" : short(norm)),
            cell(norm !== null && weight ? `${short((100 * norm) / weight)} %` : "unknown"),
            cell(rank === null ? "not computed" : `${short(rank)} of ${Math.min(layer.d_out, layer.d_in)}`),
          ),
        ),
      ),
    );
  }

  under(k) {
    if (k === null || this.place < 0) return "";
    return `σ of place ${k + 1} = ${short(this.own.rows[this.place][k])}${this.others
      .filter(({ rows }) => rows)
      .map(({ run, rows }) => ` · ${run.label} ${short(rows.at(-1)[k])}`)
      .join("")}`;
  }

  name() {
    return `${this.layer.module}_singular_values_step_${this.layer.steps[this.t]}`.replace(/[^\w.-]+/g, "_");
  }
}

function unpack(answer) {
  const all = decode(answer.values);
  return {
    ...answer,
    rows: answer.steps.map((_, t) => all.subarray(t * answer.count, (t + 1) * answer.count)),
  };
}
