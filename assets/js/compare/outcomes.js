// The scores of finished runs against their costs, with a switch over the costs.

import { find, fold, h, legend, paragraphs, segmented, setOptions, setText } from "../shared/dom.js";
import { drawChart } from "../shared/chart.js";
import { heard } from "../shared/events.js";
import { exports, tableUnder } from "../shared/table.js";
import { drawn, newest } from "../shared/part.js";
import { unanswered } from "../shared/request.js";
import { isShown, whenShown } from "../shared/shown.js";
import { onTheme } from "../shared/theme.js";

/** @import { NoOutcomes, Outcomes, OutcomesFixed, Servers } from "../payloads.js" */
/** @import { Part } from "../shared/part.js" */

const UNFOLDED = 2; // sentences; more would not leave the first screen short

/**
 * @param {Part<null, OutcomesFixed, Servers["compare/outcomes"]>} part
 */
export function mount({ element, props, server, life }) {
  const title = h("h2", {}, "What your runs gave");
  const origin = h("p", { class: "origin" });
  const chosen = h("select", {
    "aria-label": "Runs that are compared",
    onchange: () => {
      picked = chosen.value;
      refresh();
    },
  });
  const axes = h("span", {});
  const hint = h("p", { class: "quiet note" });
  const chart = h("div", {
    class: "chart outcomes-chart",
    role: "group",
    "aria-label": "Scores of settings against what they cost",
  });
  const methods = legend("Methods", true);
  const seen = h("div", { class: "seen", "aria-live": "polite" });
  const others = h("div", { class: "seen" });
  const more = fold("In words", others);
  const table = tableUnder(() => {
    const { columns, rows } = shown ?? { columns: [], rows: [] };
    const onFront = (/** @type {string[]} */ front) => (front.includes(axis) ? "yes" : "no");
    return {
      columns: [...columns, "On the front"],
      rows: rows.map(({ cells, front }) => [...cells, onFront(front)]),
      values: rows.map(({ numbers, front }) => [...numbers, onFront(front)]),
    };
  }, "Settings and what they gave");
  const problem = h("p", { class: "quiet", role: "status" }, "Reading the finished runs …");
  const all = h(
    "div",
    { hidden: true },
    h("div", { class: "chart-controls" }, chosen, axes),
    chart,
    methods.node,
    hint,
    seen,
    more,
    table.details,
    h(
      "div",
      { class: "every-run" },
      "Each run with settings:",
      exports("runs", () => shown?.runs ?? []),
    ),
  );
  /** @type {Outcomes | null} */
  let shown = null;
  /** @type {string | null} else the latest */
  let picked = null;
  let axis = "parameters",
    filled = "",
    answered = false;
  const latest = newest(life);
  find(element, ".mount").replaceChildren(h("div", { class: "run-head" }, title, origin), problem, all);

  /** Ask for the runs, first without FLOPs, whose formulas the server may still be loading. */
  async function refresh() {
    if (!isShown(element)) return; // asked for once it is
    if (!answered && props.first) fill(props.first);
    for (const flops of answered ? [true] : [false, true]) {
      const answer = await latest(server.outcomes({ chosen: picked, flops }).catch(unanswered));
      if (!answer) return unansweredChoice();
      answered = true;
      drawn(all, () => fill(answer));
    }
  }

  /** Say so, and go back to the choice that is shown. */
  function unansweredChoice() {
    setText(problem, "The server did not answer; try again in a moment.");
    if (!shown || picked === null) return;
    picked = chosen.value = shown.chosen;
  }

  /** @param {Outcomes | NoOutcomes} answer */
  function fill(answer) {
    all.hidden = answer.choices.length === 0;
    setText(
      problem,
      all.hidden
        ? "No run has finished yet. Each finished run appears here with its score and its costs."
        : "",
    );
    if (JSON.stringify(answer) === filled || !("chosen" in answer)) return;
    filled = JSON.stringify(answer);
    shown = answer;
    setText(title, answer.recorded ? "What a recorded race gave" : "What your runs gave");
    setText(origin, `${answer.subtitle} · ${answer.origin}`);
    setOptions(chosen, answer.choices, answer.chosen);
    if (!axes.firstChild) {
      axes.append(
        segmented(
          "Cost on the axis",
          "outcome-axis",
          answer.axes.map(({ key, title: name }) => [key, name]),
          axis,
          (key) => {
            axis = key;
            redraw();
          },
        ),
      );
    }
    methods.show(
      answer.methods.map((method) => ({ style: props.lines[method], text: props.lines[method].label })),
      [h("span", { class: "ringed", "aria-hidden": "true" }), "on the front"],
    );
    redraw();
  }

  function redraw() {
    if (!shown) return;
    const figure = shown.figures[axis];
    const counting = axis === "flops" && !shown.counted;
    for (const node of [chart, methods.node, hint]) node.hidden = !figure;
    setText(hint, shown.axes.find(({ key }) => key === axis)?.hint ?? "");
    const all = paragraphs(counting ? ["Counting FLOPs …"] : shown.sentences[axis]);
    // A front of points says nothing of chance: the first verdict stands beside it.
    seen.replaceChildren(...all.splice(0, UNFOLDED));
    others.replaceChildren(...all);
    more.hidden = all.length === 0;
    table.refresh();
    if (figure) drawChart(chart, figure);
  }

  onTheme(chart, redraw);
  heard("runs-changed", life, refresh);
  // Runs may also come from elsewhere: look again whenever the page is turned to this section.
  whenShown(element, refresh);
}
