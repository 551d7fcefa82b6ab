// The runs of the history as a table: searched, filtered, sorted; several chosen at once are compared, tagged, deleted
// and taken along.

import { h, setChildren, setOptions, setText, styleOf, swatch, textButton } from "../shared/dom.js";
import { count, metricText, timeText, when } from "../shared/format.js";
import { newest } from "../shared/part.js";
import { outcomeOf, unanswered } from "../shared/request.js";
import { linkTo } from "../shared/router.js";
import { FINAL } from "../shared/constants.js";
import { exports, table } from "../shared/table.js";
import { HINTS } from "./scoreboard.js";

/** @import { Done, HistoryRun, Servers, Styled } from "../payloads.js" */

/**
 * @typedef {object} Column
 * @property {string} key
 * @property {string} title
 * @property {(run: HistoryRun) => string | number | null} value by which it is sorted
 * @property {string} [hint]
 */

/** @type {Column[]} */
const COLUMNS = [
  { key: "name", title: "Race", value: (run) => run.name },
  { key: "label", title: "Method", value: (run) => run.label },
  { key: "data", title: "Data", value: (run) => run.data },
  { key: "state", title: "State", value: (run) => run.state },
  { key: "metric", title: "Score", value: (run) => run.metric },
  {
    key: "parameters",
    title: "Parameters",
    value: (run) => run.trainable_parameters,
    hint: HINTS.parameters,
  },
  { key: "seconds", title: "Training", value: (run) => run.seconds, hint: HINTS.time },
  { key: "created", title: "Begun", value: (run) => run.created },
  { key: "tags", title: "Tags", value: (run) => run.tags.join(" ") },
];

/** @type {[name: string, title: string, of: (run: HistoryRun) => string[]][]} */
const FILTERS = [
  ["data", "Data", (run) => [run.data]],
  ["method", "Method", (run) => [run.method_title]],
  ["state", "State", (run) => [run.state]],
  ["tag", "Tag", (run) => run.tags],
];
const AT_ONCE = 100; // rows that are drawn; more at a press

/**
 * Runs in order; those without a value come last, whichever way it goes.
 * @param {HistoryRun[]} runs
 * @param {Column} column
 * @param {boolean} down
 */
export function sorted(runs, { value }, down) {
  const given = runs.filter((run) => value(run) !== null);
  given.sort((one, other) => {
    const [left, right] = [value(one), value(other)];
    const order =
      typeof left === "number" && typeof right === "number"
        ? left - right
        : String(left).localeCompare(String(right), undefined, { numeric: true });
    return down ? -order : order;
  });
  return [...given, ...runs.filter((run) => value(run) === null)];
}

/**
 * Those that have every word that is searched, and what the filters say; an empty filter says nothing.
 * @param {HistoryRun[]} runs
 * @param {string} searched
 * @param {Record<string, string>} filters
 */
export function found(runs, searched, filters) {
  const words = searched.toLowerCase().split(/\s+/).filter(Boolean);
  return runs.filter((run) => {
    const text = [run.name, run.label, run.data, run.state, run.id, ...run.tags.map((tag) => `#${tag}`)]
      .join(" ")
      .toLowerCase();
    return (
      words.every((word) => text.includes(word)) &&
      FILTERS.every(([name, , of]) => !filters[name] || of(run).includes(filters[name]))
    );
  });
}

/**
 * A field for a word, Save and Cancel.
 * @param {import("../shared/dom.js").Attributes} attributes of the field
 * @param {(word: string) => void} save
 * @param {() => void} quit
 */
export function wordForm(attributes, save, quit) {
  const field = h("input", { type: "text", ...attributes });
  const onsubmit = (/** @type {SubmitEvent} */ event) => {
    event.preventDefault();
    save(field.value);
  };
  const form = h(
    "form",
    { class: "rename", onsubmit },
    field,
    h("button", { type: "submit", class: "text-button" }, "Save"),
    textButton("Cancel", quit),
  );
  return { form, field };
}

/**
 * @param {object} given
 * @param {Servers["train/history"]} given.server
 * @param {() => string} given.token
 * @param {Styled["lines"]} given.lines
 * @param {AbortSignal} given.life
 * @param {(runs: string[]) => void} given.compare
 * @param {(runs: string[]) => void} given.take has a file made of them
 * @param {() => void} given.changed the history has, which then calls `refresh`
 */
export function historyTable({ server, token, lines, life, compare, take, changed }) {
  const latest = newest(life);
  /** @type {HistoryRun[]} */
  let runs = [];
  let more = false;
  let [sortedBy, down] = [COLUMNS[7], true];
  let shownRows = AT_ONCE;
  /** @type {Set<string>} */
  const chosen = new Set();
  /** @type {Record<string, string>} */
  const filters = {};
  let answered = ""; // what the server has said last
  let asking = false; // a tag is being typed, or a deletion confirmed

  const search = h("input", {
    type: "search",
    placeholder: "Search",
    "aria-label": "Search the history",
    oninput: () => draw(),
  });
  const selects = FILTERS.map(([name, title]) =>
    h("select", {
      "aria-label": `Filter by ${title.toLowerCase()}`,
      onchange: (event) => {
        filters[name] = event.target.value;
        draw();
      },
    }),
  );
  const message = h("p", { class: "quiet", role: "status" });
  const refused = h("p", { class: "problem", role: "status" });
  const actions = h("div", {
    class: "actions",
    onkeydown: (event) => event.key === "Escape" && asking && idle(),
  });
  const ids = () => runs.filter((run) => chosen.has(run.id)).map((run) => run.id);
  const buttons = {
    compare: textButton("Compare", () => compare(ids()), { title: "Draw them in one chart" }),
    link: textButton("", () => copyLink(ids())),
    take: textButton("Take along", () => take(ids()), { title: "A zip with curves and adapters" }),
    tag: textButton("Tag", () => tagging(ids())),
    remove: textButton("Delete", () => deleting(ids())),
  };
  const why = h("span", { class: "quiet" });
  const list = table({ label: "Runs of the history", class: "numbers history-table" });
  const further = textButton(
    "Show more rows",
    () => {
      shownRows += AT_ONCE;
      draw();
    },
    { hidden: true },
  );
  const all = h("input", {
    type: "checkbox",
    "aria-label": "Choose all that are found",
    onchange: () => {
      for (const run of matching()) all.checked ? chosen.add(run.id) : chosen.delete(run.id);
      draw();
    },
  });
  const heads = COLUMNS.map((column) =>
    textButton(column.title, () => {
      [sortedBy, down] = [
        column,
        column === sortedBy ? !down : runs.some((run) => typeof column.value(run) === "number"),
      ];
      draw();
    }),
  );
  /** @type {Map<string, HTMLInputElement>} kept, so that the focus stays where the table is drawn anew */
  const boxes = new Map();
  const node = h(
    "div",
    { class: "history-runs", hidden: true },
    h("div", { class: "filters" }, search, selects),
    actions,
    refused,
    message,
    list.node,
    further,
    exports("Runs", () =>
      picked().map((run) => ({
        run: run.id,
        race: run.name,
        method: run.label,
        data: run.data,
        state: run.state,
        metric: run.metric_name,
        score: run.metric,
        parameters: run.trainable_parameters,
        seconds: run.seconds,
        begun: new Date(1000 * run.created).toISOString(),
        tags: run.tags.join(" "),
      })),
    ),
  );

  const matching = () => sorted(found(runs, search.value, filters), sortedBy, down);
  const picked = () => {
    const some = runs.filter((run) => chosen.has(run.id));
    return some.length ? some : matching();
  };

  /** @param {HistoryRun} run */
  function box(run) {
    const known = boxes.get(run.id);
    const made =
      known ??
      h("input", {
        type: "checkbox",
        onchange: () => {
          made.checked ? chosen.add(run.id) : chosen.delete(run.id);
          draw();
        },
      });
    made.setAttribute("aria-label", `Choose ${run.label}, ${run.name}, ${when(run.created)}`);
    made.checked = chosen.has(run.id);
    boxes.set(run.id, made);
    return made;
  }

  /** @param {HistoryRun} run */
  function row(run) {
    const link = h("a", { href: linkTo({ tab: "train", run: [run.id] }) }, run.name);
    const score = metricText(run.metric_name, run.metric);
    return [
      { text: h("span", { class: "choose" }, box(run), link) },
      {
        text: h("span", { class: "method-cell" }, swatch(styleOf(lines, { method: run.method })), run.label),
      },
      run.data,
      run.state,
      { text: score ? `${score} ${run.metric_title ?? ""}` : "–" },
      count(run.trainable_parameters) || "–",
      timeText(run.seconds),
      when(run.created),
      run.tags.map((tag) => `#${tag}`).join(" ") || "–",
    ];
  }

  function draw() {
    const was = /** @type {HTMLElement | null} */ (document.activeElement);
    const here = was && list.element.contains(was);
    const matched = matching();
    all.checked = matched.length > 0 && matched.every((run) => chosen.has(run.id));
    all.indeterminate = !all.checked && matched.some((run) => chosen.has(run.id));
    list.fill(
      COLUMNS.map((column, place) => ({
        text: place ? heads[place] : h("span", { class: "choose" }, all, heads[place]),
        title: column.hint,
        sort: column === sortedBy ? (down ? "descending" : "ascending") : "none",
      })),
      matched.slice(0, shownRows).map(row),
    );
    if (here) was.focus({ preventScroll: true });
    further.hidden = matched.length <= shownRows;
    const earlier = more ? " Earlier runs are listed by python -m cdvft_app runs." : "";
    if (!asking) idle();
    setText(
      message,
      runs.length === 0
        ? "No run yet."
        : `${matched.length} of ${runs.length} runs${chosen.size ? `, ${chosen.size} chosen` : ""}.${earlier}`,
    );
  }

  /** What can be done with those that are chosen. */
  function idle() {
    asking = false;
    const some = runs.filter((run) => chosen.has(run.id));
    const none = some.length === 0;
    const held = some.some((run) => !run.mine)
      ? "Only who started a run can tag or delete it."
      : some.some((run) => !FINAL.includes(run.state))
        ? "Stop what trains to delete it."
        : "";
    const others = some.some((run) => !run.mine);
    for (const button of Object.values(buttons)) button.disabled = none;
    buttons.tag.disabled ||= others;
    buttons.remove.disabled ||= held !== "";
    setText(buttons.link, "Copy link");
    setText(why, held);
    setChildren(actions, [...Object.values(buttons), why]);
  }

  /** @param {string[]} runs */
  async function copyLink(runs) {
    const address = new URL(linkTo({ tab: "train", run: runs }), location.href).href;
    try {
      await navigator.clipboard.writeText(address);
      setText(buttons.link, "Copied");
    } catch {
      actions.append(h("input", { readonly: true, value: address, "aria-label": "Link to the chosen runs" }));
    }
  }

  /** @param {Promise<Done>} call */
  async function act(call) {
    const { problem } = await outcomeOf(call);
    setText(refused, problem);
    asking = false;
    draw();
    changed();
  }

  /** @param {string[]} ids */
  function tagging(ids) {
    asking = true;
    setText(refused, "");
    const { form, field } = wordForm(
      { maxlength: 30, "aria-label": "Tag for the chosen runs" },
      (tag) => void act(server.tag({ runs: ids, tag, token: token() })),
      idle,
    );
    actions.replaceChildren(form);
    field.focus();
  }

  /** @param {string[]} ids */
  function deleting(ids) {
    asking = true;
    setText(refused, "");
    const yes = textButton(
      "Delete for good",
      () => {
        chosen.clear();
        void act(server.remove({ runs: ids, token: token() }));
      },
      { class: "text-button danger" },
    );
    const what =
      ids.length === 1
        ? "this run, its curve and adapter"
        : `these ${ids.length} runs, their curves and adapters`;
    actions.replaceChildren(h("span", {}, `Delete ${what}? `), yes, textButton("Keep", idle));
    yes.focus();
  }

  async function refresh() {
    const answer = await latest(server.runs({ token: token() }).catch(unanswered));
    if (!answer) return; // the poll says that the server is away
    if (JSON.stringify(answer) === answered) return;
    answered = JSON.stringify(answer);
    ({ runs, more } = answer);
    const here = new Set(runs.map((run) => run.id));
    for (const id of chosen) if (!here.has(id)) chosen.delete(id);
    for (const id of boxes.keys()) if (!here.has(id)) boxes.delete(id);
    for (const [place, [name, title, of]] of FILTERS.entries()) {
      const values = [...new Set(runs.flatMap(of))].sort((one, other) => one.localeCompare(other));
      if (!values.includes(filters[name])) filters[name] = "";
      const choices = values.map((value) => /** @type {const} */ ([value, value]));
      setOptions(selects[place], [["", `${title}: all`], ...choices], filters[name]);
    }
    if (!asking) draw();
  }

  return { node, refresh };
}
