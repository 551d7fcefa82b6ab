// What stands under the chart: the outcome in a sentence, failures with their causes, notes.

import { count, h, metricText } from "./dom.js";
import { isFinal } from "./run_model.js";

/** "Sentence one. The rest." -> ["Sentence one.", "The rest."] */
function sentences(text) {
  const end = text.search(/[.!?:]\s+\S/);
  return end < 0 ? [text, ""] : [text.slice(0, end + 1), text.slice(end + 1).trim()];
}

/** Where the race is over: who came out how, with the numbers that were measured. */
export function outcome(runs) {
  if (!runs.every(isFinal)) return "";
  const done = runs.filter((run) => run.state === "finished" && run.metric !== null && !run.overlay);
  if (done.length === 0) return "";
  const [best, ...others] = [...done].sort((a, b) => b.metric - a.metric);
  const say = (run) => `${run.label} ${metricText(run.metric_name, run.metric)}`
    + (run.trainable_parameters ? ` with ${count(run.trainable_parameters)} trained numbers` : " without an adapter");
  return others.length === 0 ? `${say(best)}.` : `${say(best)}; ${others.map(say).join("; ")}. One seed: differences of a point or so are chance.`;
}

function failure(run) {
  const [what, why] = sentences(run.reason ?? "The run failed without saying why.");
  return h("article", { class: "card failure", "aria-label": `${run.label} failed` },
    h("h3", {}, `${run.label} failed`),
    h("p", { class: "what" }, what),
    why ? h("p", {}, why) : null,
    h("p", { class: "quiet" }, "Your settings are as you left them: change what is named above and start again."),
    h("details", {}, h("summary", {}, "Details"),
      h("dl", {},
        ...[["Run", run.id], ["Step", `${run.step} of ${run.total_steps ?? "?"}`], ["Device", run.device ?? "none yet"],
          ["Settings", JSON.stringify(run.settings)]]
          .flatMap(([name, value]) => [h("dt", {}, name), h("dd", {}, value)]))));
}

function interruption(run) {
  return h("article", { class: "card", "aria-label": `${run.label} was interrupted` },
    h("h3", {}, `${run.label} was interrupted at step ${run.step}`),
    h("p", {}, run.reason ?? "The program ended while this run was training."));
}

/** The cards for these runs; made anew only when they differ. */
export class Cards {
  constructor() {
    this.node = h("div", { class: "cards" });
    this.key = "";
  }

  show(runs) {
    const key = JSON.stringify(runs.map((run) => [run.id, run.state, run.reason, run.notes.length]));
    if (key === this.key) return;
    this.key = key;
    const said = outcome(runs);
    const notes = runs.flatMap((run) => run.notes.map((note) => [run, note]));
    const different = notes.filter(([, note], index) => notes.findIndex(([, other]) => other.text === note.text) === index);
    this.node.replaceChildren(
      ...(said ? [h("p", { class: "outcome" }, said)] : []),
      ...runs.filter((run) => run.state === "failed").map(failure),
      ...runs.filter((run) => run.state === "interrupted").map(interruption),
      ...(different.length ? [h("ul", { class: "notes", "aria-label": "Notes" }, different.map(([run, note]) =>
        h("li", { class: note.level }, runs.length > 1 && notes.filter(([, other]) => other.text === note.text).length === 1
          ? `${run.label}: ${note.text}` : note.text)))] : []));
  }
}
