// Cards below the chart: the result, failures with their causes, and notes.

import { h, keyed, paragraphs } from "../shared/dom.js";
import { jobLines } from "./job.js";
import { titleOf } from "./run_model.js";

/** @import { Note } from "../payloads.js" */
/** @import { Run } from "./run_model.js" */

/**
 * "Sentence one. The rest." -> ["Sentence one.", "The rest."]
 * @param {string} text
 */
function sentences(text) {
  const end = text.search(/[.!?:]\s+\S/);
  return end < 0 ? [text, ""] : [text.slice(0, end + 1), text.slice(end + 1).trim()];
}

/**
 * "a", "a and b", or "a, b and c".
 * @param {string[]} parts
 */
const listed = (parts) => [parts.slice(0, -1).join(", "), parts.at(-1)].filter(Boolean).join(" and ");

/**
 * One card for all runs that failed for the same reason.
 * @param {Run[]} runs
 */
function failure(runs) {
  const [what, why] = sentences(runs[0].reason ?? "The run failed without a message.");
  const title = `${listed(runs.map(titleOf))} failed`;
  return h(
    "article",
    { class: "card failure", "aria-label": title },
    h("h3", {}, title),
    h("p", { class: "what" }, what),
    why ? h("p", {}, why) : null,
    h("p", { class: "quiet" }, "Your settings are unchanged. Fix the cause above and start again."),
    h(
      "details",
      {},
      h("summary", {}, "Details"),
      h(
        "dl",
        {},
        ...runs
          .flatMap((run) => [
            ["Run", run.id],
            ["Step", `${run.step} of ${run.total_steps ?? "?"}`],
            ["Device", run.device ?? "none yet"],
            ["Settings", JSON.stringify(run.settings)],
          ])
          .flatMap(([name, value]) => [h("dt", {}, name), h("dd", {}, value)]),
      ),
    ),
  );
}

/**
 * One card for all runs that were interrupted for the same reason.
 * @param {Run[]} runs
 */
function interruption(runs) {
  const [run, ...others] = runs;
  const were = others.length ? "were interrupted" : `was interrupted at step ${run.step}`;
  const title = `${listed(runs.map(titleOf))} ${were}`;
  return h(
    "article",
    { class: "card", "aria-label": title },
    h("h3", {}, title),
    h("p", {}, run.reason ?? "The server stopped while this run was training."),
  );
}

/**
 * A card for each reason that runs in this state have.
 * @param {Run[]} runs
 * @param {Run["state"]} state
 * @param {(runs: Run[]) => HTMLElement} card
 */
const byReason = (runs, state, card) =>
  Object.values(
    Object.groupBy(
      runs.filter((run) => run.state === state),
      (run) => run.reason ?? "",
    ),
  ).map((same) => card(same ?? []));

/** The cards for these runs; one that somebody has opened stays while others come and go. */
export class Cards {
  constructor() {
    this.node = h("div", { class: "cards" });
    this.fill = keyed(this.node);
    this.key = "";
    /** @type {string[]} what the judge says, once the race is over */
    this.verdict = [];
  }

  /** @param {Run[]} runs */
  show(runs) {
    const states = runs.map((run) => [run.id, run.state, run.reason, run.notes.length, run.job?.address]);
    const key = JSON.stringify([states, this.verdict]);
    if (key === this.key) return;
    this.key = key;
    const notes = runs.flatMap((run) => run.notes.map((note) => ({ run, note })));
    const different = notes.filter(
      ({ note }, index) => notes.findIndex(({ note: other }) => other.text === note.text) === index,
    );
    const cards = [
      ...(this.verdict.length ? [h("div", { class: "outcome" }, ...paragraphs(this.verdict))] : []),
      ...jobLines(runs),
      ...byReason(runs, "failed", failure),
      ...byReason(runs, "interrupted", interruption),
      ...(different.length
        ? [
            h(
              "ul",
              { class: "notes", "aria-label": "Notes" },
              different.map(({ run, note }) =>
                h(
                  "li",
                  { class: note.level },
                  runs.length > 1 && notes.filter(({ note: other }) => other.text === note.text).length === 1
                    ? `${titleOf(run)}: ${note.text}`
                    : note.text,
                ),
              ),
            ),
          ]
        : []),
    ];
    this.fill(cards.map((card) => [card.outerHTML, () => card]));
  }
}
