// The search for settings: the best so far of each method, its trials and Optuna's figures, polled while it runs.

import { find, fold, h, paragraphs, setText, swatch, textButton } from "../shared/dom.js";
import { drawChart } from "../shared/chart.js";
import { heard } from "../shared/events.js";
import { drawn } from "../shared/part.js";
import { AWAY, polling } from "../shared/polling.js";
import { asked, keep } from "../shared/router.js";
import { isShown, whenShown } from "../shared/shown.js";
import { stopAndGoOn } from "../shared/stop_and_go_on.js";
import { table } from "../shared/table.js";

/** @import { Servers, GroupView, SearchedMethod, SearchFigure, SearchShown, Styled } from "../payloads.js" */
/** @import { Figure } from "../shared/plotly_types.js" */
/** @import { Part } from "../shared/part.js" */

const POLL_MILLISECONDS = 2000;
const IDLE_MILLISECONDS = 10_000; // nothing trains, but another page may resume it
const WAITS = "Stopped: Go on resumes the trial that was cut off, and the search after it.";

/** @param {Part<GroupView, Styled, Servers["train/search"]>} part */
export function mount({ element, props, server, trigger, life }) {
  const status = h("p", { class: "status", role: "status" });
  const { stop, goOn } = stopAndGoOn({
    stops: "Stop the search",
    server,
    whose: () => ({ group, token: props.value.token }),
    place: status,
    look: () => {
      known = null;
      return poll.now();
    },
  });
  const race = textButton("Race the best of each", () => trigger("race_best", {}), {
    hidden: true,
    title: "Fills the form with what was found; Start then races on all rows",
  });
  const close = textButton("Close", () => watchGroup(null));
  const title = h("h2", {}, "");
  const methods = h("div", { class: "searched" });
  const mount = find(element, ".mount");
  const parts = h(
    "section",
    { class: "search", "aria-label": "Search for settings", hidden: true },
    title,
    status,
    h("p", { class: "search-actions" }, stop, goOn, race, close),
    methods,
  );
  mount.replaceChildren(parts);

  /** @type {string | null} the search that is watched */
  let group = null;
  /** @type {string | null} what of it is shown */
  let known = null;
  /** @type {Map<string, ReturnType<typeof methodView>>} */
  const views = new Map();

  /** @param {SearchShown} shown */
  function fill(shown) {
    setText(title, shown.title);
    const tried = shown.methods.reduce((sum, one) => sum + one.trials.length, 0);
    const budget = shown.methods.reduce((sum, one) => sum + one.budget, 0);
    const where = shown.running ? "searching" : shown.waits ? WAITS : "ended";
    setText(status, `${tried} of at most ${budget} trials · ${where}`);
    race.hidden = !shown.race;
    shown.methods.forEach((one, place) => {
      const key = `${place}${one.label}`;
      let view = views.get(key);
      if (!view) {
        view = methodView(one, props.lines[one.method]);
        views.set(key, view);
        methods.append(view.node);
      }
      const found = view;
      drawn(view.node, () => found.show(one));
    });
  }

  const poll = polling({
    life,
    place: element,
    ask: () => server.search({ group, token: props.value.token, known }),
    take: (answer) => {
      if (answer.missing) {
        keep({ search: null });
        setText(status, "The search in the address is not there; it may have been deleted.");
        return null;
      }
      known = answer.known ?? null;
      if (answer.shown) {
        fill(answer.shown);
        stop.hidden = !(answer.mine && answer.shown.running);
        goOn.hidden = !(answer.mine && answer.shown.waits);
      }
      return stop.hidden && goOn.hidden && !answer.shown?.running ? IDLE_MILLISECONDS : POLL_MILLISECONDS;
    },
    lost(away) {
      if (!away) return;
      known = null; // the next answer is to be shown, also where nothing has changed
      setText(status, `${AWAY} The search goes on there without this page.`);
    },
    looked: () => isShown(element),
  });

  /** @param {string | null} next */
  function watchGroup(next) {
    poll.stop();
    group = next;
    known = null;
    views.clear();
    methods.replaceChildren();
    stop.hidden = goOn.hidden = race.hidden = true;
    parts.hidden = group === null;
    keep({ search: group });
    if (group === null) return;
    if (props.value.group !== group) props.value = { ...props.value, group };
    look();
  }

  function look() {
    if (group && isShown(element)) void poll.now();
  }

  whenShown(element, look);
  const arrive = () => {
    const named = asked("search");
    if (named && named !== group) watchGroup(named);
  };
  heard("address", life, arrive);
  arrive();
  return {
    update() {
      const requested = props.value.group;
      if (requested && requested !== group) {
        watchGroup(requested);
        parts.scrollIntoView({ block: "nearest" });
      } else if (group) {
        if (!requested) props.value = { ...props.value, group };
        known = null; // whose search it is may be told now
        look();
      }
    },
  };
}

/**
 * One method's sentences, figures and trials.
 * @param {SearchedMethod} first
 * @param {any} style
 */
function methodView(first, style) {
  const said = h("div", { class: "seen", "aria-live": "polite" });
  const charts = h("div", { class: "search-figures" });
  const numbers = table({ label: `Trials of ${first.label}` });
  /** @type {Map<string, HTMLElement>} */
  const places = new Map();
  const node = h(
    "section",
    { class: "searched-method" },
    h("h3", {}, style ? swatch(style) : null, first.label),
    said,
    charts,
    fold("All trials", numbers.node),
  );
  /** @param {SearchFigure} one */
  function chart({ title, figure }) {
    let place = places.get(title);
    if (!place) {
      place = h("div", { class: "chart", role: "group", "aria-label": `${first.label}: ${title}` });
      places.set(title, place);
      charts.append(h("figure", {}, h("figcaption", {}, title), place));
    }
    drawChart(place, /** @type {Figure} */ (figure));
  }
  return {
    node,
    /** @param {SearchedMethod} shown */
    show(shown) {
      said.replaceChildren(...paragraphs(shown.sentences));
      shown.figures.forEach(chart);
      numbers.fill(
        ["Trial", "Settings", "Validation loss", "Score", "State"],
        shown.trials.map((trial) => [
          String(trial.number + 1) + (trial.number === shown.best ? " (best)" : ""),
          trial.settings,
          trial.loss === null ? "" : trial.loss.toPrecision(4),
          trial.score ?? "",
          trial.state,
        ]),
      );
    },
  };
}
