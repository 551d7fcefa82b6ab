// The page's address: every parameter that scripts read, the one place that writes them, links inside the page, Back
// and Forward. The parameters of the Train tab's form are Python's: cdvft_app/ui/shared/form_address.py.

import { tell } from "./events.js";

/**
 * @template Value
 * @typedef {object} Kind how a value is written; what cannot be read is as if it were not there
 * @property {(text: string) => Value | null} read
 * @property {(value: Value) => string} write
 */

/** @type {Kind<string>} */
const TEXT = { read: (text) => text || null, write: (value) => value };
/** @type {Kind<number>} */
const WHOLE = { read: (text) => (/^\d{1,9}$/.test(text) ? Number(text) : null), write: String };
/** @type {Kind<string[]>} */
const LIST = { read: (text) => text.split(",").filter(Boolean), write: (values) => values.join(",") };
/** @type {Kind<{i: number, j: number}>} */
const ENTRY = {
  read: (text) => {
    const [, i, j] = text.match(/^(\d{1,6}),(\d{1,6})$/) ?? [];
    return j === undefined ? null : { i: Number(i), j: Number(j) };
  },
  write: ({ i, j }) => `${i},${j}`,
};

const PARAMETERS = {
  embed: TEXT, // "1": without the page's head, for slides and notebooks
  tab: TEXT,
  run: LIST, // ids of the runs that Train and Use show
  page: TEXT, // of Compare
  search: TEXT, // a search for settings: a group of runs
  sweep: TEXT, // a group of runs, or the recipe of a recorded sweep
  heatmap: TEXT, // the dimensions of a sweep's heatmap
  lines: TEXT, // the dimension of its lines
  reduction: TEXT, // "mean" where not the best stands for a sweep's other settings
  factors: TEXT, // the run that Factors shows
  layer: TEXT,
  step: WHOLE,
  entry: ENTRY, // of the weight update
  show: TEXT, // the part of Factors to begin with
  lesson: TEXT,
  values: TEXT, // of a lesson's controls
  answer: TEXT, // to a lesson's questions
  class: TEXT, // the code of a class that is joined
};

/** What says more about another parameter, and nothing once a link gives that one anew. */
/** @type {Partial<Record<string, (keyof typeof PARAMETERS)[]>>} */
const ABOUT = {
  sweep: ["heatmap", "lines", "reduction"],
  factors: ["layer", "step", "entry", "show"],
  lesson: ["values", "answer"],
};

/** @typedef {keyof typeof PARAMETERS} Name */
/**
 * @template {Name} One
 * @typedef {NonNullable<ReturnType<(typeof PARAMETERS)[One]["read"]>>} ValueOf
 */
/** @typedef {{[One in Name]?: ValueOf<One> | null}} Changes null takes a parameter out */

/**
 * What the address says; null where it says nothing, or nonsense.
 * @template {Name} One
 * @param {One} name
 * @returns {ValueOf<One> | null}
 */
export function asked(name) {
  const text = new URL(location.href).searchParams.get(name);
  return text === null ? null : /** @type {any} */ (PARAMETERS[name].read(text));
}

/** @param {URL} url */
const plain = (url) => url.href.replaceAll("%2C", ",").replaceAll("%7E", "~");

/**
 * @param {URL} url
 * @param {Changes} changes
 */
function changed(url, changes) {
  for (const [name, value] of Object.entries(changes)) {
    const { write } = /** @type {Kind<any>} */ (PARAMETERS[/** @type {Name} */ (name)]);
    const text = value === null ? "" : write(value);
    text ? url.searchParams.set(name, text) : url.searchParams.delete(name);
  }
  return url;
}

/**
 * Where a link leads; what it does not say stays as it is when it is followed.
 * @param {Changes} changes
 */
export const linkTo = (changes) => plain(changed(new URL("?", location.href), changes)).replace(/^[^?]*/, "");

/**
 * Let the address say what is looked at, so that a refresh, a link or another device finds it.
 * @param {Changes} changes
 * @param {{entry?: boolean}} [how] `entry`: of its own in the browser's history, to which Back leads
 */
export function keep(changes, { entry = false } = {}) {
  write(changed(new URL(location.href), changes), entry);
}

/**
 * @param {URL} url
 * @param {boolean} entry
 */
function write(url, entry) {
  if (plain(url) === plain(new URL(location.href))) return;
  history[entry ? "pushState" : "replaceState"](history.state, "", plain(url));
}

/**
 * Take parameters out that only Python knows, but for those that a link has given anew since they were read.
 * @param {string[]} names
 * @param {string} [read] the address's parameters as they were read
 */
export function forget(names, read = location.search) {
  const url = new URL(location.href);
  const before = new URLSearchParams(read);
  if (names.some((name) => url.searchParams.get(name) !== before.get(name))) return;
  for (const name of names) url.searchParams.delete(name);
  write(url, false);
}

/** @type {Map<string, number>} how often a link was followed to a tab */
const followed = new Map();
let selected = false; // whether a tab was, yet

/**
 * Gradio has selected a tab, the first one even where the address names another.
 * @param {string} tab
 * @returns {number} which changes where Python has to fill the tab by what the address says now
 */
export function tabSelected(tab) {
  const first = !selected;
  selected = true;
  // Back may have led on to another tab before this is told.
  const passed = document.getElementById(`tab-${tab}-button`)?.getAttribute("aria-selected") === "false";
  if (first ? asked("tab") === null : !passed) keep({ tab }, { entry: !first });
  return followed.get(tab) ?? 0;
}

/** Show the tab of the address, or without one the first, and tell the parts. */
function arrive() {
  const name = asked("tab") ?? (asked("class") ? "learn" : null); // a class is joined on Learn
  const named = document.getElementById(`tab-${name}-button`);
  const button = named ?? document.querySelector('#tabs [role="tab"]');
  if (button instanceof HTMLElement && button.getAttribute("aria-selected") !== "true") button.click();
  tell("address", null);
}

/** @param {URL} to another address of this page */
function follow(to) {
  const url = new URL(location.href);
  for (const name of to.searchParams.keys())
    for (const other of ABOUT[name] ?? []) url.searchParams.delete(other);
  for (const [name, value] of to.searchParams) url.searchParams.set(name, value);
  url.hash = to.hash;
  const tab = to.searchParams.get("tab") ?? "";
  followed.set(tab, (followed.get(tab) ?? 0) + 1);
  write(url, true);
  arrive();
}

/**
 * Follow a link of `linkTo`.
 * @param {string} address
 */
export const followAddress = (address) => follow(new URL(address, location.href));

/** Let links inside the page change the address and show its tab; Back and Forward, too. Once for the page. */
export function route() {
  window.addEventListener("popstate", arrive);
  document.addEventListener("click", (event) => {
    const elsewhere = event.button || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey;
    const link = event.target instanceof Element ? event.target.closest("a[href]") : null;
    if (elsewhere || event.defaultPrevented || !(link instanceof HTMLAnchorElement) || link.target) return;
    const to = new URL(link.href);
    const here = to.origin + to.pathname === location.origin + location.pathname;
    if (!here || !to.searchParams.has("tab") || link.getAttribute("href")?.startsWith("#")) return;
    event.preventDefault();
    follow(to);
  });
}
