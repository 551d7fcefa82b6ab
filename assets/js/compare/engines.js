// One layer by engine: what it moves and multiplies, its limit, and beside it what was measured.

import { h, setText } from "../shared/dom.js";
import { unbroken } from "../shared/format.js";
import { newest } from "../shared/part.js";
import { unanswered } from "../shared/request.js";
import { table } from "../shared/table.js";

/** @import { Roofline, Servers } from "../payloads.js" */

export class Engines {
  /** @param {Servers["compare/decide"]["roofline"]} ask */
  constructor(ask) {
    this.ask = ask;
    this.asked = "";
    this.latest = newest();
    this.title = h("p", { class: "engines-layer" });
    this.problem = h("p", { class: "quiet note engines-said", role: "status" });
    this.bars = h("ul", { class: "engines", role: "list", "aria-label": "Measured times and their limits" });
    this.table = table({ label: "One layer by engine" });
    this.rates = h("p", { class: "quiet note" });
    this.counted = h("div", {}, this.table.node, this.rates);
    this.node = h("div", {}, this.title, this.bars, this.problem, this.counted);
  }

  /** @param {object} request */
  async show(request) {
    const asked = JSON.stringify(request);
    if (asked === this.asked) return;
    this.asked = asked;
    if (!this.table.element.firstChild) setText(this.problem, "Counting …");
    const answer = await this.latest(this.ask(request).catch(unanswered));
    if (!answer) this.asked = ""; // to be asked again
    this.fill(answer?.shown ?? null, answer?.problem ?? "The server did not answer; open this again.");
  }

  /**
   * @param {Roofline | null} shown
   * @param {string} problem
   */
  fill(shown, problem) {
    this.counted.hidden = !shown;
    setText(this.title, shown?.title ?? "");
    setText(this.problem, shown ? shown.measured_on || shown.unmeasured : problem);
    this.bars.replaceChildren(...(shown ? bars(shown) : []));
    if (!shown) return;
    this.table.fill(
      shown.columns,
      shown.engines.map(({ texts }) => texts.map(unbroken)),
    );
    setText(this.rates, shown.rates);
  }
}

/**
 * A bar for each measured time, with a line where its limit is.
 * @param {Roofline} shown
 */
function bars({ engines }) {
  const longest = Math.max(...engines.map(({ measured, least }) => Math.max(measured ?? 0, least ?? 0)));
  return engines.flatMap(({ texts, measured, least }) =>
    measured === null || least === null
      ? []
      : h(
          "li",
          {},
          h("span", {}, texts[0]),
          h(
            "span",
            { class: "engine-time", "aria-hidden": "true" },
            h("span", { class: "engine-bar", style: `width: ${(100 * measured) / longest}%` }),
            h("span", { class: "engine-limit", style: `left: ${(100 * least) / longest}%` }),
          ),
          h("span", {}, `${texts.at(-1)}, at least ${texts[3]}`),
        ),
  );
}
