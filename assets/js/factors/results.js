// How a run predicts its held-out examples without the weight update, with a constant vector instead, and with it.

import { h, setText } from "../shared/dom.js";
import { alignedPercent, short } from "../shared/format.js";

/** @import { Effects } from "../payloads.js" */

export class Results {
  constructor() {
    this.caption = h("p", { class: "quiet", "aria-live": "polite" });
    this.rows = h("tbody");
    this.node = h(
      "div",
      { class: "told-of-run" },
      this.caption,
      h("table", { class: "switched" }, this.rows),
    );
  }

  /** Clear the table until the results of a run arrive. */
  clear() {
    setText(this.caption, "");
    this.rows.replaceChildren();
  }

  /**
   * @param {Effects} effects the newest answer
   * @param {number} done layers
   * @param {number} all layers
   */
  show({ rows, off, shifts, trained, next }, done, all) {
    const counted = trained.right !== null;
    const progress = next === null ? "" : ` · ${done} of ${all} layers evaluated`;
    setText(
      this.caption,
      counted
        ? `Correct on the first ${rows} held-out examples${progress}`
        : `Loss on the first ${rows} held-out examples${progress}`,
    );
    const largest = counted ? rows : Math.max(off.loss, shifts.loss, trained.loss);
    const entries = /** @type {const} */ ([
      ["Update off", "ΔW is removed from every layer. The trained head stays.", off],
      ["Constant vector", "ΔW x of every layer is replaced by its mean over the held-out inputs.", shifts],
      ["Trained", "ΔW as trained.", trained],
    ]);
    this.rows.replaceChildren(
      ...entries.map(([name, hint, { right, loss }]) => {
        const value = right ?? loss;
        const part = h("span", { style: `width:${((100 * value) / largest).toFixed(1)}%` });
        return h(
          "tr",
          { title: hint },
          h("th", { scope: "row" }, name),
          h("td", {}, h("span", { class: "effect-bar" }, part)),
          h(
            "td",
            { class: "number" },
            right === null ? short(loss) : `${right} (${alignedPercent(right / rows)})`,
          ),
        );
      }),
    );
  }
}
