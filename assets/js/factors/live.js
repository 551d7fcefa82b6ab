// A run that still trains: asks every few seconds whether it has a new snapshot, while somebody looks.

import { polling } from "../shared/polling.js";
import { FINAL } from "../shared/constants.js";
import { isShown } from "../shared/shown.js";

/** @import { OpenedRun, Servers } from "../payloads.js" */

const EVERY = 2500; // milliseconds

/** @param {OpenedRun} run */
export const isTraining = ({ state }) => !!state && !FINAL.includes(state);

/**
 * Follow a run, and no other, with what is returned; `grown(run)` is called with it as it is now, when it has more
 * snapshots or has ended.
 * @param {HTMLElement} place
 * @param {AbortSignal} life
 * @param {Servers["factors/tab"]["open"]} ask
 * @param {(run: OpenedRun) => void} grown
 */
export function live(place, life, ask, grown) {
  /** @type {OpenedRun} */
  let followed;
  const poll = polling({
    life,
    place,
    ask: () => ask({ run: followed.id }),
    take: (answer) => {
      if (!("steps" in answer) || (answer.steps.length <= followed.steps.length && isTraining(answer)))
        return EVERY;
      grown(answer);
      return null; // until it is followed again
    },
    looked: () => isShown(place),
  });
  return (/** @type {OpenedRun} */ run) => {
    followed = run;
    if (isTraining(run)) poll.begin(EVERY);
    else poll.stop();
  };
}
