// The history: one table of races that are searched, filtered, sorted, drawn together, and changed by their owner.

import {
  find,
  h,
  scrollUpTo,
  setChildren,
  setOptions,
  setText,
  styleOf,
  swatch,
  textButton,
} from "../shared/dom.js";
import { heard, tell } from "../shared/events.js";
import { metricText, when } from "../shared/format.js";
import { AWAY, polling } from "../shared/polling.js";
import { outcomeOf } from "../shared/request.js";
import { linkTo } from "../shared/router.js";
import { isShown } from "../shared/shown.js";
import { exports, table } from "../shared/table.js";

/** @import { Part } from "../shared/part.js" */
/** @import { Done, Race, RaceRun, Races, Servers, Styled } from "../payloads.js" */

const EVERY = 10_000;
const [FIRST, ALL] = [50, 500]; // races that are loaded: at first, and to search them
const READING = "Reading the history …";

/** @typedef {(race: Race) => string | number | null} Value */

/** @param {Race} race */
const bestScore = ({ runs }) => {
  const scores = runs.filter(({ state }) => state === "finished").map(({ metric }) => metric ?? -Infinity);
  return scores.length ? Math.max(...scores) : null;
};

/** @type {[title: string, value: Value][]} columns by which rows are sorted */
const COLUMNS = [
  ["Race", (race) => race.name],
  ["Score", bestScore],
  ["Data", (race) => race.data],
  ["State", (race) => Object.keys(race.states).join()],
  ["Started", (race) => race.created],
];

/**
 * Races in order; those without a value come last in both directions.
 * @param {Race[]} races
 * @param {Value} value
 * @param {boolean} down
 */
export function sorted(races, value, down) {
  const known = races.filter((race) => value(race) !== null);
  known.sort((one, other) => {
    const [left, right] = [value(one), value(other)];
    const order =
      typeof left === "number" && typeof right === "number"
        ? left - right
        : String(left).localeCompare(String(right), undefined, { numeric: true });
    return down ? -order : order;
  });
  return [...known, ...races.filter((race) => value(race) === null)];
}

/**
 * The races that contain every searched word and pass the filters; an empty filter passes all.
 * @param {Race[]} races
 * @param {string} search
 * @param {string} data
 * @param {string} state
 */
export function found(races, search, data, state) {
  const words = search.toLowerCase().split(/\s+/).filter(Boolean);
  return races.filter((race) => {
    const labels = race.runs.flatMap((run) => [run.id, run.label]);
    const text = [race.name, race.summary, race.data, ...Object.keys(race.states), ...labels].join(" ");
    return (
      words.every((word) => text.toLowerCase().includes(word)) &&
      (!data || race.data === data) &&
      (!state || state in race.states)
    );
  });
}

/** @param {Part<{token: string}, Styled, Servers["train/history"]>} part */
export function mount({ element, props, server, trigger, life }) {
  /** @type {Race[]} */
  let races = [];
  let limit = FIRST;
  let [sortedBy, down] = [COLUMNS[4], true];
  let asking = false; // a name is typed, or a deletion confirmed
  let drawn = "";
  /** @type {Set<string>} the groups of the selected races */
  const selected = new Set();
  /** @type {Map<string, {box: HTMLInputElement, link: HTMLElement}>} kept by group, so that the focus stays */
  const controls = new Map();

  const heading = h("h2", { tabindex: "-1" }, "History");
  const message = h("p", { class: "quiet", role: "status" }, READING);
  const refused = h("p", { class: "problem", role: "status" });
  const actions = h("div", {
    class: "actions",
    onkeydown: (event) => event.key === "Escape" && asking && idle(),
  });
  const list = table({ label: "Races", class: "numbers history-table" });
  const search = h("input", {
    type: "search",
    placeholder: "Search",
    "aria-label": "Search the history",
    oninput: () => loadAll(),
  });
  const [dataFilter, stateFilter] = ["data", "state"].map((name) =>
    h("select", { "aria-label": `Filter by ${name}`, onchange: () => loadAll() }),
  );
  const older = textButton("Show older races", () => loadAll(), { hidden: true });
  const all = h("input", {
    type: "checkbox",
    "aria-label": "Select all races",
    onchange: () => {
      for (const { group } of matching()) all.checked ? selected.add(group) : selected.delete(group);
      draw();
    },
  });
  const heads = COLUMNS.map((column) =>
    textButton(column[0], () => {
      down = column === sortedBy ? !down : ["Score", "Started"].includes(column[0]);
      sortedBy = column;
      loadAll();
    }),
  );
  const body = h(
    "div",
    {},
    h("div", { class: "filters" }, search, dataFilter, stateFilter),
    actions,
    refused,
    list.node,
    older,
    exports("Runs", () =>
      (chosen().length ? chosen() : matching()).flatMap((race) =>
        race.runs.map((run) => ({
          run: run.id,
          race: race.name,
          method: run.label,
          data: race.data,
          state: run.state,
          metric: run.metric_name,
          score: run.metric,
          parameters: run.trainable_parameters,
          seconds: run.seconds,
          started: new Date(1000 * race.created).toISOString(),
        })),
      ),
    ),
  );
  find(element, ".mount").replaceChildren(heading, message, body);

  const buttons = {
    open: textButton("Open", () => show(ids()), { title: "Draw the selected races in one chart" }),
    overlay: textButton("Overlay", () => show([...shown(), ...ids()]), {
      title: "Add the selected races to the chart",
    }),
    link: textButton("Copy link", () => copyLink()),
    rename: textButton("Rename", () => renaming()),
    hide: textButton("", () => act(server.set_private({ ...request(), private: !allPrivate() }))),
    remove: textButton("Delete", () => deleting()),
    export: textButton("Export", () => trigger("export_runs", { runs: ids() }), {
      title: "A ZIP file with settings, curves, and adapters",
    }),
  };
  const reason = h("span", { class: "quiet" });

  const matching = () =>
    sorted(found(races, search.value, dataFilter.value, stateFilter.value), sortedBy[1], down);
  const chosen = () => races.filter(({ group }) => selected.has(group));
  const ids = (of = chosen()) => of.flatMap((race) => race.runs.map((run) => run.id));
  const allPrivate = () => chosen().every((race) => race.private);
  const request = () => ({ groups: [...selected], token: props.value.token });
  // The run view knows what it shows: a visitor's last race is not in the address.
  const shown = () => {
    const runs = document.querySelector("#run [data-runs]")?.getAttribute("data-runs");
    return runs?.split(",").filter(Boolean) ?? [];
  };

  /** @param {string[]} runs */
  function show(runs) {
    tell("show-runs", runs);
    scrollUpTo(find(document, "#run"));
    draw();
  }

  function loadAll() {
    limit = ALL;
    draw();
    refresh();
  }

  /** @param {Race} race */
  function row(race) {
    const known = controls.get(race.group);
    const box =
      known?.box ??
      h("input", {
        type: "checkbox",
        onchange: () => {
          box.checked ? selected.add(race.group) : selected.delete(race.group);
          draw();
        },
      });
    box.setAttribute("aria-label", `Select ${race.name}, ${when(race.created)}`);
    box.checked = selected.has(race.group);
    const address = race.sweep
      ? linkTo({ tab: "compare", page: "settings", sweep: race.group })
      : linkTo({ tab: "train", run: ids([race]) });
    const link = known?.link ?? h("a", { href: address });
    setText(link, race.name);
    controls.set(race.group, { box, link });
    const now = shown();
    const here = ids([race]).some((id) => now.includes(id));
    link.toggleAttribute("aria-current", here);
    const states = Object.entries(race.states).map(([state, runs]) =>
      race.sweep ? `${runs} ${state}` : state,
    );
    return {
      class: here ? "shown" : null,
      cells: [
        {
          text: h(
            "span",
            { class: "select" },
            box,
            link,
            race.private ? h("span", { class: "quiet" }, "private") : null,
          ),
          title: race.summary,
        },
        { text: race.runs.map((run, place) => result(run, race.runs.slice(0, place))) },
        race.data,
        states.join(", "),
        when(race.created),
      ],
    };
  }

  /**
   * @param {RaceRun} run
   * @param {RaceRun[]} before it in its race
   */
  function result(run, before) {
    const twin = before.filter(({ method }) => method === run.method).length;
    const line = swatch(styleOf(props.lines, { method: run.method, twin }));
    const score = metricText(run.metric_name, run.metric);
    const text = run.state === "finished" ? `${score} ${run.metric_title ?? ""}` : run.state;
    return h("span", { class: "result" }, line, `${run.label} `, h("b", {}, text));
  }

  function draw() {
    const matched = matching();
    const now = JSON.stringify([matched, [...selected], shown(), sortedBy[0], down]);
    if (!asking) idle();
    if (now === drawn) return;
    drawn = now;
    const was = /** @type {HTMLElement | null} */ (document.activeElement);
    const here = was && list.element.contains(was);
    all.checked = matched.length > 0 && matched.every(({ group }) => selected.has(group));
    all.indeterminate = !all.checked && matched.some(({ group }) => selected.has(group));
    list.fill(
      COLUMNS.map((column, place) => ({
        text: place ? heads[place] : h("span", { class: "select" }, all, heads[place]),
        sort: column === sortedBy ? (down ? "descending" : "ascending") : "none",
      })),
      matched.map(row),
    );
    if (here) (was.isConnected ? was : heading).focus({ preventScroll: true });
  }

  /** Show what can be done with the selected races. */
  function idle() {
    asking = false;
    const some = chosen();
    const mine = some.length > 0 && some.every((race) => race.mine);
    const none = !ids().length;
    buttons.open.disabled = buttons.overlay.disabled = buttons.link.disabled = none;
    buttons.rename.disabled = !mine;
    buttons.export.disabled = !mine;
    buttons.hide.disabled = !mine || (allPrivate() && some.some((race) => race.own_data));
    buttons.remove.disabled = !mine || some.some((race) => race.training);
    setText(buttons.hide, some.length && allPrivate() ? "Show to all" : "Make private");
    setText(buttons.link, "Copy link");
    const others = some.some((race) => !race.mine) ? "Only the owner can change a race." : "";
    setText(reason, others || (some.some((race) => race.training) ? "Stop a race to delete it." : ""));
    setChildren(actions, [...Object.values(buttons), reason]);
  }

  async function copyLink() {
    const address = new URL(linkTo({ tab: "train", run: ids() }), location.href).href;
    try {
      await navigator.clipboard.writeText(address);
      setText(buttons.link, "Copied");
    } catch {
      actions.append(
        h("input", { readonly: true, value: address, "aria-label": "Link to the selected races" }),
      );
    }
  }

  /** @param {Promise<Done>} call */
  async function act(call) {
    const { problem } = await outcomeOf(call);
    setText(refused, problem);
    idle();
    await poll.now();
    return !problem;
  }

  function renaming() {
    asking = true;
    const field = h("input", { value: chosen()[0].name, maxlength: 120, "aria-label": "New name" });
    const onsubmit = async (/** @type {SubmitEvent} */ event) => {
      event.preventDefault();
      if (await act(server.rename({ ...request(), name: field.value }))) tell("race-renamed", null);
      buttons.rename.focus();
    };
    actions.replaceChildren(
      h(
        "form",
        { class: "rename", onsubmit },
        field,
        h("button", { type: "submit", class: "text-button" }, "Save"),
        textButton("Cancel", idle),
      ),
    );
    field.select();
  }

  function deleting() {
    asking = true;
    const gone = ids();
    const remove = async () => {
      const deleted = await act(server.remove(request()));
      heading.focus({ preventScroll: true });
      if (!deleted || !shown().some((id) => gone.includes(id))) return;
      const rest = shown().filter((id) => !gone.includes(id));
      const other = races.find((race) => !race.sweep);
      tell("show-runs", rest.length || !other ? rest : ids([other]));
    };
    const yes = textButton("Delete permanently", remove, { class: "text-button danger" });
    const what = selected.size === 1 ? "this race, its curves," : `${selected.size} races, their curves,`;
    actions.replaceChildren(h("span", {}, `Delete ${what} and adapters? `), yes, textButton("Cancel", idle));
    yes.focus();
  }

  const poll = polling({
    life,
    place: element,
    ask: () => server.races({ limit, token: props.value.token }),
    take: (/** @type {Races} */ answer) => {
      races = answer.races;
      older.hidden = !answer.more || limit === ALL;
      const groups = new Set(races.map(({ group }) => group));
      for (const group of controls.keys()) if (!groups.has(group)) controls.delete(group);
      for (const group of selected) if (!groups.has(group)) selected.delete(group);
      for (const [filter, title, values] of /** @type {const} */ ([
        [dataFilter, "All data", races.map(({ data }) => data)],
        [stateFilter, "All states", races.flatMap(({ states }) => Object.keys(states))],
      ])) {
        const options = [...new Set(values)].sort().map((value) => /** @type {const} */ ([value, value]));
        setOptions(filter, [["", title], ...options], filter.value);
      }
      body.hidden = races.length === 0;
      setText(message, races.length ? "" : "No races yet.");
      draw();
      // Only this poll tells when a race ends that trains and is not shown.
      return races.some((race) => race.training) ? EVERY : null;
    },
    lost: (away) => {
      if (away) setText(message, AWAY);
      else if (message.textContent === AWAY) setText(message, "");
    },
    looked: () => isShown(element),
  });
  const refresh = () => void poll.now();

  heard("runs-changed", life, refresh);
  refresh();
  return { update: refresh };
}
