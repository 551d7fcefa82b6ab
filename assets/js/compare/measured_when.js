// When and where steps were measured, in a line that keeps up with the clock.

import { h, setText } from "../shared/dom.js";

/** @import { Circumstances } from "../payloads.js" */

const TOGETHER = 600; // seconds within which one measurement is done
const BUSY = 0.1;

export class Age {
  constructor() {
    /** @type {Circumstances | null} */
    this.measured = null;
    this.node = h("p", { class: "quiet age" });
    setInterval(() => this.node.isConnected && this.redraw(), 30_000);
  }

  /** @param {Circumstances | null} measured */
  show(measured) {
    this.measured = measured;
    this.redraw();
  }

  redraw() {
    if (!this.measured) {
      setText(this.node, "Step time and peak memory are not measured on this machine yet.");
      return;
    }
    const { device, first, last, others } = this.measured;
    const together =
      last - first < TOGETHER
        ? `measured ${ago(last)} on ${device}.`
        : `measured on ${device}, some ${ago(first)}, some ${ago(last)}; measure again to have all at once.`;
    const busy =
      others < BUSY
        ? ""
        : ` Other programs took up to ${Math.round(100 * others)} % of the processor meanwhile: these times are too long.`;
    setText(this.node, `Step time and peak memory: ${together}${busy}`);
  }
}

/** @param {number} time in seconds since 1970 */
function ago(time) {
  const minutes = Math.round((Date.now() / 1000 - time) / 60);
  if (minutes < 1) return "just now";
  return minutes < 100
    ? `${minutes} min ago`
    : minutes < 2880
      ? `${Math.round(minutes / 60)} hours ago`
      : `${Math.round(minutes / 1440)} days ago`;
}
