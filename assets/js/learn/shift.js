// Lesson 1: a circulant is a shift register.

import { h } from "../shared/dom.js";
import { short, subscript } from "../shared/format.js";
import { BlockCirculant } from "../shared/circulant.js";
import { at, readable } from "../shared/colors.js";
import { Heatmap } from "../shared/heatmap.js";
import { numbers, renderLesson } from "./parts.js";
import { vectorBars } from "./vector_bars.js";

/** @import { LessonFixed } from "../payloads.js" */
/** @import { Part } from "../shared/part.js" */

const D = 12;

/** A heatmap that names every entry and frames those of one wrapped diagonal. */
class NamedCells extends Heatmap {
  marked = 0;
  /** @type {Float64Array} the matrix's first column */
  c = new Float64Array();

  /** @param {CanvasRenderingContext2D} context */
  draw(context) {
    super.draw(context);
    const { x, y, unit } = this.frame,
      size = Math.min(13, unit * 0.5);
    context.textAlign = "center";
    context.textBaseline = "middle";
    this.font(context, size);
    const inks = ["var(--paper)", "var(--ink)"].map((name) => this.color(name));
    const ink = Array.from(this.c, (value) => readable(inks, at(this.ramp, (value / this.limit + 1) / 2)));
    for (let i = 0; i < D; i++)
      for (let j = 0; j < D; j++) {
        const k = (i - j + D) % D;
        context.fillStyle = ink[k];
        context.fillText(`c${subscript(k)}`, x + (j + 0.5) * unit, y + (i + 0.5) * unit);
      }
    context.strokeStyle = this.color("var(--ink)");
    context.lineWidth = 2;
    for (let j = 0; j < D; j++) {
      context.strokeRect(x + j * unit + 1, y + ((j + this.marked) % D) * unit + 1, unit - 2, unit - 2);
    }
  }

  drawOver() {}
}

/** @param {Part<null, LessonFixed>} part */
export function mount({ element, props }) {
  const c = Float64Array.from(
    { length: D },
    (_, k) => [1, 0.62, 0.2, -0.1, -0.34, -0.2, 0, 0, 0.1, 0, 0.3, 0.7][k],
  );
  const matrix = new BlockCirculant(c, 1, 1, D, D, D),
    readout = numbers();
  const picture = new NamedCells({
    label: "circ(c): every column is the one before, moved down by one place",
    onmove: (cursor) => {
      if (cursor) point((cursor.i - cursor.j + D) % D);
    },
  });
  const point = (/** @type {number} */ k) => {
    picture.marked = k;
    picture.redraw();
    readout.set([
      [short(c[k]), `c${subscript(k)}, framed: it stands in ${D} places, once in every row and every column`],
      [`${D} → ${D * D}`, `${D} numbers fill all ${D * D} entries`],
    ]);
  };
  const bars = vectorBars({ values: c, name: "c", onpoint: point, onchange: () => picture.redraw() });
  renderLesson(
    element,
    props,
    h(
      "div",
      { class: "register" },
      h("div", { class: "panel" }, h("p", { class: "caption" }, "c, drag its bars"), bars),
      h("figure", { class: "panel" }, h("figcaption", {}, "circ(c)"), picture.node),
    ),
    readout.node,
  );
  picture.c = c;
  picture.show(matrix, { limit: 1 });
  point(0);
}
