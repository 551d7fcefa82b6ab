// The sweep's section: progress, sentences, heatmap, lines and table, polled from the server while the sweep runs.

import { find, fold, h, paragraphs, progressBar, segmented, setText, textButton } from "../../shared/dom.js";
import { heard } from "../../shared/events.js";
import { clock } from "../../shared/format.js";
import { drawn, newest } from "../../shared/part.js";
import { AWAY, polling } from "../../shared/polling.js";
import { outcomeOf } from "../../shared/request.js";
import { asked, keep } from "../../shared/router.js";
import { FINAL, STATES } from "../../shared/constants.js";
import { isShown, whenShown } from "../../shared/shown.js";
import { stopAndGoOn } from "../../shared/stop_and_go_on.js";
import { SweepHeatmap } from "./heatmap.js";
import { SweepLines } from "./lines.js";
import { SettingsTable } from "./settings_table.js";

/** @import { GroupView, Servers, SweepCells, SweepFixed, SweepProgress, SweepShown } from "../../payloads.js" */
/** @import { Part } from "../../shared/part.js" */

const POLL_MILLISECONDS = 2000;
const IDLE_MILLISECONDS = 10_000; // all runs have ended, but another page may resume them
const GOES_ON = "The sweep goes on there without this page, unless the server itself has stopped.";
const READING = "Reading the recorded sweep …";

/** @param {string | null} sweep a group of runs, or the recipe of a recorded one */
const remember = (sweep) => keep({ sweep });

/** @param {Part<GroupView, SweepFixed, Servers["compare/sweep/view"]>} part */
export function mount({ element, props, server, life }) {
  const title = h("p", { class: "sweep-title" });
  const origin = h("p", { class: "origin" });
  const status = h("p", { class: "status", role: "status" });
  const bar = progressBar("Sweep");
  const { stop, goOn } = stopAndGoOn({
    stops: "Stop the sweep",
    goOnTitle: "Queue the runs again that were stopped or cut off",
    server,
    whose: () => ({ group, token: props.value.token }),
    place: status,
    look: () => poll.now(),
  });
  const back = textButton(
    "Show the recorded sweeps",
    () => {
      remember(null);
      watchGroup(null);
    },
    { hidden: true },
  );
  const choice = h(
    "div",
    { class: "chart-controls" },
    segmented("Recorded sweep", "sweep-recorded", props.recorded, props.recorded[0][0], (chosen) => {
      remember((recipe = chosen));
      showRecorded();
    }),
  );
  const answer = h("p", { class: "answer", role: "status" });
  const seen = h("div", { class: "seen", "aria-live": "polite" });
  const reduction = asked("reduction") === "mean" ? "mean" : "best"; // as the answer above it is judged
  const reductionSwitch = segmented(
    "What stands for the settings that are not on an axis",
    "sweep-rest",
    /** @type {[keyof SweepCells, string][]} */ ([
      ["best", "Best of the rest"],
      ["mean", "Mean over the rest"],
    ]),
    reduction,
    (chosen) => {
      keep({ reduction: chosen });
      heatmap.reduction = lines.reduction = chosen;
      heatmap.redraw();
      lines.redraw();
    },
  );
  const heatmap = new SweepHeatmap(reduction);
  const lines = new SweepLines(props.lines, props.layout, reduction);
  const table = new SettingsTable(props.lines);
  const pictures = h(
    "div",
    { class: "sweep-pictures" },
    h("div", { class: "chart-controls" }, reductionSwitch),
    h("div", { class: "sweep-pair" }, heatmap.node, lines.node),
    table.node,
  );
  const head = h("h2", {}, "Do m, p and learning rate matter?");
  find(element, ".mount").replaceChildren(
    head,
    choice,
    answer,
    title,
    status,
    bar.node,
    h("p", { class: "sweep-actions" }, stop, goOn, back),
    pictures,
    fold("In words", seen),
    origin,
  );

  /** The recorded sweep that is shown while none is watched. */
  let recipe = props.recorded[0][0];
  /** @type {string | null} the sweep that is watched */
  let group = null;
  /** @type {string | null | undefined} what of it is shown */
  let known = null;
  let filled = false;
  const latest = newest(life);

  /** @param {SweepShown} shown */
  function fill(shown) {
    filled = true;
    title.hidden = Boolean(shown.recorded);
    setText(title, shown.title);
    setText(
      origin,
      [shown.recorded ? `Recorded ${shown.recorded}` : shown.device, shown.origin]
        .filter(Boolean)
        .join(" · "),
    );
    setText(answer, shown.answer);
    seen.replaceChildren(...paragraphs(shown.sentences));
    pictures.hidden = shown.settings.length === 0;
    drawn(heatmap.node, () => heatmap.show(shown));
    drawn(lines.node, () => lines.show(shown));
    drawn(table.node, () => table.show(shown));
  }

  /** @param {SweepProgress} progress */
  function showProgress({ runs, states, waiting, ended, seconds_left: left }) {
    const counts = [...new Set([...FINAL, ...STATES])]
      .filter((state) => states[state])
      .map((state) => `${states[state]} ${state}`);
    const time = left === null ? [] : [`about ${clock(left)} left`];
    setText(
      status,
      [runs === 1 ? "Sweep of 1 run" : `Sweep of ${runs} runs`, ...counts, ...time].join(" · "),
    );
    bar.node.hidden = false;
    bar.set(ended / runs, waiting > 0);
  }

  const poll = polling({
    life,
    place: element,
    ask: () => server.sweep({ group, token: props.value.token, known }),
    take: (answer) => {
      if (answer.missing || !answer.progress) {
        remember(null);
        watchGroup(null);
        setText(
          status,
          "The sweep in the address is not there; it may have been deleted. A recorded one is shown.",
        );
        return null;
      }
      known = answer.known;
      if (answer.shown) fill(answer.shown);
      showProgress(answer.progress);
      const {
        waiting,
        states: { stopped, interrupted },
      } = answer.progress;
      stop.hidden = !(answer.mine && waiting);
      goOn.hidden = !(answer.mine && !waiting && (stopped || interrupted));
      back.hidden = false;
      choice.hidden = true;
      return waiting > 0 ? POLL_MILLISECONDS : IDLE_MILLISECONDS;
    },
    lost: (away) => away && setText(status, `${AWAY} ${GOES_ON}`),
    looked: () => isShown(element),
  });

  async function showRecorded() {
    if (!status.textContent) setText(status, READING);
    const { answer, problem } = await outcomeOf(latest(server.sweep({ recorded: recipe })));
    if (!answer) return setText(status, problem);
    const { shown } = answer;
    if (group || !shown) return;
    if (status.textContent === READING) setText(status, "");
    drawn(pictures, () => fill(shown));
  }

  /** @param {string | null} next */
  function watchGroup(next) {
    poll.stop();
    group = next;
    known = null;
    stop.hidden = goOn.hidden = back.hidden = true;
    choice.hidden = bar.node.hidden = false;
    setText(status, "");
    filled = false;
    if (!group) {
      bar.node.hidden = true;
      for (const input of choice.querySelectorAll("input")) input.checked = input.value === recipe;
    }
    look();
  }

  /** Ask for the watched sweep, or for the first recorded one, if this page is looked at. */
  function look() {
    if (!isShown(element)) return;
    if (group) void poll.now();
    else if (!filled) void showRecorded();
  }

  whenShown(element, look);
  /** Show the sweep that the address names. */
  function arrive() {
    const named = asked("sweep");
    const isRecorded = props.recorded.some(([key]) => key === named);
    if (named && isRecorded) recipe = named;
    watchGroup(isRecorded ? null : named);
  }
  heard("address", life, () => {
    const named = asked("sweep");
    if (asked("tab") !== "compare" || (named ? named === (group ?? recipe) : !group)) return;
    arrive();
    requestAnimationFrame(look); // Back, pressed twice, shows another tab and this one again within a frame
  });
  arrive();
  return {
    update() {
      const requested = props.value.group;
      if (requested && requested !== group) {
        remember(requested);
        watchGroup(requested);
        head.scrollIntoView({ block: "start" });
      } else if (group) {
        look(); // the token has come: whose sweep it is may be told now
      }
    },
  };
}
