// The one way in which parts ask the server again and again: while somebody looks, seldom or not at all while nobody does,
// and no more once nothing runs. What parts ask in the same tick is one request.

import { drawn, failed, newest, report, together } from "./part.js";
import { RequestError } from "./request.js";

export const AWAY = "The server does not answer; trying again.";
const USUAL = 1000; // milliseconds, until an answer has said otherwise
const MAX_WAIT = 10_000; // between questions that nobody answers
const TICK = 1000; // milliseconds

/** @type {Map<() => void, number>} when each is due, in milliseconds of performance.now() */
const due = new Map();
/** @type {number | undefined} */
let timer;

/**
 * Call it once after about so many milliseconds, at the nearest tick, in place of when it was to be called.
 * @param {() => void} turn
 * @param {number} wait
 */
function schedule(turn, wait) {
  const at = performance.now() + wait;
  due.set(turn, wait ? Math.round(at / TICK) * TICK : at);
  sleep();
}

/** @param {() => void} turn */
function cancel(turn) {
  if (due.delete(turn)) sleep();
}

function sleep() {
  clearTimeout(timer);
  if (due.size) timer = setTimeout(wake, Math.min(...due.values()) - performance.now());
}

function wake() {
  const now = performance.now();
  const turns = [...due].filter(([, at]) => at <= now).map(([turn]) => turn);
  turns.forEach((turn) => due.delete(turn));
  together(() => {
    for (const turn of turns)
      try {
        turn();
      } catch (error) {
        report(error); // and the others have theirs
      }
  });
  sleep();
}

/**
 * `ask` asks; `take` shows the answer and says after how many milliseconds to ask again, or null not to, until `now()`.
 * `lost` is told whether the server answers. While the page is hidden, or `looked()` is false, `unseen()` milliseconds lie
 * between questions, or with null none is asked.
 * @template Answer
 * @param {object} given
 * @param {AbortSignal} given.life
 * @param {Element} given.place where an error is said
 * @param {() => Promise<Answer>} given.ask
 * @param {(answer: Answer) => number | null} given.take
 * @param {(away: boolean) => void} [given.lost]
 * @param {() => boolean} [given.looked]
 * @param {() => number | null} [given.unseen]
 */
export function polling({
  life,
  place,
  ask,
  take,
  lost = () => {},
  looked = () => true,
  unseen = () => null,
}) {
  const latest = newest(life);
  let every = USUAL,
    failures = 0, // one after another
    active = false;

  /** @param {number} wait */
  function later(wait) {
    if (!life.aborted) schedule(turn, wait);
  }

  /** What is due, unless nobody looks. */
  function turn() {
    if (!document.hidden && looked()) return now();
    const wait = unseen();
    return wait === null ? later(every || USUAL) : now();
  }

  /** Ask at once. */
  async function now() {
    cancel(turn);
    active = true;
    let answer;
    try {
      answer = await latest(ask());
    } catch (error) {
      if (error instanceof RequestError) lost(true);
      else failed(place, error);
      return later(Math.max(every, Math.min(MAX_WAIT, USUAL * 2 ** failures++)));
    }
    failures = 0;
    lost(false);
    drawn(place, () => {
      const next = take(answer);
      active = next !== null;
      every = next ?? USUAL;
    });
    const wait = document.hidden || !looked() ? unseen() : null;
    if (active) later(Math.max(every, wait ?? 0));
  }

  /**
   * Ask after so many milliseconds, and then again and again.
   * @param {number} wait
   */
  function begin(wait) {
    latest(null); // what is on its way may be about something else
    active = true;
    later(wait);
  }

  /** Ask no more, and drop the answer that is on its way. */
  function stop() {
    cancel(turn);
    active = false;
    latest(null);
  }

  document.addEventListener("visibilitychange", () => active && !document.hidden && looked() && later(0), {
    signal: life,
  });
  life.addEventListener("abort", stop);
  return { now, begin, stop };
}
