// The verdict on a race that is over, asked once; until then there is none.

import { newest } from "../shared/part.js";
import { unanswered } from "../shared/request.js";
import { isFinal } from "./run_model.js";

/** @import { RaceVerdict, Servers } from "../payloads.js" */
/** @import { Run } from "./run_model.js" */

/** @type {Pick<RaceVerdict, "leaders" | "sentences">} */
const NONE = { leaders: [], sentences: [] };

export class Judged {
  /** of which runs the verdict is shown, or asked for */
  over = "";

  /**
   * @param {Servers["train/run_view"]["verdict"]} ask
   * @param {(verdict: typeof NONE) => void} show
   */
  constructor(ask, show) {
    this.ask = ask;
    this.show = show;
    this.latest = newest();
  }

  /** @param {Run[]} race */
  async see(race) {
    const over = race.length > 1 && race.every(isFinal) ? race.map((run) => run.id).join() : "";
    if (over === this.over) return;
    this.over = over;
    this.show(NONE);
    const verdict = await this.latest(over ? this.ask({ runs: over.split(",") }).catch(unanswered) : NONE);
    if (!verdict) this.over = ""; // asked again when something changes
    this.show(verdict ?? NONE);
  }
}
