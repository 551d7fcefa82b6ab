// A matrix to draw: 64 x 64 entries of -1, 0 and 1, or a few shapes.

import { actButton, find, h, segmented, setText } from "../shared/dom.js";
import { count } from "../shared/format.js";
import { Pad, SIDE } from "../shared/pad.js";

/** @import { Part } from "../shared/part.js" */
/** @import { Shape } from "../shared/pad.js" */

const PEN = 1.6; // half its width, in entries
/** @type {[string, string][]} */
const INKS = [
  ["1", "+1"],
  ["-1", "−1"],
  ["0", "erase"],
];
/** @type {Record<string, Shape>} */
const SHAPES = {
  "Shifted band": (i, j) => ([0, 1, 2, 3].includes((i - j + SIDE - 12) % SIDE) ? 1 : 0),
  Cross: (i, j) => (Math.abs(i - 31.5) < 3 || Math.abs(j - 31.5) < 3 ? 1 : 0),
  Ring: (i, j) => (Math.abs(Math.hypot(i - 31.5, j - 31.5) - 20) < 3 ? 1 : 0),
  Checks: (i, j) => (((i >> 3) + (j >> 3)) % 2 ? 1 : -1),
};

/** @param {Part<string | null>} part */
export function mount({ element, props }) {
  const said = h("p", { class: "quiet", role: "status" });
  const onchange = () => {
    props.value = pad.encoded;
    const { drawn } = pad;
    setText(
      said,
      drawn ? `${count(drawn)} of ${count(SIDE * SIDE)} entries are drawn.` : "Nothing is drawn.",
    );
  };
  const pad = new Pad({ label: `A drawing of ${SIDE} × ${SIDE} entries.`, reach: PEN, onchange });
  find(element, ".mount").replaceChildren(
    h(
      "div",
      { class: "pad-place" },
      pad.node,
      h(
        "div",
        { class: "pad-tools" },
        h(
          "p",
          {},
          `Draw a matrix of ${SIDE} × ${SIDE} entries by mouse, finger, or arrow keys and space bar.`,
        ),
        segmented("Pen", "pad-ink", INKS, "1", (ink) => {
          pad.ink = Number(ink);
        }),
        h(
          "div",
          { class: "act-row" },
          Object.entries(SHAPES).map(([name, shape]) => actButton(name, () => pad.fill(shape))),
          actButton("Clear", () => pad.fill(() => 0)),
        ),
        said,
      ),
    ),
  );
}
