// The one way in which parts ask the server again and again: while somebody looks, seldom or not at all while nobody does,
// and no more once nothing runs.

import { drawn, newest } from "./part.js";

export const AWAY = "The server does not answer; trying again.";
const USUAL = 1000; // milliseconds, until an answer has said otherwise
const MAX_WAIT = 10_000; // between questions that nobody answers

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
  /** @type {number | undefined} */
  let timer;
  let every = USUAL,
    failures = 0, // one after another
    active = false;

  /** @param {number} wait */
  function later(wait) {
    clearTimeout(timer);
    if (!life.aborted) timer = setTimeout(turn, wait);
  }

  /** What is due, unless nobody looks. */
  function turn() {
    if (!document.hidden && looked()) return now();
    const wait = unseen();
    return wait === null ? later(every || USUAL) : now();
  }

  /** Ask at once. */
  async function now() {
    clearTimeout(timer);
    active = true;
    let answer;
    try {
      answer = await latest(ask());
    } catch {
      lost(true);
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
    clearTimeout(timer);
    active = false;
    latest(null);
  }

  document.addEventListener("visibilitychange", () => active && !document.hidden && looked() && now(), {
    signal: life,
  });
  life.addEventListener("abort", stop);
  return { now, begin, stop };
}
