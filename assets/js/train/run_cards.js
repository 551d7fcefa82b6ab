// What stands under the chart: the outcome in a sentence, failures with their causes, notes.

import { h, keyed, paragraphs } from "../shared/dom.js";
import { isShare } from "../shared/format.js";
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

/** Share of all rows between two scores that tells more of the training than of the methods. */
const TOO_WIDE = 0.2;
const WIDE =
  "A gap so wide mostly means that one of them has hardly learned yet: give it more steps or another rate before you judge.";

/**
 * What the judge says of a race that is over; where one lags far behind, what that means.
 * @param {Run[]} runs
 * @param {string[]} verdict
 */
export function outcome(runs, verdict) {
  const rows = runs[0]?.settings?.train_examples;
  const scores = runs
    .filter((run) => run.settings?.train_examples === rows) // and not those that ask whether more would help
    .filter(
      (run) => run.state === "finished" && !run.overlay && run.method !== "head" && isShare(run.metric_name),
    )
    .flatMap(({ metric }) => (metric === null ? [] : [metric]));
  const wide = verdict.length > 0 && Math.max(...scores) - Math.min(...scores) >= TOO_WIDE;
  return wide ? [...verdict, WIDE] : verdict;
}

/**
 * One card for all runs that failed for the same reason.
 * @param {Run[]} runs
 */
function failure(runs) {
  const [what, why] = sentences(runs[0].reason ?? "The run failed without saying why.");
  const title = `${listed(runs.map(titleOf))} failed`;
  return h(
    "article",
    { class: "card failure", "aria-label": title },
    h("h3", {}, title),
    h("p", { class: "what" }, what),
    why ? h("p", {}, why) : null,
    h(
      "p",
      { class: "quiet" },
      "Your settings are as you left them: change what is named above and start again.",
    ),
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
    h("p", {}, run.reason ?? "The program ended while this run was training."),
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
    const said = outcome(runs, this.verdict);
    const notes = runs.flatMap((run) => run.notes.map((note) => ({ run, note })));
    const different = notes.filter(
      ({ note }, index) => notes.findIndex(({ note: other }) => other.text === note.text) === index,
    );
    const cards = [
      ...(said.length ? [h("div", { class: "outcome" }, ...paragraphs(said))] : []),
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
