// The answer to which method to take: one sentence, one table, and folded below what stands behind them.

import { find, fold, h, paragraphs, setText, swatch } from "../shared/dom.js";
import { unbroken } from "../shared/format.js";
import { exports, table } from "../shared/table.js";
import { isShown, whenShown } from "../shared/shown.js";

/** @import { Costs, CostsFixed, CostsView, Circumstances } from "../payloads.js" */
/** @import { Part } from "../shared/part.js" */

const TOGETHER = 600; // seconds within which one measurement is done
const BUSY = 0.1;

/** When and where steps were measured, in a line that keeps up with the clock. */
class Age {
  /** @param {AbortSignal} life */
  constructor(life) {
    /** @type {Circumstances | null} */
    this.measured = null;
    this.node = h("p", { class: "quiet age" });
    const clock = setInterval(() => this.redraw(), 30_000);
    life.addEventListener("abort", () => clearInterval(clock));
  }

  /** @param {Circumstances | null} measured */
  show(measured) {
    this.measured = measured;
    this.redraw();
  }

  redraw() {
    if (!this.measured) {
      setText(this.node, "Step time and peak memory are not measured on this machine yet.");
      return;
    }
    const { device, first, last, others } = this.measured;
    const together =
      last - first < TOGETHER
        ? `measured ${ago(last)} on ${device}.`
        : `measured on ${device}, some ${ago(first)}, some ${ago(last)}; measure again to have all at once.`;
    const busy =
      others < BUSY
        ? ""
        : ` Other programs took up to ${Math.round(100 * others)} % of the processor meanwhile: these times are too long.`;
    setText(this.node, `Step time and peak memory: ${together}${busy}`);
  }
}

/** @param {number} time in seconds since 1970 */
function ago(time) {
  const minutes = Math.round((Date.now() / 1000 - time) / 60);
  if (minutes < 1) return "just now";
  return minutes < 100
    ? `${minutes} min ago`
    : minutes < 2880
      ? `${Math.round(minutes / 60)} hours ago`
      : `${Math.round(minutes / 1440)} days ago`;
}

/** @param {Part<CostsView | null, CostsFixed>} part */
export function mount({ element, props, life }) {
  const title = h("h2", {});
  const origin = h("p", { class: "origin" });
  const problem = h("p", { class: "problem", role: "alert" });
  const sentence = h("p", { class: "answer", "aria-live": "polite" });
  const needs = table({ label: "What each method needs", class: "scoreboard answers" });
  const unavailable = h("div", { class: "quiet age" });
  const notes = h("div", { class: "seen" });
  const memory = table({ label: "Memory of a step" });
  const devices = table({ label: "Devices" });
  const assumptions = h("ul", { class: "assumptions" });
  const age = new Age(life);
  const current = () => props.value || props.first;
  /** @type {CostsView | null} */
  let drawn = null;

  const answer = h(
    "div",
    {},
    h("div", { class: "run-head" }, title, origin),
    sentence,
    needs.node,
    unavailable,
    h(
      "div",
      { class: "answer-folds" },
      fold("Memory", memory.node),
      fold("Assumptions", notes, assumptions, devices.node, age.node),
      fold(
        "Save",
        exports("costs", () => current().shown?.rows ?? []),
      ),
    ),
  );
  find(element, ".mount").replaceChildren(problem, answer);

  /** @param {Costs} shown */
  function fillTable({ methods, answers }) {
    needs.element.style.setProperty("--methods", String(methods.length));
    needs.fill(
      [
        "",
        ...methods.map(({ method, label }) =>
          h("span", { class: "method-cell" }, swatch(props.lines[method]), h("span", {}, label)),
        ),
      ],
      answers.map(({ key, title: name, hint, texts, best }) => ({
        class: key,
        cells: [
          { text: name, title: hint },
          ...texts.map((text, at) => ({
            text: unbroken(text ?? "–"),
            class: best[at] ? "best" : null,
          })),
        ],
      })),
    );
    const reasons = methods.flatMap(({ label, unavailable: reason, refused }) =>
      reason ? `${label}: ${reason}` : refused ? `${label} cannot be measured here. ${refused}` : [],
    );
    const missing = methods.filter((one) => one.unavailable);
    unavailable.replaceChildren(...missing.map((one) => h("p", {}, `${one.label}: ${one.unavailable}`)));
    return reasons;
  }

  /** @param {Costs} shown */
  function fillMemory({ memory: terms, rows, methods }) {
    const available = methods.filter(({ unavailable: reason }) => !reason);
    memory.fill(
      ["Memory of a step", ...available.map(({ label }) => label), "Formula"],
      rows.length ? terms.map(({ title: name, formula, texts }) => amounts([name, ...texts, formula])) : [],
    );
  }

  function show() {
    if (!isShown(element) || drawn === current()) return;
    drawn = current();
    const { shown, problem: refused } = drawn;
    setText(problem, refused ?? "");
    answer.hidden = !shown; // what was answered before was about something else
    if (!shown) return;
    setText(title, shown.title);
    setText(origin, shown.subtitle);
    sentence.replaceChildren(...paragraphs([shown.sentence])[0].childNodes);
    const reasons = fillTable(shown);
    notes.replaceChildren(...paragraphs([...shown.matched, ...reasons]));
    fillMemory(shown);
    age.show(shown.measured);
    assumptions.replaceChildren(...shown.assumptions.map((text) => h("li", {}, text)));
    devices.fill(
      ["Device", "Bandwidth", "bfloat16", "Source"],
      shown.devices.map((one) => amounts([one.title, one.bandwidth, one.bfloat16, one.source])),
    );
  }

  whenShown(element, show);
  return { update: show };
}

/** @param {string[]} cells */
const amounts = (cells) => cells.map(unbroken);
