// The buttons by which the owner of a sweep or of a search stops its runs, and lets them go on.

import { setText, textButton } from "./dom.js";
import { outcomeOf } from "./request.js";

/** @import { Done, GroupRequest } from "../payloads.js" */
/** @import { Ask } from "./part.js" */

/** @typedef {Ask<GroupRequest, Done>} Act */

/**
 * Both are hidden at first. `place` says what was refused, once `look` has asked what has become of the runs.
 * @param {object} given
 * @param {string} given.stops the text of the first
 * @param {string} [given.goOnTitle]
 * @param {{stop: Act, go_on: Act}} given.server
 * @param {() => {group: string | null, token: string}} given.whose
 * @param {Element} given.place
 * @param {() => Promise<unknown>} given.look
 */
export function stopAndGoOn({ stops, goOnTitle, server, whose, place, look }) {
  const stop = textButton(stops, () => act(server.stop), { hidden: true });
  const goOn = textButton("Go on", () => act(server.go_on), { hidden: true, title: goOnTitle });

  /** @param {Act} call */
  async function act(call) {
    stop.disabled = goOn.disabled = true;
    const { problem } = await outcomeOf(call(whose()));
    stop.disabled = goOn.disabled = false;
    await look();
    if (problem) setText(place, problem);
  }

  return { stop, goOn };
}
