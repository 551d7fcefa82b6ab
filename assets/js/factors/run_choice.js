// Which run is looked at, and which one stands beside it.

import { h } from "../shared/dom.js";
import { accepted } from "./answers.js";
import { title } from "./words.js";

/** @import { InspectedRun, OpenedRun } from "../payloads.js" */
/** @import { Questions } from "./answers.js" */

/** @param {InspectedRun} run */
const option = (run) => h("option", { value: run.id }, title(run));

export class RunChoice {
  /** @type {InspectedRun[]} every run that can be looked into */
  known = [];

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
      h("label", { for: "factors-beside" }, "Beside it"),
      this.others,
    );
  }

  /** Ask which runs there are now. */
  async list() {
    this.known = accepted(await this.server.runs({})).runs;
    const chosen = this.runs.value;
    this.runs.replaceChildren(...this.known.map(option));
    if (chosen) this.runs.value = chosen;
  }

  /**
   * The run of that id; without one, of the latest race the run that has circulants to look at.
   * @param {string | null} id
   */
  first(id) {
    const linked = this.known.find((run) => run.id === id),
      race = this.known.filter(({ group }) => group === this.known[0]?.group);
    const run = linked ?? race.find(({ method }) => method === "cdvft") ?? this.known[0];
    if (run) this.runs.value = run.id;
    return { run, gone: Boolean(id) && !linked };
  }

  /**
   * Offer what may stand beside a run, those of its race first.
   * @param {OpenedRun} run
   */
  offer({ id, group }) {
    const others = this.known.filter((other) => other.id !== id);
    const race = others.filter((other) => other.group === group),
      rest = others.filter((other) => other.group !== group);
    this.others.replaceChildren(h("option", { value: "" }, "nothing"), ...[...race, ...rest].map(option));
  }

  /** The run beside, if any. */
  get beside() {
    return this.others.value || null;
  }

  /**
   * Whose numbers stand beside a run's: the chosen one's, and those of the other methods of its race.
   * @param {OpenedRun} run
   */
  companions({ id, group, method }) {
    return this.known.filter(
      (other) =>
        other.id !== id && (other.id === this.beside || (other.group === group && other.method !== method)),
    );
  }
}
