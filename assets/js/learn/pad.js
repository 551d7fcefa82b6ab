// A matrix to draw: 64 x 64 entries of -1, 0 and 1, by mouse, finger, keys, or from a few shapes.

import { CanvasView } from "../shared/canvas_view.js";
import { find, h, segmented, setText } from "../shared/dom.js";
import { at, ramp } from "../shared/colors.js";

/** @import { Part } from "../shared/part.js" */

const SIDE = 64,
  PEN = 1.6; // half the pen's width, in entries
/** @type {[string, string][]} */
const INKS = [
  ["1", "+1"],
  ["-1", "−1"],
  ["0", "erase"],
];
/** @typedef {(i: number, j: number) => number} Shape the entry at (i, j) */
/** @type {Record<string, Shape>} */
const SHAPES = {
  "Shifted band": (i, j) => ([0, 1, 2, 3].includes((i - j + SIDE - 12) % SIDE) ? 1 : 0),
  Cross: (i, j) => (Math.abs(i - 31.5) < 3 || Math.abs(j - 31.5) < 3 ? 1 : 0),
  Ring: (i, j) => (Math.abs(Math.hypot(i - 31.5, j - 31.5) - 20) < 3 ? 1 : 0),
  Checks: (i, j) => (((i >> 3) + (j >> 3)) % 2 ? 1 : -1),
};

/** @typedef {{i: number, j: number}} Place in entries, which need not be whole */
/** @type {Record<string, [number, number] | undefined>} */
const MOVES = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };

class Pad extends CanvasView {
  cells = new Int8Array(SIDE * SIDE);
  ink = 1;
  inks = ["", "", ""];
  /** @type {Place | null} where the pen is */
  pen = null;

  /** @param {() => void} onchange */
  constructor(onchange) {
    super({
      label: `A drawing of ${SIDE} × ${SIDE} entries. Arrow keys move the pen, the space bar draws.`,
      height: (width) => width,
    });
    this.onchange = onchange;
    this.node.classList.add("pad");
    this.#listen();
  }

  recolor() {
    super.recolor();
    const scale = ramp(this.node, "diverging");
    this.inks = [at(scale, 0), at(scale, 0.5), at(scale, 1)];
  }

  /** @param {CanvasRenderingContext2D} context */
  draw(context) {
    const unit = this.width / SIDE;
    context.fillStyle = this.inks[1];
    context.fillRect(0, 0, this.width, this.tall);
    this.cells.forEach((cell, place) => {
      if (!cell) return;
      context.fillStyle = this.inks[cell + 1];
      context.fillRect((place % SIDE) * unit, Math.floor(place / SIDE) * unit, unit + 0.5, unit + 0.5);
    });
    context.strokeStyle = this.color("var(--rule-strong)");
    context.strokeRect(0.5, 0.5, this.width - 1, this.tall - 1);
  }

  /** @param {CanvasRenderingContext2D} context */
  drawOver(context) {
    if (!this.pen) return;
    const unit = this.width / SIDE;
    context.strokeStyle = this.color("var(--ink)");
    context.beginPath();
    context.arc((this.pen.j + 0.5) * unit, (this.pen.i + 0.5) * unit, PEN * unit + 1, 0, 2 * Math.PI);
    context.stroke();
  }

  /** @param {Shape} shape */
  fill(shape) {
    this.cells.forEach((_, place) => {
      this.cells[place] = shape(Math.floor(place / SIDE), place % SIDE);
    });
    this.redraw();
    this.onchange();
  }

  /**
   * Draw from one entry to another; the caller tells of the change when the stroke has ended.
   * @param {Place} from
   * @param {Place} to
   */
  stroke(from, to) {
    const steps = Math.max(1, Math.ceil(Math.hypot(to.i - from.i, to.j - from.j)));
    for (let step = 0; step <= steps; step++) {
      const y = from.i + ((to.i - from.i) * step) / steps,
        x = from.j + ((to.j - from.j) * step) / steps;
      for (let i = Math.ceil(y - PEN); i <= y + PEN; i++)
        for (let j = Math.ceil(x - PEN); j <= x + PEN; j++) {
          if (i >= 0 && j >= 0 && i < SIDE && j < SIDE && Math.hypot(i - y, j - x) <= PEN)
            this.cells[i * SIDE + j] = this.ink;
        }
    }
    this.redraw();
  }

  /** @param {PointerEvent} event */
  #entryAt(event) {
    const box = this.canvas.getBoundingClientRect();
    return {
      i: ((event.clientY - box.top) / box.height) * SIDE - 0.5,
      j: ((event.clientX - box.left) / box.width) * SIDE - 0.5,
    };
  }

  #listen() {
    /** @type {Place | null} */
    let last = null;
    this.node.addEventListener("pointerdown", (event) => {
      if (event.button) return;
      this.node.setPointerCapture(event.pointerId);
      this.pen = last = this.#entryAt(event);
      this.stroke(last, last);
    });
    this.node.addEventListener("pointermove", (event) => {
      this.pen = this.#entryAt(event);
      if (last) {
        this.stroke(last, this.pen);
        last = this.pen;
      }
      this.redrawOver();
    });
    const end = () => {
      if (last) {
        last = null;
        this.onchange();
      }
    };
    this.node.addEventListener("pointerup", end);
    this.node.addEventListener("pointercancel", end);
    this.node.addEventListener("pointerleave", () => {
      if (!last) {
        this.pen = null;
        this.redrawOver();
      }
    });
    this.node.addEventListener("keydown", (event) => {
      const move = MOVES[event.key];
      if (!move && event.key !== " ") return;
      event.preventDefault();
      const from = this.pen ?? { i: SIDE / 2, j: SIDE / 2 },
        inside = (/** @type {number} */ k) => Math.min(SIDE - 1, Math.max(0, Math.round(k)));
      this.pen = move ? { i: inside(from.i + move[0]), j: inside(from.j + move[1]) } : from;
      if (event.key === " ") {
        this.stroke(this.pen, this.pen);
        this.onchange();
      }
      this.redrawOver();
    });
  }
}

/** @param {Part<string | null>} part */
export function mount({ element, props }) {
  const said = h("p", { class: "quiet", role: "status" });
  const pad = new Pad(() => {
    props.value = btoa(String.fromCharCode(...new Uint8Array(pad.cells.buffer)));
    const drawn = pad.cells.reduce((count, cell) => count + Math.abs(cell), 0);
    setText(
      said,
      drawn
        ? `${drawn.toLocaleString("en-US")} of ${(SIDE * SIDE).toLocaleString("en-US")} entries are drawn.`
        : "Nothing is drawn.",
    );
  });
  /**
   * @param {string} text
   * @param {Shape} shape
   */
  const button = (text, shape) =>
    h("button", { type: "button", class: "act", onclick: () => pad.fill(shape) }, text);
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
          Object.entries(SHAPES).map(([name, shape]) => button(name, shape)),
          button("Clear", () => 0),
        ),
        said,
      ),
    ),
  );
}
