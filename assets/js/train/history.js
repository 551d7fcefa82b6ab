// The list of past races: what each was and how it ended; open, overlay, rename, delete. Or all runs as a table.

import {
  scrollUpTo,
  find,
  h,
  keyed,
  segmented,
  setChildren,
  setText,
  styleOf,
  swatch,
  textButton,
} from "../shared/dom.js";
import { heard, tell } from "../shared/events.js";
import { drawn } from "../shared/part.js";
import { AWAY, polling } from "../shared/polling.js";
import { outcomeOf } from "../shared/request.js";
import { linkTo } from "../shared/router.js";
import { FINAL } from "../shared/constants.js";
import { isShown } from "../shared/shown.js";
import { count, metricText, when } from "../shared/format.js";
import { historyTable, wordForm } from "./history_table.js";

/** @import { Part } from "../shared/part.js" */
/** @import { Done, Race, Races, Servers, Styled, RaceRun } from "../payloads.js" */

const EVERY = 10_000;
const READING = "Reading the history …";

/** @param {Part<{token: string}, Styled, Servers["train/history"]>} part */
export function mount({ element, props, server, trigger, life }) {
  const list = h("ol", { class: "races" });
  const listed = keyed(list);
  const message = h("p", { class: "quiet", role: "status" }, READING);
  const more = textButton(
    "Show older races",
    () => {
      limit *= 4;
      refresh();
    },
    { hidden: true },
  );
  let limit = 12;
  /** @type {Race[]} */
  let races = [];
  /** @type {(() => void) | null} puts the buttons back where a name is typed or a deletion confirmed; until then the list waits */
  let putBack = null;
  const heading = h("h2", { tabindex: "-1" }, "History");
  const cards = h("div", {}, message, list, more);

  // The view says what it shows: a visitor's last race stands in no address.
  const selected = () => {
    const runs = document.querySelector("#run [data-runs]")?.getAttribute("data-runs");
    return runs?.split(",").filter(Boolean) ?? [];
  };
  /** @param {string[]} runs */
  const open = (runs) => tell("show-runs", runs);
  /** @param {Pick<Race, "runs">} race */
  const ids = (race) => race.runs.map((run) => run.id);

  function quit() {
    const back = focused();
    putBack?.();
    putBack = null;
    back?.();
    refresh();
  }

  const runsTable = historyTable({
    server,
    token: () => props.value.token,
    lines: props.lines,
    life,
    compare: (runs) => {
      open(runs);
      scrollUpTo(find(document, "#run"));
    },
    take: (runs) => trigger("export_runs", { runs }),
    changed: refresh,
  });
  const views = segmented(
    "How the history is shown",
    "history-view",
    [
      ["cards", "Races"],
      ["table", "Table of runs"],
    ],
    "cards",
    (view) => {
      cards.hidden = view !== "cards";
      runsTable.node.hidden = view !== "table";
      quit();
    },
  );
  find(element, ".mount").replaceChildren(
    h("div", { class: "history-head" }, heading, views),
    cards,
    runsTable.node,
  );

  /** @param {Promise<Done>} call */
  async function act(call) {
    const { problem } = await outcomeOf(call);
    setText(message, problem);
    quit();
  }

  /**
   * @param {Race} race
   * @param {Element} place
   */
  function renaming(race, place) {
    const { form, field } = wordForm(
      { value: race.name, maxlength: 120, "aria-label": "New name" },
      (name) =>
        act(server.rename({ group: race.group, name, token: props.value.token })).then(() =>
          tell("race-renamed", null),
        ),
      quit,
    );
    place.replaceChildren(form);
    field.select();
  }

  /**
   * @param {Race} race
   * @param {Element} place
   */
  function deleting(race, place) {
    const remove = async () => {
      const gone = ids(race);
      await act(server.remove({ group: race.group, token: props.value.token }));
      if (message.textContent || !selected().some((id) => gone.includes(id))) return;
      const rest = selected().filter((id) => !gone.includes(id));
      const other = races.find(({ group, sweep }) => group !== race.group && !sweep) ?? { runs: [] };
      open(rest.length ? rest : ids(other)); // else the page would say that there is no race yet
    };
    const yes = textButton("Delete for good", remove, { class: "text-button danger" });
    place.replaceChildren(
      h("span", {}, `Delete this ${race.sweep ? "sweep" : "race"}, its curves and adapters? `),
      yes,
      textButton("Keep it", quit),
    );
    yes.focus();
  }

  /**
   * Whether the view shows a race, and nothing else.
   * @param {Race} race
   */
  function place(race) {
    const now = selected();
    return {
      showing: ids(race).some((id) => now.includes(id)),
      alone: now.length <= race.runs.length,
    };
  }

  /** @param {Race} race */
  function item(race) {
    const { showing, alone } = place(race);
    const actions = h("div", {
      class: "actions",
      onkeydown: (event) => event.key === "Escape" && putBack && quit(),
    });
    /** @param {(race: Race, place: Element) => void} how */
    const edit = (how) => () => {
      putBack?.(); // another race's, which would have no way back
      const buttons = [...actions.children];
      putBack = () => setChildren(actions, buttons);
      setText(message, "");
      how(race, actions);
    };
    /**
     * @param {string} label
     * @param {string} hint
     * @param {() => void} onclick
     */
    const button = (label, hint, onclick, disabled = false) =>
      textButton(label, onclick, { title: hint, disabled, "aria-label": `${label} ${race.name}` });
    const show = () =>
      act(server.set_private({ group: race.group, private: !race.private, token: props.value.token }));
    // Said in words, for a finger never hovers: buttons that cannot act and no reason look broken.
    const held = !race.mine
      ? "Only who started it can rename or delete it."
      : race.training
        ? "It trains: stop it first to delete it."
        : "";
    // A sweep's many runs are no race to watch; its own view stands on the Compare tab.
    const sweep = () =>
      h(
        "a",
        {
          class: "text-button",
          href: linkTo({ tab: "compare", page: "settings", sweep: race.group }),
          "aria-label": `Open on the Compare tab: ${race.name}`,
        },
        "Open on the Compare tab",
      );
    actions.append(
      ...(race.sweep
        ? [sweep()]
        : [
            button("Open", "Show this race alone", () => {
              open(ids(race));
              scrollUpTo(find(document, "#run"));
              refresh();
            }),
            showing && !alone
              ? button("Take out", "Take this race out of the chart", () => {
                  open(selected().filter((id) => !ids(race).includes(id)));
                  refresh();
                })
              : showing
                ? null
                : button("Overlay", "Draw this race over the one that is shown", () => {
                    open([...selected(), ...ids(race)]);
                    refresh();
                  }),
          ].filter((action) => action !== null)),
      race.mine && !(race.private && race.own_data)
        ? button(
            race.private ? "Show to all" : "Make private",
            race.private ? "Let every visitor see it again" : "Let nobody but this browser see it",
            show,
          )
        : "",
      button("Rename", race.mine ? "Give it another name" : held, edit(renaming), !race.mine),
      button("Delete", held || "Remove it, its curves and adapters", edit(deleting), held !== ""),
      h("span", { class: "quiet" }, held),
    );
    return h(
      "li",
      {
        class: showing ? "race shown" : "race",
        "data-group": race.group,
        "aria-current": showing ? "true" : null,
      },
      ...pastRace(race, props.lines),
      actions,
    );
  }

  /** Where the focus is within the list: what leads it back once the list is drawn anew. */
  function focused() {
    const was = document.activeElement;
    if (!was?.parentElement || !list.contains(was)) return null;
    const group = was.closest(".race")?.getAttribute("data-group") ?? "";
    const place = [...was.parentElement.children].indexOf(was);
    return () => {
      if (was.isConnected) return;
      const own = `[data-group="${CSS.escape(group)}"] .actions > .text-button:not(:disabled)`;
      const buttons = [.../** @type {NodeListOf<HTMLElement>} */ (list.querySelectorAll(own))];
      const same =
        buttons.find((button) => button.textContent === was.textContent) ??
        buttons[place] ??
        buttons[0] ??
        heading;
      same.focus({ preventScroll: true });
    };
  }

  const poll = polling({
    life,
    place: element,
    ask: () => server.races({ limit, token: props.value.token }),
    take: (answer) => {
      show(answer);
      if (!runsTable.node.hidden) drawn(runsTable.node, runsTable.refresh);
      // Of a race that trains and is not shown nobody else tells when it ends.
      return answer.races.some((race) => race.training) ? EVERY : null;
    },
    lost: (away) => {
      if (away) setText(message, AWAY);
      else if (message.textContent === AWAY) setText(message, "");
    },
    looked: () => isShown(element),
  });
  function refresh() {
    if (!putBack) void poll.now();
  }

  /** @param {Races} answer */
  function show(answer) {
    races = answer.races;
    if (message.textContent === READING) message.textContent = "";
    if (putBack) return;
    const back = focused();
    // A step is shown once its run has ended; until then it changes nothing.
    listed(
      answer.races.map((race) => [
        JSON.stringify([race, place(race)], (name, value) => (name === "step" ? undefined : value)),
        () => item(race),
      ]),
    );
    back?.();
    more.hidden = !answer.more;
    element.classList.toggle("empty", answer.races.length === 0);
    if (answer.races.length === 0)
      message.textContent = "Every race is kept here: reopen it, lay it over another, rename or delete it.";
    else if (message.textContent.startsWith("Every race")) message.textContent = "";
  }

  heard("runs-changed", life, refresh);
  refresh();
  return { update: refresh };
}

/**
 * A finished run's score in bold; else its state first, and a score only where the run was sound.
 * @param {RaceRun} run
 */
function outcome(run) {
  const score = metricText(run.metric_name, run.metric);
  if (run.state === "finished")
    return [h("b", { title: `${count(run.trainable_parameters)} trained parameters` }, score || run.state)];
  const ended = FINAL.includes(run.state);
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
function pastRace(race, lines) {
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
