// What each method's model writes to the same prompts, at the snapshot that a slider points at.

import { h, setText } from "../shared/dom.js";

/** @import { Run } from "./run_model.js" */

/**
 * The steps of all snapshots, in their order.
 * @param {Run[]} runs
 */
export function snapshots(runs) {
  const steps = runs.flatMap((run) => (run.answers ?? []).map(({ step }) => step));
  return [...new Set(steps)].sort((one, other) => one - other);
}

/**
 * The latest snapshot of a run that is no later than a step.
 * @param {Run} run
 * @param {number} step
 */
export const answersAt = (run, step) => (run.answers ?? []).filter((one) => one.step <= step).at(-1);

export class AnswerStrip {
  constructor() {
    /** @type {Run[]} */
    this.runs = [];
    this.follows = true; // the newest snapshot, until somebody scrubs back
    this.drawn = "";
    this.step = h("output", { class: "at" });
    this.slider = h("input", {
      type: "range",
      min: 0,
      value: 0,
      "aria-label": "Snapshot whose answers are shown",
      oninput: () => {
        this.follows = this.slider.value === this.slider.max;
        this.draw();
      },
    });
    this.head = h("tr");
    this.body = h("tbody");
    const table = h(
      "div",
      { class: "table-scroll wide", tabindex: "0", role: "region", "aria-label": "Answers while training" },
      h("table", { class: "answer-strip" }, h("thead", {}, this.head), this.body),
    );
    this.node = h(
      "section",
      { class: "answers-while-training", hidden: true },
      h("h3", {}, "The answers change"),
      h("div", { class: "scrub" }, this.slider, this.step),
      table,
    );
  }

  /** @param {Run[]} race */
  show(race) {
    this.runs = race.filter((run) => run.answers?.length);
    this.node.hidden = this.runs.length === 0;
    const last = Math.max(0, snapshots(this.runs).length - 1);
    this.slider.max = String(last);
    if (this.follows) this.slider.value = String(last);
    this.draw();
  }

  draw() {
    const steps = snapshots(this.runs);
    const step = steps[Number(this.slider.value)] ?? 0;
    const said = this.runs.map((run) => answersAt(run, step));
    const drawn = JSON.stringify([step, this.runs.map((run) => run.label), said]);
    if (drawn === this.drawn) return;
    this.drawn = drawn;
    const told = step === 0 ? "Before training" : `After step ${step}`;
    setText(this.step, told);
    this.slider.setAttribute("aria-valuetext", told);
    const heads = ["Prompt", ...this.runs.map((run) => run.label)];
    this.head.replaceChildren(...heads.map((text) => h("th", { scope: "col" }, text)));
    const prompts = this.runs[0]?.answers?.[0].prompts ?? [];
    this.body.replaceChildren(
      ...prompts.map((prompt, place) =>
        h(
          "tr",
          {},
          h("th", { scope: "row" }, prompt),
          said.map((one) => h("td", {}, one?.answers[place] ?? "…")),
        ),
      ),
    );
  }
}
