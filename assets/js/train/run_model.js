// What is known of the shown runs, kept up to date from the server's polls. No drawing here.

import { clock } from "../shared/format.js";

/** @import { RunLasting, RunNews, RunNow, RunRows, RunsPoll } from "../payloads.js" */

/**
 * A run as far as it is known; `overlay` says what it is where it is laid over another race.
 * @typedef {RunNow & RunLasting & RunRows & Pick<RunNews, "cursor" | "more" | "place"> & {overlay?: string | null}} Run
 */

const FINAL = new Set(["finished", "stopped", "failed", "interrupted"]);
/** @param {Pick<Run, "state">} run */
export const isFinal = (run) => FINAL.has(run.state);
/** @param {Pick<Run, "state">} run */
export const isActive = (run) => ["preparing", "running", "stopping"].includes(run.state);

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
      run.steps = taken(run.steps, steps, steps);
      run.evaluations = taken(run.evaluations, evaluations, steps);
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
 * Rows with the new ones: a step that comes again was computed anew after a resume, and what stood there is void.
 * @param {RunRows["steps"]} rows
 * @param {RunRows["steps"]} news
 * @param {RunRows["steps"]} steps
 */
function taken(rows, news, steps) {
  if (news.length === 0) return rows;
  const first = Math.min(news[0][0], steps[0]?.[0] ?? Infinity);
  return rows.filter((row) => row[0] < first).concat(news);
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
 * Seconds of training until the run ends, from its own pace; null before it has one.
 * @param {Run} run
 */
function secondsLeft(run) {
  const last = run.steps.at(-1);
  if (run.state !== "running" || !last || !run.total_steps || last[0] < 3) return null;
  const recent = run.steps.slice(-40);
  const pace = recent.length > 2 ? (last[1] - recent[0][1]) / (last[0] - recent[0][0]) : last[1] / last[0];
  return Math.max(0, (run.total_steps - last[0]) * pace);
}

/**
 * Seconds until the last run of the race ends; null before the one that trains has a pace. One that waits takes what was
 * promised of it, times what this one's training takes against its own promise; without promises, as long as this one.
 * @param {Run[]} runs
 */
export function raceSecondsLeft(runs) {
  const active = runs.find(isActive),
    last = active?.steps.at(-1),
    left = active ? secondsLeft(active) : null;
  if (left === null || !last) return null;
  const training = last[1] + left,
    promised = active?.forecast?.seconds?.value;
  const evaluating = active && promised ? (evaluatingLeft(active) * training) / promised : 0;
  return runs
    .filter((run) => run.state === "queued")
    .reduce((sum, { forecast }) => {
      const { seconds, whole_seconds: whole } = forecast ?? {};
      return sum + (promised && seconds ? ((whole ?? seconds).value * training) / promised : training);
    }, left + evaluating);
}

/**
 * How far the whole race is, 0..1.
 * @param {Run[]} runs
 */
export function progress(runs) {
  const done = runs.map((run) => (isFinal(run) ? 1 : run.total_steps ? run.step / run.total_steps : 0));
  return done.reduce((sum, value) => sum + value, 0) / Math.max(1, runs.length);
}

/**
 * The status line, in words.
 * @param {Run[]} runs
 */
export function statusText(runs) {
  const active = runs.find(isActive);
  const waiting = runs.filter((run) => run.state === "queued");
  if (active) {
    const parts = [`${active.label} ${active.state}`];
    if (active.state === "preparing" && active.preparing) {
      const { text, fraction } = active.preparing;
      parts.push(fraction === null ? text : `${text}, ${Math.round(100 * fraction)} %`);
    } else if (active.total_steps) {
      parts.push(`step ${active.step} of ${active.total_steps}`);
      const left = raceSecondsLeft(runs);
      if (active.step >= active.total_steps) parts.push("evaluating");
      else if (active.state === "stopping") parts.push("a last evaluation follows");
      else if (left !== null)
        parts.push(`${clock(left)} left${waiting.length ? ` for all ${waiting.length + 1}` : ""}`);
    }
    if (waiting.length) parts.push(`next: ${waiting[0].label}`);
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
  const parts = [...FINAL]
    .filter(count)
    .map((state) =>
      count(state) < runs.length
        ? `${count(state)} ${state}`
        : runs.length > 1
          ? `all ${runs.length} ${state}`
          : state,
    );
  const text = parts.join(" · ");
  return text.charAt(0).toUpperCase() + text.slice(1);
}
