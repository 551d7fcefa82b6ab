// What is known of the shown runs, kept up to date from the server's polls. No drawing here.

import { clock } from "../shared/format.js";
import { ACTIVE, FINAL, REGRESSIONS } from "../shared/constants.js";

/** @import { RunLasting, RunNews, RunNow, RunRows, RunsPoll } from "../payloads.js" */

/**
 * A run as far as it is known; `overlay` says what it is where it is laid over another race.
 * @typedef {RunNow & RunLasting & RunRows & Pick<RunNews, "cursor" | "more" | "place"> & {overlay?: string | null}} Run
 */

/** @param {Pick<Run, "state">} run */
export const isFinal = (run) => FINAL.includes(run.state);
/** @param {Pick<Run, "state">} run */
export const isActive = (run) => ACTIVE.includes(run.state);

/**
 * What it is called among all that is shown.
 * @param {Pick<Run, "label" | "overlay">} run
 */
export const titleOf = ({ label, overlay }) => (overlay ? `${label}, ${overlay}` : label);

/** The runs that are watched, by their ids; null until the server has told of one. */
export class RunModel {
  /** @param {string[]} ids */
  constructor(ids) {
    /** @type {Map<string, Run | null>} */
    this.runs = new Map(ids.map((id) => [id, null]));
  }

  get shown() {
    return [...this.runs.values()].filter((run) => run !== null);
  }
  get cursors() {
    return Object.fromEntries([...this.runs].map(([id, run]) => [id, run?.cursor ?? 0]));
  }
  get settled() {
    return this.shown.every((run) => isFinal(run) && !run.more);
  }

  /**
   * Take a poll's answer in; true when anything that a chart shows has changed.
   * @param {RunsPoll} answer
   */
  take(answer) {
    let changed = false;
    for (const id of answer.missing) this.runs.delete(id);
    for (const news of answer.runs) {
      const { steps, evaluations, notes, answers = [], ...facts } = news;
      const known = this.runs.get(news.id) ?? { steps: [], evaluations: [], notes: [] };
      // A run's first answer has all of it.
      const run = /** @type {Run} */ (Object.assign(known, facts));
      // A step that comes again was computed anew after a resume, and what stood from there on is void.
      const first = steps[0]?.[0] ?? Infinity;
      run.steps = run.steps.filter(([step]) => step < first).concat(steps);
      run.evaluations = run.evaluations.filter(([step]) => step < first).concat(evaluations);
      run.notes.push(...notes);
      const again = Math.min(...[...steps.map(([step]) => step), ...answers.map(({ step }) => step)]);
      run.answers = (run.answers ?? []).filter(({ step }) => step < again).concat(answers);
      changed ||= steps.length + evaluations.length > 0;
      this.runs.set(news.id, run);
    }
    return changed || answer.missing.length > 0;
  }
}

/**
 * The evaluations that a curve is of: those that choose the step that is kept, where there are some.
 * @param {Pick<Run, "evaluations">} run
 */
export function curveOf({ evaluations }) {
  const choosing = evaluations.filter(([, , , validation]) => validation);
  return choosing.length ? choosing : evaluations;
}

/**
 * What their scores are called together; null where they are of several metrics.
 * @param {Pick<Run, "metric_title">[]} runs
 */
export function sharedMetric(runs) {
  const titles = new Set(runs.map((run) => run.metric_title).filter(Boolean));
  return titles.size > 1 ? null : ([...titles][0] ?? "Accuracy");
}

/**
 * The loss with its unit, where it has one: that of numbers is in squared deviations of their labels, or, of
 * earlier versions, in squares of the labels' own unit.
 * @param {Pick<Run, "metric_name" | "settings">[]} runs
 */
export function lossTitle(runs) {
  const titles = new Set(
    runs.map(({ metric_name, settings }) => {
      const own = /** @type {{ label_deviation?: number } | undefined} */ (settings.data);
      if (!REGRESSIONS.includes(metric_name ?? "")) return "Loss";
      return own?.label_deviation ? "Loss (squared error, in standard deviations)" : "Loss (squared error)";
    }),
  );
  return titles.size === 1 ? [...titles][0] : "Loss";
}

/**
 * What several races are called that are shown together.
 * @param {Pick<Run, "group" | "name">[]} runs
 */
export function titleOfAll(runs) {
  const names = [...new Map(runs.map(({ group, name }) => [group, name])).values()];
  return names.length > 2 ? `${names[0]} and ${names.length - 1} other races` : names.join(" and ");
}

/**
 * Without what is laid over it: the race of the first run.
 * @param {Run[]} runs
 */
export const shownRace = (runs) => runs.filter((run) => run.group === runs[0].group);

/**
 * Seconds of the evaluations that are still to come, the last one with them; 0 where nothing was promised of them.
 * @param {Run} run
 */
function evaluatingLeft({ forecast, evaluations }) {
  const {
    times,
    seconds,
    last_seconds: last,
  } = forecast?.evaluating ?? { times: 1, seconds: 0, last_seconds: 0 };
  return last + seconds * Math.max(0, times - 1 - evaluations.length);
}

/**
 * Seconds of training until the run ends, from its own pace, also of one that goes on later; null before it has one.
 * @param {Run} run
 */
function secondsLeft(run) {
  const last = run.steps.at(-1);
  if (isFinal(run) || !last || !run.total_steps || last[0] < 3) return null;
  const recent = run.steps.slice(-40);
  const pace = recent.length > 2 ? (last[1] - recent[0][1]) / (last[0] - recent[0][0]) : last[1] / last[0];
  return Math.max(0, (run.total_steps - last[0]) * pace);
}

/** As the forecast leaves it open for other methods on the same model: prediction/observations.py. */
export const SPREAD = 1.4;
const ONE_VALUE = 1.1; // a range whose end is not so many times its beginning is said as one value

/** @typedef {{low: number, value: number, high: number}} Range */

/**
 * Seconds until a run ends whose pace is known, with its evaluations, stretched as training came out; null for another.
 * @param {Run} run
 * @returns {Range | null}
 */
function ownSecondsLeft(run) {
  const left = secondsLeft(run),
    last = run.steps.at(-1);
  if (left === null || !last) return null;
  const promised = run.forecast?.seconds?.value;
  const value = left + (promised ? (evaluatingLeft(run) * (last[1] + left)) / promised : 0);
  return { low: value, value, high: value };
}

/**
 * Seconds until the last run of the race ends; null before one that trains has a pace, if nothing was promised of them.
 * One without a pace takes what was promised of it, times what that one's training takes against its own promise; without
 * promises, as long as that one. As many as train side by side now do so to the end. The range narrows: from the
 * promises', to what this machine's pace leaves open, to none.
 * @param {Run[]} runs
 * @returns {Range | null}
 */
export function raceSecondsLeft(runs) {
  const training = runs.filter(isActive);
  const waiting = runs.filter((run) => run.state === "queued");
  const paced = training.find(ownSecondsLeft);
  if (!paced) {
    const promises = [...training, ...waiting].map(
      (run) => ownSecondsLeft(run) ?? run.forecast?.whole_seconds,
    );
    const begun = training.every((run) => run.state === "preparing" || run.steps.length === 0);
    if (!training.length || !begun || !promises.every(Boolean)) return null;
    return sideBySide(/** @type {Range[]} */ (promises), training.length);
  }
  const whole = /** @type {RunRows["steps"][number]} */ (paced.steps.at(-1))[1] + (secondsLeft(paced) ?? 0),
    promised = paced.forecast?.seconds?.value;
  const lasting = [...training, ...waiting].map((run) => {
    const promise = run.forecast?.whole_seconds ?? run.forecast?.seconds;
    const value = promised && promise ? (promise.value * whole) / promised : whole;
    const low = Math.max(value / SPREAD, Math.min(promise?.low ?? 0, value));
    const high = Math.min(value * SPREAD, Math.max(promise?.high ?? Infinity, value));
    return ownSecondsLeft(run) ?? { low, value, high };
  });
  return sideBySide(lasting, training.length);
}

/**
 * How long all take where so many train at a time, each next one as soon as there is room.
 * @param {Range[]} ranges
 * @param {number} atOnce
 * @returns {Range}
 */
function sideBySide(ranges, atOnce) {
  /** @param {(range: Range) => number} seconds */
  const last = (seconds) => {
    const ends = Array(atOnce).fill(0);
    for (const range of ranges) ends[ends.indexOf(Math.min(...ends))] += seconds(range);
    return Math.max(...ends);
  };
  return { low: last((one) => one.low), value: last((one) => one.value), high: last((one) => one.high) };
}

/**
 * 0:50, or 0:40 to 1:10.
 * @param {Range} range
 */
const rangeText = ({ low, value, high }) =>
  high < ONE_VALUE * low || clock(low) === clock(high) ? clock(value) : `${clock(low)} to ${clock(high)}`;

/**
 * How far the whole race is, 0..1.
 * @param {Run[]} runs
 */
export function progress(runs) {
  const done = runs.map((run) => (isFinal(run) ? 1 : run.total_steps ? run.step / run.total_steps : 0));
  return done.reduce((sum, value) => sum + value, 0) / Math.max(1, runs.length);
}

/**
 * @param {Range} left
 * @param {number} many
 */
const leftText = (left, many) => `${rangeText(left)} left${many > 1 ? ` for all ${many}` : ""}`;

/**
 * The status line, in words.
 * @param {Run[]} runs
 */
export function statusText(runs) {
  const active = runs.find(isActive);
  const beside = runs.filter(isActive).length - 1;
  const waiting = runs.filter((run) => run.state === "queued");
  const unfinished = 1 + beside + waiting.length;
  if (active) {
    const parts = [`${active.label} ${active.state}${beside ? `, ${beside} more` : ""}`];
    if (active.state === "preparing" && active.preparing) {
      const { text, fraction } = active.preparing;
      parts.push(fraction === null ? text : `${text}, ${Math.round(100 * fraction)} %`);
      const left = raceSecondsLeft(runs);
      if (left) parts.push(leftText(left, unfinished));
    } else if (active.total_steps) {
      parts.push(`step ${active.step} of ${active.total_steps}`);
      const left = raceSecondsLeft(runs);
      if (active.step >= active.total_steps) parts.push("evaluating");
      else if (active.state === "stopping") parts.push("a last evaluation follows");
      else if (left !== null) parts.push(leftText(left, unfinished));
    }
    if (waiting.length) parts.push(`next: ${waiting[0].label}`);
    const lent = runs.reduce((all, run) => all + (run.lent_seconds ?? 0), 0);
    if (lent) parts.push(`${Math.round(lent)} GPU seconds so far`);
    return parts.join(" · ");
  }
  if (waiting.length) {
    const place = waiting[0].place ?? 1;
    return place > 1
      ? `${waiting[0].label} queued · place ${place} in the queue`
      : `${waiting[0].label} queued · starts as soon as the worker is free`;
  }
  /** @param {string} state */
  const count = (state) => runs.filter((run) => run.state === state).length;
  const parts = FINAL.filter(count).map((state) =>
    count(state) < runs.length
      ? `${count(state)} ${state}`
      : runs.length > 1
        ? `all ${runs.length} ${state}`
        : state,
  );
  const text = parts.join(" · ");
  return text.charAt(0).toUpperCase() + text.slice(1);
}
