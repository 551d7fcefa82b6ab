// What stands under the chart: the outcome in a sentence, failures with their causes, notes.

import { h } from "../shared/dom.js";
import { count, isShare, short } from "../shared/format.js";
import { isFinal } from "./run_model.js";

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

/** @typedef {Run & {metric: number}} Sound a run that gave a score */

/** Share of all examples between two accuracies that tells more of the training than of the methods. */
const TOO_WIDE = 0.2;

/**
 * "a", "a and b", or "a, b and c".
 * @param {string[]} parts
 */
const listed = (parts, and = " and ") =>
  [parts.slice(0, -1).join(", "), parts.at(-1)].filter(Boolean).join(and);

/** @param {number} ratio */
const times = (ratio) =>
  ratio >= 1.05
    ? `${short(ratio)} times as many trained numbers`
    : ratio <= 0.95
      ? `${short(1 / ratio)} times fewer trained numbers`
      : "about as many trained numbers";

/**
 * CDVFT against another method of its race, from what was measured; also where it speaks against CDVFT.
 * @param {Sound} run
 * @param {Sound} other
 */
function against(run, other) {
  const points = 100 * (run.metric - other.metric);
  const gap = isShare(run.metric_name)
    ? `${Math.abs(points).toFixed(1)} points`
    : Math.abs(run.metric - other.metric).toFixed(3);
  const stands = Math.abs(points) < 0.05 ? "level with" : points > 0 ? `${gap} above` : `${gap} below`;
  const size =
    run.trainable_parameters && other.trainable_parameters
      ? ` with ${times(run.trainable_parameters / other.trainable_parameters)}`
      : "";
  return `${stands} ${other.label}${size}`;
}

/**
 * Where the race is over: how CDVFT came out, and how sure one can be of it.
 * @param {Run[]} runs
 */
export function outcome(runs) {
  if (!runs.every(isFinal)) return "";
  const done = runs.filter(
    /** @returns {run is Sound} */ (run) => run.state === "finished" && run.metric !== null && !run.overlay,
  );
  const cdvft = done.find((run) => run.method === "cdvft");
  const others = done.filter((run) => run !== cdvft);
  if (!cdvft || others.length === 0) return "";
  const list = listed(
    others.map((other) => against(cdvft, other)),
    ", and ",
  );
  const examples = cdvft.evaluation_examples;
  const errors = done
    .map(({ metric }) => 100 * Math.sqrt((metric * (1 - metric)) / (examples ?? NaN)))
    .sort((one, other) => one - other)
    .map((error) => error.toFixed(1));
  const spread = [...new Set([errors[0], errors.at(-1)])].map((error) => `±${error}`).join(" to ");
  const doubt =
    isShare(cdvft.metric_name) && examples
      ? ` One seed and ${count(examples)} held-out examples: each score is uncertain by about ${spread} points (one standard error).`
      : " One seed: small differences are chance.";
  const wide =
    isShare(cdvft.metric_name) &&
    others.some((other) => other.method !== "head" && Math.abs(cdvft.metric - other.metric) >= TOO_WIDE)
      ? " A gap so wide mostly means that one of them has hardly learned yet: give it more steps or another rate before you judge."
      : "";
  return `${cdvft.label} ended ${list}.${wide}${doubt}`;
}

/**
 * One card for all runs that failed for the same reason.
 * @param {Run[]} runs
 */
function failure(runs) {
  const [what, why] = sentences(runs[0].reason ?? "The run failed without saying why.");
  const title = `${listed(runs.map((run) => run.label))} failed`;
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

/** @param {Run} run */
function interruption(run) {
  return h(
    "article",
    { class: "card", "aria-label": `${run.label} was interrupted` },
    h("h3", {}, `${run.label} was interrupted at step ${run.step}`),
    h("p", {}, run.reason ?? "The program ended while this run was training."),
  );
}

/** The cards for these runs; made anew only when they differ. */
export class Cards {
  constructor() {
    this.node = h("div", { class: "cards" });
    this.key = "";
  }

  /** @param {Run[]} runs */
  show(runs) {
    const key = JSON.stringify(runs.map((run) => [run.id, run.state, run.reason, run.notes.length]));
    if (key === this.key) return;
    this.key = key;
    const sentence = outcome(runs);
    const notes = runs.flatMap((run) => run.notes.map((note) => ({ run, note })));
    const different = notes.filter(
      ({ note }, index) => notes.findIndex(({ note: other }) => other.text === note.text) === index,
    );
    this.node.replaceChildren(
      ...(sentence ? [h("p", { class: "outcome" }, sentence)] : []),
      ...Object.values(
        Object.groupBy(
          runs.filter((run) => run.state === "failed"),
          (run) => run.reason ?? "",
        ),
      ).map((failed) => failure(failed ?? [])),
      ...runs.filter((run) => run.state === "interrupted").map(interruption),
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
                    ? `${run.label}: ${note.text}`
                    : note.text,
                ),
              ),
            ),
          ]
        : []),
    );
  }
}
