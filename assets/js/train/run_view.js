// The run side of the Train tab: asks the server once a second for what is new, and shows it in place.

import { USABLE } from "../shared/constants.js";
import { find, h, progressBar, scrollUpTo, setText, textButton } from "../shared/dom.js";
import { heard, tell } from "../shared/events.js";
import { when } from "../shared/format.js";
import { drawn, newest } from "../shared/part.js";
import { AWAY, polling } from "../shared/polling.js";
import { unanswered } from "../shared/request.js";
import { asked, keep, linkTo } from "../shared/router.js";
import { formVisited } from "./form_filling.js";
import { Notice } from "./notice.js";
import { AnswerStrip } from "./answer_strip.js";
import { copyButton } from "./copy_command.js";
import { Cards } from "./run_cards.js";
import { RunChart } from "./run_chart.js";
import { isActive, isFinal, progress, RunModel, shownRace, statusText, titleOfAll } from "./run_model.js";
import { Scoreboard } from "./scoreboard.js";

/** @import { Part } from "../shared/part.js" */
/** @import { RaceVerdict, RunView, RunViewFixed, Servers } from "../payloads.js" */
/** @import { Run } from "./run_model.js" */

const EVERY = 1000;
const UNSEEN = 5000; // in a tab that is not looked at: its title and its note follow all the same
/** @type {Partial<Record<RunView["kind"], string>>} what is shown while nobody asked for a race */
const UNASKED = { last: "Latest race", best: "Best race on this dataset", waiting: "" };
const AT_REST = 10_000; // all runs are over, but another page may resume or rename them

/** @param {Run} run */
const hasFinished = (run) => run.state === "finished";
/** @param {Run} run */
const keepsWeights = (run) => USABLE.includes(run.state) && (hasFinished(run) || run.step > 0);

/** @type {Pick<RaceVerdict, "leaders" | "sentences">} */
const NONE = { leaders: [], sentences: [] };

/** The verdict on a race that is over, asked once; until then there is none. */
class Judged {
  /** of which runs the verdict is shown, or asked for */
  over = "";

  /**
   * @param {Servers["train/run_view"]["verdict"]} ask
   * @param {(verdict: typeof NONE) => void} show
   */
  constructor(ask, show) {
    this.ask = ask;
    this.show = show;
    this.latest = newest();
  }

  /** @param {Run[]} race */
  async see(race) {
    const over = race.length > 1 && race.every(isFinal) ? race.map((run) => run.id).join() : "";
    if (over === this.over) return;
    this.over = over;
    this.show(NONE);
    const verdict = await this.latest(over ? this.ask({ runs: over.split(",") }).catch(unanswered) : NONE);
    if (!verdict) this.over = ""; // asked again when something changes
    this.show(verdict ?? NONE);
  }
}

/**
 * @param {Part<RunView, RunViewFixed, Servers["train/run_view"]>} part
 */
export function mount({ element, props, server, trigger, life }) {
  const title = h("h2", {});
  const reuse = textButton("Use these settings", () => trigger("use_settings"), {
    hidden: true,
    title: "Fill the settings on the left with those of this race",
  });
  const use = h(
    "a",
    {
      class: "text-button",
      hidden: true,
      href: "?tab=use",
      title: "Predict, verify, and export with these runs",
    },
    "Predict",
  );
  const origin = h("p", { class: "origin" });
  const status = h("p", { class: "status" });
  const stop = textButton(
    "Stop",
    () => {
      stop.hidden = true;
      trigger("stop_runs", {});
    },
    { class: "text-button stop-here", hidden: true, "aria-label": "Stop this race" },
  );
  const refused = h("p", { class: "problem", role: "status", hidden: true });
  const bar = progressBar("Race");
  const lost = h(
    "p",
    { class: "notice", role: "status", hidden: true },
    `${AWAY} Runs continue on the server while this page is disconnected. `,
    textButton("Reload the page", () => location.reload()),
  );
  const aloud = h("p", { class: "hidden-text", "aria-live": "polite" });
  const strip = new AnswerStrip((step) => chart.mark(step));
  const chart = new RunChart(props.lines, props.layout, element.id, (step) => strip.scrub(step));
  const board = new Scoreboard(props.lines, (id) => chart.toggle(id));
  const cards = new Cards();
  const copy = copyButton(() => model.shown);
  const notice = new Notice();
  find(element, ".mount").replaceChildren(
    h("div", { class: "run-head" }, title, use, copy, reuse),
    origin,
    h("div", { class: "status-line" }, status, notice.node, stop),
    refused,
    bar.node,
    lost,
    aloud,
    chart.node,
    strip.node,
    board.node,
    cards.node,
  );

  let model = new RunModel([]);
  const judged = new Judged(
    (asked) => server.verdict(asked),
    ({ leaders, sentences }) => {
      board.leaders = leaders;
      cards.verdict = sentences;
      drawn(board.node, () => board.show(model.shown));
      drawn(cards.node, () => cards.show(model.shown));
    },
  );
  let begun = false;
  let waits = false; // for the server to say what the runs of the address are
  let known = "";
  let heardOf = "{}"; // the states that the buttons have heard of: they begin as they are for no run
  let ended = 0; // how many of these runs are over: what they took teaches the next forecast
  let announced = false; // that these runs are what one came for: settings fold once, not at every change of state

  const unasked = () => props.value.kind in UNASKED;

  function announce() {
    if (announced) return;
    announced = true;
    document.getElementById("train")?.classList.add("racing"); // on a phone it then comes first
    tell("race-started", null);
  }

  /** @param {Run[]} runs */
  function tellChanges(runs) {
    // The buttons beside the settings are Python's: they hear of every change of state.
    const now = JSON.stringify(runs.map((run) => [run.id, run.state]));
    if (now === known) return;
    const over = runs.filter(isFinal).length;
    if (known !== "" && over > ended) trigger("run_ended", {});
    ended = over;
    known = now;
    const busy = runs.some((run) => !isFinal(run));
    if (props.value.kind === "linked" || busy) announce();
    setText(aloud, runs.length && !props.value.recorded ? statusText(shownRace(runs)) : "");
    const states = Object.fromEntries(runs.map((run) => [run.id, run.state]));
    if (JSON.stringify(states) !== heardOf) trigger("run_state", { states });
    heardOf = JSON.stringify(states);
    tell("runs-changed", null);
  }

  /** @param {boolean} changed */
  function show(changed) {
    const runs = model.shown;
    const first = runs[0];
    const groups = [...new Set(runs.map((run) => run.group))];
    const race = shownRace(runs);
    for (const run of runs) {
      run.overlay = run.group === groups[0] ? null : run.name === first.name ? when(run.created) : run.name;
    }
    const { recorded, kind } = props.value;
    const coming = waits || (!first && model.runs.size > 0); // named, but not read yet
    setText(title, first ? titleOfAll(runs) : coming ? "A race" : "No race yet");
    setText(
      origin,
      !first
        ? ""
        : recorded
          ? ""
          : [UNASKED[kind] ?? "", first.summary, first.device, first.precision, when(first.created)]
              .filter(Boolean)
              .join(" · "),
    );
    setText(
      status,
      first
        ? recorded
          ? `Recorded on another machine. ${props.invitation}`
          : statusText(race)
        : coming
          ? "Reading the race …"
          : "Drop a file or choose an example, then press Start.",
    );
    status.title = recorded ? `Recorded ${recorded}` : "";
    reuse.hidden = !first || Boolean(recorded);
    use.hidden = !race.some(keepsWeights) || !race.every(isFinal);
    use.href = linkTo({ tab: "use", run: race.map((run) => run.id) });
    status.className = `status ${race.find(isActive)?.state ?? ""}`;
    bar.set(
      progress(race),
      race.some((run) => !isFinal(run)),
    );
    notice.see(first?.name ?? "", recorded ? [] : race);
    drawn(strip.node, () => strip.show(race));
    void judged.see(race);
    drawn(board.node, () => board.show(runs));
    drawn(cards.node, () => cards.show(runs));
    copy.hidden = !first || Boolean(recorded);
    const stepless = runs.every((run) => isFinal(run) && !run.steps.length);
    const empty = first
      ? stepless
        ? "No steps were completed."
        : "The curves start with the first step."
      : "Curves appear here when a race starts.";
    if (changed || chart.emptyText !== empty) drawn(chart.node, () => chart.show(runs, empty));
    element.toggleAttribute("data-settled", model.settled);
  }

  const poll = polling({
    life,
    place: element,
    ask: () => server.poll({ cursors: model.cursors, token: props.value.token }),
    take: (answer) => {
      stop.hidden = !answer.stoppable;
      if (answer.slice) trigger("next_slice", {});
      const changed = model.take(answer);
      show(changed);
      tellChanges(model.shown);
      if (model.runs.size === 0) return null;
      return answer.runs.some((run) => run.more) ? 0 : model.settled ? AT_REST : EVERY;
    },
    lost: (away) => {
      lost.hidden = !away;
    },
    unseen: () => (model.settled ? null : UNSEEN),
  });
  const pollNow = () => {
    if (!props.value.recorded && model.runs.size) void poll.now();
  };

  function begin() {
    poll.stop();
    if (props.value.runs.length > props.max_runs)
      props.value = {
        ...props.value,
        runs: props.value.runs.slice(0, props.max_runs),
        refused: `The chart shows the first ${props.max_runs} runs.`,
      };
    const { runs, recorded, rows, token, kind } = props.value;
    waits = kind === "waiting" && Boolean(asked("run")?.length);
    element.dataset.runs = recorded || waits ? "" : runs.join();
    stop.hidden = true;
    setText(refused, props.value.refused ?? "");
    refused.hidden = !props.value.refused;
    formVisited(token !== "");
    const same = begun && runs.join() === [...model.runs.keys()].join();
    if (!same || recorded || waits) {
      if (!begun || !recorded) chart.play(Boolean(recorded) && !waits);
      begun = true;
      model = new RunModel(waits ? [] : runs);
      known = "";
      announced = false;
      chart.hidden.clear();
      chart.marked = null;
      strip.followNewest();
    }
    if (recorded && rows && !waits) model.take(rows);
    if (recorded || kind === "waiting") {
      show(true);
      if (kind !== "waiting") tellChanges([]);
      return;
    }
    if (!unasked()) keep({ run: runs });
    if (kind === "new") {
      announce();
      scrollUpTo(element);
    }
    if (!same) show(true);
    if (runs.length) void poll.now();
    else tellChanges([]);
  }

  /** @param {string[]} runs */
  function showRuns(runs) {
    props.value = { ...props.value, recorded: null, rows: null, refused: null, kind: "chosen", runs };
    begin();
  }

  heard("race-renamed", life, pollNow);
  heard("slice-ended", life, pollNow); // which goes on unseen
  heard("show-runs", life, showRuns);
  heard("address", life, () => {
    const runs = asked("run");
    if (asked("tab") === "train" && runs && String(runs) !== element.dataset.runs) showRuns(runs);
  });
  begin();
  return { update: begin };
}
