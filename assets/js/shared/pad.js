// A square to draw on: 64 x 64 entries of -1, 0 and 1, by mouse, finger or keys.

import { ARROWS, CanvasView } from "./canvas_view.js";
import { at, ramp } from "./colors.js";
import { isShortcut } from "./dom.js";

export const SIDE = 64;
/** @typedef {(i: number, j: number) => number} Shape the entry at (i, j) */
/** @typedef {{i: number, j: number}} Place in entries, which need not be whole */

export class Pad extends CanvasView {
  cells = new Int8Array(SIDE * SIDE);
  ink = 1;
  inks = ["", "", ""];
  /** @type {Place | null} where the pen is */
  pen = null;

  /**
   * `reach`: half the pen's width, in entries. `onchange` is called after each stroke.
   * @param {{label: string, reach: number, onchange: () => void}} given
   */
  constructor({ label, reach, onchange }) {
    super({
      label: `${label} Arrow keys move the pen, the space bar draws.`,
      height: (width) => width,
    });
    this.reach = reach;
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
    context.arc((this.pen.j + 0.5) * unit, (this.pen.i + 0.5) * unit, this.reach * unit + 1, 0, 2 * Math.PI);
    context.stroke();
  }

  /** The entries as signed bytes in base64. */
  get encoded() {
    return btoa(String.fromCharCode(...new Uint8Array(this.cells.buffer)));
  }

  get drawn() {
    return this.cells.reduce((count, cell) => count + Math.abs(cell), 0);
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
      for (let i = Math.ceil(y - this.reach); i <= y + this.reach; i++)
        for (let j = Math.ceil(x - this.reach); j <= x + this.reach; j++) {
          if (i >= 0 && j >= 0 && i < SIDE && j < SIDE && Math.hypot(i - y, j - x) <= this.reach)
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
      const move = ARROWS[event.key];
      if ((!move && event.key !== " ") || isShortcut(event)) return;
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
