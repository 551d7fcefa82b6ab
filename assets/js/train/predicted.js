// What was promised of each finished run before it began, beside what was measured.

import { h, swatch } from "../shared/dom.js";
import { amount, clockWithUnit, times } from "../shared/format.js";
import { exports, table } from "../shared/table.js";
import { titleOf } from "./run_model.js";

/** @import { Estimate, Forecast } from "../payloads.js" */
/** @import { Kind } from "../shared/format.js" */
/** @import { Styles } from "../shared/plotly_types.js" */
/** @import { Run } from "./run_model.js" */

/** @typedef {Run & {forecast: Forecast}} Promised */
/** @typedef {Exclude<keyof Forecast, "device" | "counted" | "evaluating">} Key */
/** @typedef {readonly [key: Key, title: string, kind: Kind, hint: string]} Quantity */

/** @type {Quantity[]} */
const QUANTITIES = [
  ["trainable_parameters", "Parameters", "count", "Numbers that the method trains, without the head's."],
  [
    "adapter_bytes",
    "On disk",
    "bytes",
    "What is kept of the run: its safetensors file, the trained head included.",
  ],
  ["seconds", "Training", "seconds", "Seconds of training steps alone."],
  ["whole_seconds", "Start to end", "seconds", "Seconds with loading and all evaluations."],
  [
    "peak_memory_bytes",
    "Peak memory",
    "bytes",
    "The largest size of the whole process; on a GPU, what was allocated there.",
  ],
];

/**
 * Written as `largest` is: both ends of a range on a clock, or neither.
 * @param {Kind} kind
 * @param {number | null | undefined} value
 * @param {number} [largest]
 */
function formatted(kind, value, largest) {
  if (value === null || value === undefined) return "–";
  return kind === "seconds" && (largest ?? value) >= 100 ? clockWithUnit(value) : amount(kind, value);
}

/**
 * @param {Run} run
 * @returns {run is Promised}
 */
const isPromised = (run) => Boolean(run.forecast);

/**
 * Both ends, with the minutes named once.
 * @param {Pick<Estimate, "low" | "high">} estimate
 * @param {Kind} kind
 */
export function rangeText({ low, high }, kind) {
  const [from, to] = [formatted(kind, low, high), formatted(kind, high)];
  return `${to.endsWith(" min") ? from.replace(/ min$/, "") : from} to ${to}`;
}

/**
 * @param {Estimate | null | undefined} promised
 * @param {number | null | undefined} measured
 * @returns {[string, string]}
 */
function ratio(promised, measured) {
  if (!promised || !promised.value || measured === null || measured === undefined) return ["–", ""];
  const within = measured >= promised.low && measured <= promised.high;
  return [measured === promised.value ? "exact" : times(measured / promised.value), within ? "" : "outside"];
}

/**
 * @param {Promised} run
 * @param {Quantity} quantity
 */
function line(run, [key, title, kind, hint]) {
  const promised = run.forecast[key];
  const [text, state] = ratio(promised, run[key]);
  return [
    { text: title, title: hint },
    {
      text: [
        formatted(kind, promised?.value),
        promised && promised.low !== promised.high
          ? h("span", { class: "range" }, rangeText(promised, kind))
          : null,
      ],
      title: promised?.how ?? "Nothing was promised: nothing had run on this device before.",
    },
    formatted(kind, run[key]),
    {
      text: [text, state ? h("span", { class: "range" }, "out of range") : null],
      title: state ? "Outside the range that was promised." : null,
      class: state,
    },
  ];
}

/**
 * In words what the table's cells say to a pointer alone.
 * @param {Promised} run
 */
function reasons(run) {
  const entries = QUANTITIES.flatMap(([key, title]) => {
    const promised = run.forecast[key];
    return promised ? [h("dt", {}, title), h("dd", {}, promised.how)] : [];
  });
  return h("div", { class: "reasons" }, h("h4", {}, titleOf(run)), h("dl", {}, entries));
}

export class Predicted {
  /** @param {Styles} styles */
  constructor(styles) {
    this.styles = styles;
    /** @type {Run[]} */
    this.runs = [];
    this.key = "";
    this.table = table({ label: "Predicted and measured", class: "promises" });
    this.howTitle = h("summary", {}, "How each was forecast");
    this.how = h("details", {}, this.howTitle);
    this.without = h("p", { class: "quiet" });
    this.exports = exports("Predicted and measured", () => this.rows());
    this.node = h(
      "details",
      { class: "predicted", hidden: true },
      h("summary", {}, "Predicted and measured"),
      this.table.node,
      this.how,
      this.without,
      this.exports,
    );
  }

  /** @param {Run[]} runs */
  show(runs) {
    this.runs = runs.filter((run) => run.state === "finished");
    this.node.hidden = this.runs.length === 0;
    const key = this.runs.map((run) => run.id).join();
    if (key === this.key) return;
    this.key = key;
    const known = this.runs.filter(isPromised);
    const lacking = this.runs.filter((run) => !run.forecast).map(titleOf);
    this.table.node.hidden = known.length === 0;
    this.table.fill(
      ["", "Forecast", "Measured", "Measured / forecast"],
      known.map((run) => ({
        head: h(
          "span",
          { class: "method-cell" },
          swatch(this.styles[run.method]),
          h("span", {}, titleOf(run)),
        ),
        class: "of",
        rows: QUANTITIES.map((quantity) => line(run, quantity)),
      })),
      "What was promised before the start, by formula and by earlier runs, and what came.",
    );
    this.how.hidden = known.length === 0;
    this.how.replaceChildren(this.howTitle, ...known.map(reasons));
    this.without.textContent = lacking.length ? `Started without a forecast: ${lacking.join(", ")}.` : "";
    this.exports.hidden = known.length === 0;
  }

  rows() {
    return this.runs.filter(isPromised).flatMap((run) =>
      QUANTITIES.map(([key, , kind]) => {
        const promised = run.forecast[key];
        return {
          run: run.id,
          method: titleOf(run),
          quantity: key,
          unit: kind === "count" ? "numbers" : kind,
          forecast: promised?.value ?? null,
          low: promised?.low ?? null,
          high: promised?.high ?? null,
          measured: run[key] ?? null,
          how: promised?.how ?? null,
        };
      }),
    );
  }
}
