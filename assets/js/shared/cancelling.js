// Events of Gradio's that the page can cancel, and when such a one is over.

import { heard } from "./events.js";

/** @import { Events } from "./events.js" */

/**
 * Listen to `failed` and `ended`, which Gradio's `failure` and `then` of the event tell. A cancelled event is told of three
 * times, sooner or later: the cancelling says that it failed and that it ended, the event itself that it failed or, if it
 * was done just then, that it ended. Who begins another before the cancelling has said both has that one cancelled.
 * @param {object} given
 * @param {keyof Events} given.failed
 * @param {keyof Events} given.ended
 * @param {AbortSignal} given.life
 * @param {() => void} given.over it was cancelled, and another may begin
 * @param {() => void} given.broken it failed, and nobody had cancelled it
 * @returns {() => void} to be called when it is cancelled
 */
export function cancelling({ failed, ended, life, over, broken }) {
  /** @type {Set<keyof Events> | null} what the last cancelling has said */
  let said = null;
  let expected = 0; // of both, still to come of what was cancelled
  for (const event of [failed, ended])
    heard(event, life, () => {
      if (!expected) return event === failed ? broken() : undefined;
      expected--;
      if (said?.add(event).size !== 2) return;
      said = null;
      over();
    });
  return () => {
    said = new Set();
    expected += 3;
  };
}
