// What each method's model writes to the same prompts, at the snapshot that a slider or the curves' cursor points at.

import { h, setText, textButton } from "../shared/dom.js";
import { table } from "../shared/table.js";
import { legend, written } from "../shared/tokens.js";

/** @import { Run } from "./run_model.js" */

const FRAME = 900; // milliseconds a snapshot, long enough to read a line or two

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
  /** @param {(step: number | null) => void} onstep told which step is shown; null: the newest, as it comes */
  constructor(onstep) {
    this.onstep = onstep;
    /** @type {Run[]} */
    this.runs = [];
    this.follows = true; // the newest snapshot, until somebody scrubs back
    /** @type {number | null} */
    this.cursor = null; // over the curves
    this.drawn = "";
    /** @type {number | undefined} */
    this.timer = undefined;
    this.step = h("output", { class: "at" });
    this.slider = h("input", {
      type: "range",
      min: 0,
      value: 0,
      "aria-label": "Snapshot whose answers are shown",
      oninput: () => {
        this.pause();
        this.set(Number(this.slider.value));
      },
    });
    this.button = textButton("Play", () => (this.playing ? this.pause() : this.play()));
    this.table = table({ label: "Answers while training", class: "answer-strip" });
    this.legend = h("div");
    this.node = h(
      "section",
      { class: "answers-while-training", hidden: true },
      h("h3", {}, "The answers change"),
      h("div", { class: "scrub" }, this.button, this.slider, this.step),
      this.table.node,
      this.legend,
    );
  }

  /** @param {Run[]} race */
  show(race) {
    this.runs = race.filter((run) => run.answers?.length);
    this.node.hidden = this.runs.length === 0;
    if (this.node.hidden) this.pause();
    const last = Math.max(0, snapshots(this.runs).length - 1);
    this.slider.max = String(last);
    if (this.follows) this.slider.value = String(last);
    this.draw();
  }

  /** Point at the newest snapshot again, as it comes: what was scrubbed to is of another race. */
  followNewest() {
    this.pause();
    this.follows = true;
  }

  /** @param {number} place of a snapshot */
  set(place) {
    this.slider.value = String(place);
    this.follows = this.slider.value === this.slider.max;
    this.onstep(this.follows ? null : (snapshots(this.runs)[place] ?? null));
    this.draw();
  }

  /**
   * Show the answers at a step while the cursor is there; null: it has gone, and the slider counts again.
   * @param {number | null} step
   */
  scrub(step) {
    if (step !== null) this.pause();
    this.cursor = step;
    this.draw();
  }

  get playing() {
    return this.timer !== undefined;
  }

  play() {
    const last = Number(this.slider.max);
    this.set(0);
    this.timer = setInterval(() => {
      const next = Number(this.slider.value) + 1;
      if (next <= last && this.node.isConnected) this.set(next);
      if (next >= last || !this.node.isConnected) this.pause();
    }, FRAME);
    setText(this.button, "Pause");
  }

  pause() {
    clearInterval(this.timer);
    this.timer = undefined;
    setText(this.button, "Play");
  }

  draw() {
    const steps = snapshots(this.runs);
    const { cursor } = this;
    const step =
      cursor === null ? (steps[Number(this.slider.value)] ?? 0) : (steps.findLast((at) => at <= cursor) ?? 0);
    const answers = this.runs.map((run) => answersAt(run, step));
    const drawn = JSON.stringify([step, this.runs.map((run) => run.label), answers]);
    if (drawn === this.drawn) return;
    this.drawn = drawn;
    const caption = step === 0 ? "Before training" : `After step ${step}`;
    setText(this.step, caption);
    this.slider.setAttribute("aria-valuetext", caption);
    const { prompts = [], right } = this.runs[0]?.answers?.[0] ?? {};
    const heads = ["Prompt", ...(right ? ["Right"] : []), ...this.runs.map((run) => run.label)];
    this.table.fill(
      heads,
      prompts.map((prompt, place) => [
        prompt,
        ...(right ? [right[place] ?? h("span", { class: "quiet" }, "your own")] : []),
        ...answers.map((one) =>
          one?.answers[place] === undefined
            ? "…"
            : written(one.answers[place], one.tokens?.[place], one.wrong?.[place]),
        ),
      ]),
    );
    const kept = answers.some((one) => one?.tokens?.length);
    this.legend.replaceChildren(
      ...(kept ? [legend(answers.some((one) => one?.wrong?.some((names) => names.length)))] : []),
    );
  }
}
