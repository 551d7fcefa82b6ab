// A run that still trains: asks every few seconds whether it has a new snapshot, while somebody looks.

import { isShown } from "../shared/shown.js";

/** @import { OpenedRun, Refused } from "../payloads.js" */
/** @import { Ask } from "../shared/part.js" */

const EVERY = 2500; // milliseconds
const TRAINING = ["queued", "preparing", "running", "stopping"];

/** @param {OpenedRun} run */
export const isTraining = ({ state }) => TRAINING.includes(state ?? "");

export class Live {
  /** @type {number | undefined} */
  #timer;

  /**
   * `ongrown(run)` is called with the run as it is now, when it has more snapshots or has ended.
   * @param {HTMLElement} place
   * @param {Ask<{run: string}, OpenedRun | Refused>} ask
   * @param {(run: OpenedRun) => void} ongrown
   */
  constructor(place, ask, ongrown) {
    this.place = place;
    this.ask = ask;
    this.ongrown = ongrown;
  }

  /**
   * Follow this run, and no other.
   * @param {OpenedRun} run
   */
  follow(run) {
    clearTimeout(this.#timer);
    if (isTraining(run)) this.#timer = setTimeout(() => this.#look(run), EVERY);
  }

  /** @param {OpenedRun} run */
  async #look(run) {
    const timer = this.#timer;
    if (!this.place.isConnected) return;
    const answer =
      document.hidden || !isShown(this.place) ? null : await this.ask({ run: run.id }).catch(() => null);
    if (timer !== this.#timer) return; // another run was chosen meanwhile
    if (!answer || !("steps" in answer)) return this.follow(run);
    if (answer.steps.length > run.steps.length || !isTraining(answer)) this.ongrown(answer);
    else this.follow(run);
  }
}
