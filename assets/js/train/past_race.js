// A past race in the history: its name, who sees it, when it was, and how its runs ended.

import { h, styleOf, swatch } from "../shared/dom.js";
import { count, metricText, when } from "../shared/format.js";

/** @import { Race, RaceRun, Styled } from "../payloads.js" */

/**
 * A finished run's score in bold; else its state first, and a score only where the run was sound.
 * @param {RaceRun} run
 */
function outcome(run) {
  const score = metricText(run.metric_name, run.metric);
  if (run.state === "finished")
    return [h("b", { title: `${count(run.trainable_parameters)} trained parameters` }, score || run.state)];
  const ended = ["failed", "stopped", "interrupted"].includes(run.state);
  const at = ended && run.step > 0 ? ` at step ${run.step}` : "";
  return [
    h("span", { class: "state" }, `${run.state}${at}`),
    score && ended && run.state !== "failed" ? h("span", { class: "quiet" }, ` · ${score}`) : null,
  ];
}

/**
 * @param {Race} race
 * @param {Styled["lines"]} lines
 */
export function pastRace(race, lines) {
  const why = race.own_data ? "your own data" : "only this browser sees it";
  return [
    h(
      "div",
      { class: "race-head" },
      h("span", { class: "race-name" }, race.name),
      race.private ? h("span", { class: "quiet" }, `private: ${why}`) : null,
      h("span", { class: "quiet" }, when(race.created)),
    ),
    h("p", { class: "quiet summary" }, race.summary),
    h(
      "ul",
      { class: "race-results", role: "list" },
      race.runs.map((run, place) => {
        const twin = race.runs.slice(0, place).filter((earlier) => earlier.method === run.method).length;
        const line = swatch(styleOf(lines, { method: run.method, twin }));
        return h("li", {}, line, h("span", {}, `${run.label} `), outcome(run));
      }),
    ),
  ];
}
