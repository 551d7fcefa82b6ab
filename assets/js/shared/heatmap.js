// A signed matrix as a heatmap: diverging colours around zero, zoom, a cursor on an entry.
//
// Its entries are computed when they are drawn (see circulant.js), so that 768 x 768 redraws in a few milliseconds and 4096 x 4096 does not need its 64 MB.
// Mouse: drag to pan, double click to zoom in, Ctrl and wheel (or pinch). Keys: arrows, + - 0, Escape.

import { context2d, isShortcut } from "./dom.js";
import { ARROWS, CanvasView } from "./canvas_view.js";
import { paint, ramp } from "./colors.js";
import { every } from "./sampling.js";

/** @import { Matrix } from "./circulant.js" */

/** @typedef {{i: number, j: number}} Place of an entry */
/** @typedef {Place & {rows: number, cols: number}} Part of a matrix, in entries */

const MAX_ENTRIES = 1024; // entries drawn along a side; beyond that every n-th, which `stride` tells

/**
 * @param {number} value
 * @param {number} low
 * @param {number} high
 */
const clamp = (value, low, high) => Math.min(high, Math.max(low, value));

export class Heatmap extends CanvasView {
  /** @type {Matrix | null} */
  matrix = null;
  /** @type {Part} the visible part */
  view = { i: 0, j: 0, rows: 1, cols: 1 };
  /** @type {Place | null} */
  cursor = null;
  /** @type {{p: number} | null} */
  blocks = null;
  limit = 1;
  ramp = new Uint32Array(1);
  moving = false; // while it plays, entries are drawn no finer than the screen
  // What the last drawing needed, for the next one.
  #values = new Float32Array();
  #image = new ImageData(1, 1);

  /**
   * `onmove(cursor)` and `onview(view)` are called with the cursor {i, j} or null, and with the visible part.
   * @param {{label: string, onmove?: (cursor: Place | null) => void, onview?: (view: Part) => void,
   *   height?: ((width: number) => number) | null}} given
   */
  constructor({ label, onmove = () => {}, onview = () => {}, height = null }) {
    super({
      label,
      height: height ?? ((width) => width * Math.min(1, this.whole().rows / this.whole().cols)),
    });
    this.onmove = onmove;
    this.onview = onview;
    this.node.classList.add("heatmap");
    this.texels = document.createElement("canvas");
    this.#listen();
  }

  /**
   * Show a matrix with colours from -limit to limit; `blocks` {p} draws lines between blocks.
   * @param {Matrix} matrix
   * @param {{limit: number, blocks?: {p: number} | null}} options
   */
  show(matrix, { limit, blocks = null }) {
    const same = this.matrix && this.matrix.rows === matrix.rows && this.matrix.cols === matrix.cols;
    this.matrix = matrix;
    this.limit = limit || 1;
    this.blocks = blocks;
    if (!same) {
      this.view = { i: 0, j: 0, rows: matrix.rows, cols: matrix.cols };
      this.cursor = null;
      this.onview(this.view);
      if (this.width) {
        this.fit();
        return;
      }
    }
    this.redraw();
  }

  /**
   * All of the matrix.
   * @returns {Part}
   */
  whole() {
    const { rows = 1, cols = 1 } = this.matrix ?? {};
    return { i: 0, j: 0, rows, cols };
  }

  /**
   * Show another part: {i, j, rows, cols}, in entries.
   * @param {Part} view
   */
  setView(view, notify = true) {
    const { rows, cols } = this.whole();
    const seen = {
      rows: clamp(view.rows, Math.min(4, rows), rows),
      cols: clamp(view.cols, Math.min(4, cols), cols),
    };
    this.view = { ...seen, i: clamp(view.i, 0, rows - seen.rows), j: clamp(view.j, 0, cols - seen.cols) };
    this.redraw();
    if (notify) this.onview(this.view);
  }

  /**
   * Zoom by a factor (under 1 goes nearer) around an entry.
   * @param {number} factor
   * @param {Place | null} [around]
   */
  zoom(factor, around) {
    const { view } = this,
      whole = this.whole(),
      { i, j } = around ?? this.cursor ?? { i: view.i + view.rows / 2, j: view.j + view.cols / 2 };
    const rows = Math.round(clamp(view.rows * factor, Math.min(4, whole.rows), whole.rows));
    const cols = Math.round(clamp(view.cols * factor, Math.min(4, whole.cols), whole.cols));
    this.setView({
      rows,
      cols,
      i: Math.round(i - ((i - view.i) * rows) / view.rows),
      j: Math.round(j - ((j - view.j) * cols) / view.cols),
    });
  }

  /** @param {Place | null} cursor */
  setCursor(cursor, notify = true) {
    this.cursor = cursor;
    this.redrawOver();
    if (notify) this.onmove(cursor);
  }

  /** The picture's place inside the canvas: whole entries keep the matrix's proportions. */
  get frame() {
    const { rows, cols } = this.view,
      unit = Math.min(this.width / cols, this.tall / rows);
    return { x: (this.width - unit * cols) / 2, y: 0, width: unit * cols, height: unit * rows, unit };
  }

  /** Every how many entries one is drawn: while it plays one a pixel of the screen, so every 2.6th, say. */
  get stride() {
    const { rows, cols } = this.view;
    if (this.moving) return Math.max(1, (cols * this.width) / (this.frame.width * this.canvas.width));
    return Math.max(1, Math.ceil(rows / MAX_ENTRIES), Math.ceil(cols / MAX_ENTRIES));
  }

  recolor() {
    super.recolor();
    this.ramp = ramp(this.node, "diverging");
  }

  /** @param {CanvasRenderingContext2D} context */
  draw(context) {
    if (!this.matrix) return;
    const { view, stride, frame } = this;
    const is = every(stride, view.i, view.rows),
      js = every(stride, view.j, view.cols);
    const size = is.length * js.length;
    if (this.#values.length !== size) this.#values = new Float32Array(size);
    const values = this.#values;
    this.matrix.sample(is, js, values);
    if (this.#image.width !== js.length || this.#image.height !== is.length) {
      this.#image = new ImageData(js.length, is.length);
      this.texels.width = js.length;
      this.texels.height = is.length;
    }
    paint(values, this.limit, this.ramp, new Uint32Array(this.#image.data.buffer));
    context2d(this.texels).putImageData(this.#image, 0, 0);
    context.imageSmoothingEnabled = frame.width < js.length * 2;
    context.imageSmoothingQuality = this.moving ? "low" : "high";
    context.drawImage(this.texels, frame.x, frame.y, frame.width, frame.height);
    if (this.blocks) this.#drawBlocks(context, this.blocks.p);
    context.strokeStyle = this.color("var(--rule)");
    context.strokeRect(frame.x + 0.5, frame.y + 0.5, frame.width - 1, frame.height - 1);
  }

  /**
   * @param {CanvasRenderingContext2D} context
   * @param {number} p
   */
  #drawBlocks(context, p) {
    const { view, frame } = this;
    context.strokeStyle = this.color("var(--rule-strong)");
    context.lineWidth = 1;
    context.beginPath();
    for (let i = Math.ceil((view.i + 1) / p) * p; i < view.i + view.rows; i += p) {
      const y = Math.round(frame.y + (i - view.i) * frame.unit) + 0.5;
      context.moveTo(frame.x, y);
      context.lineTo(frame.x + frame.width, y);
    }
    for (let j = Math.ceil((view.j + 1) / p) * p; j < view.j + view.cols; j += p) {
      const x = Math.round(frame.x + (j - view.j) * frame.unit) + 0.5;
      context.moveTo(x, frame.y);
      context.lineTo(x, frame.y + frame.height);
    }
    context.stroke();
  }

  /** @param {CanvasRenderingContext2D} context */
  drawOver(context) {
    const { cursor, view } = this;
    if (
      !cursor ||
      cursor.i < view.i ||
      cursor.j < view.j ||
      cursor.i >= view.i + view.rows ||
      cursor.j >= view.j + view.cols
    )
      return;
    const { x, y, width, height, unit } = this.frame;
    const left = x + (cursor.j - view.j) * unit,
      top = y + (cursor.i - view.i) * unit;
    context.strokeStyle = this.color("var(--ink)");
    context.globalAlpha = 0.45;
    context.beginPath();
    context.moveTo(x, top + unit / 2);
    context.lineTo(x + width, top + unit / 2);
    context.moveTo(left + unit / 2, y);
    context.lineTo(left + unit / 2, y + height);
    context.stroke();
    context.globalAlpha = 1;
    const side = Math.max(unit, 7);
    context.lineWidth = 1.5;
    context.strokeRect(left + unit / 2 - side / 2, top + unit / 2 - side / 2, side, side);
  }

  /**
   * The entry under a point of the page, or null.
   * @param {MouseEvent} event
   */
  #entryAt(event) {
    if (!this.matrix) return null;
    const box = this.canvas.getBoundingClientRect(),
      { x, y, unit } = this.frame,
      { view } = this;
    const i = view.i + Math.floor((event.clientY - box.top - y) / unit),
      j = view.j + Math.floor((event.clientX - box.left - x) / unit);
    return i >= view.i && j >= view.j && i < view.i + view.rows && j < view.j + view.cols ? { i, j } : null;
  }

  #listen() {
    /** @type {{x: number, y: number, view: Part} | null} */
    let drag = null;
    const { node } = this;
    const drop = () => {
      drag = null;
    };
    node.addEventListener("pointerdown", (event) => {
      if (!this.matrix || event.button) return;
      drag = { x: event.clientX, y: event.clientY, view: this.view };
      window.addEventListener("pointerup", drop, { once: true });
      this.setCursor(this.#entryAt(event) ?? this.cursor);
    });
    node.addEventListener("pointermove", (event) => {
      if (drag && event.buttons && event.pointerType !== "touch") {
        const { unit } = this.frame,
          { view } = drag;
        if (Math.hypot(event.clientX - drag.x, event.clientY - drag.y) < 4) return;
        this.setView({
          ...view,
          i: Math.round(view.i - (event.clientY - drag.y) / unit),
          j: Math.round(view.j - (event.clientX - drag.x) / unit),
        });
      } else this.setCursor(this.#entryAt(event) ?? this.cursor);
    });
    node.addEventListener("dblclick", (event) => this.matrix && this.zoom(0.4, this.#entryAt(event)));
    node.addEventListener(
      "wheel",
      (event) => {
        if (!this.matrix || !(event.ctrlKey || event.metaKey)) return;
        event.preventDefault();
        this.zoom(Math.exp(clamp(event.deltaY, -60, 60) / 120), this.#entryAt(event));
      },
      { passive: false },
    );
    node.addEventListener("keydown", (event) => {
      if (!this.matrix || isShortcut(event)) return;
      const move = ARROWS[event.key];
      if (move) {
        const stride = event.shiftKey ? Math.max(1, Math.round(this.view.rows / 12)) : 1,
          { view } = this;
        const from = this.cursor ?? { i: view.i + (view.rows >> 1), j: view.j + (view.cols >> 1) };
        const to = {
          i: clamp(from.i + move[0] * stride, 0, this.matrix.rows - 1),
          j: clamp(from.j + move[1] * stride, 0, this.matrix.cols - 1),
        };
        if (to.i < view.i || to.i >= view.i + view.rows || to.j < view.j || to.j >= view.j + view.cols) {
          this.setView({ ...view, i: view.i + to.i - from.i, j: view.j + to.j - from.j });
        }
        this.setCursor(to);
      } else if (event.key === "+" || event.key === "=") this.zoom(0.5);
      else if (event.key === "-") this.zoom(2);
      else if (event.key === "0" || event.key === "Escape") this.setView(this.whole());
      else return;
      event.preventDefault();
    });
  }
}
