// The dropdowns for the run that is shown, and for another one beside it.

import { h, setOptions } from "../shared/dom.js";
import { accepted } from "./answers.js";
import { runTitle } from "./captions.js";

/** @import { InspectedRun, OpenedRun } from "../payloads.js" */
/** @import { Questions } from "./answers.js" */

/** @param {InspectedRun} run */
const option = (run) => /** @type {const} */ ([run.id, runTitle(run)]);

const MAX_COMPANIONS = 4;

export class RunChoice {
  /** @type {InspectedRun[]} every run that has snapshots */
  available = [];

  /**
   * @param {Questions} server
   * @param {(run: string) => void} onchoose
   * @param {() => void} onbeside
   */
  constructor(server, onchoose, onbeside) {
    this.server = server;
    this.runs = h("select", { id: "factors-run", onchange: () => onchoose(this.runs.value) });
    this.others = h("select", { id: "factors-beside", onchange: onbeside });
    this.node = h(
      "div",
      { class: "choices" },
      h("label", { for: "factors-run" }, "Run"),
      this.runs,
      h("label", { for: "factors-beside" }, "Compare with"),
      this.others,
    );
  }

  /** Load the list of runs. */
  async list() {
    this.available = accepted(await this.server.runs({})).runs;
    setOptions(this.runs, this.available.map(option), this.runs.value);
  }

  /**
   * The run of that id; without one, the CDVFT run of the latest race, else that race's first.
   * @param {string | null} id
   */
  first(id) {
    const linked = this.available.find((run) => run.id === id),
      race = this.available.filter(({ group }) => group === this.available[0]?.group);
    const run = linked ?? race.find(({ method }) => method === "cdvft") ?? this.available[0];
    if (run) this.runs.value = run.id;
    return { run, gone: Boolean(id) && !linked };
  }

  /**
   * List the runs that can be shown beside a run, those of its race first.
   * @param {OpenedRun} run
   */
  offer({ id, group }) {
    const others = this.available.filter((other) => other.id !== id);
    const race = others.filter((other) => other.group === group),
      rest = others.filter((other) => other.group !== group);
    setOptions(this.others, [["", "none"], ...[...race, ...rest].map(option)], "");
  }

  /** The run beside, if any. */
  get beside() {
    return this.others.value || null;
  }

  /**
   * The runs whose singular values are drawn with a run's: the chosen one, and other methods of its race.
   * @param {OpenedRun} run
   */
  companions({ id, group, method }) {
    const others = this.available.filter(
      (other) =>
        other.id !== id && (other.id === this.beside || (other.group === group && other.method !== method)),
    );
    return others.slice(0, MAX_COMPANIONS);
  }
}
