// The base class of canvas drawings: fits its width, follows the theme, and can be saved as a PNG.

import { context2d, h } from "./dom.js";
import { download } from "./download.js";
import { variable } from "./colors.js";
import { onView } from "./shown.js";
import { isDark, onTheme } from "./theme.js";

/** @type {Record<string, [down: number, right: number] | undefined>} where arrow keys move a place */
export const ARROWS = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };

export class CanvasView {
  /**
   * `height`: in CSS pixels, or a function of the width. `label` says in words what is drawn.
   * @param {{label: string, height: number | ((width: number) => number), interactive?: boolean}} given
   */
  constructor({ label, height, interactive = true }) {
    this.width = this.tall = 0; // in CSS pixels
    this.inView = this.stale = false;
    /** @type {Map<string, string>} */
    this.colors = new Map();
    this.height = typeof height === "function" ? height : () => height;
    this.canvas = h("canvas", {});
    this.over = h("canvas", { class: "over", "aria-hidden": "true" }); // for the cursor, which is redrawn more often
    this.node = h(
      "div",
      { class: "canvas-view", role: "group", "aria-label": label, tabindex: interactive ? "0" : null },
      this.canvas,
      this.over,
    );
    this.dark = isDark(); // when it was last drawn: outside the page it hears of no change
    const sizes = new ResizeObserver(() => {
      const changed = this.node.clientWidth !== this.width || this.dark !== isDark();
      if (this.node.clientWidth && changed) this.fit();
    });
    sizes.observe(this.node);
    const views = onView(
      this.node,
      (inView) => {
        this.inView = inView;
        if (inView && this.stale) this.redraw();
      },
      "200px",
    );
    this.observers = [sizes, views];
    onTheme(this.node, () => {
      this.recolor();
      this.redraw();
    });
  }

  /** Stop looking at the page, once the drawing is not part of it any more. */
  destroy() {
    for (const observer of this.observers) observer.disconnect();
    this.node.remove();
  }

  /** @param {string} text */
  set label(text) {
    this.node.setAttribute("aria-label", text);
  }

  fit() {
    this.width = this.node.clientWidth;
    const tall = Math.round(this.height(this.width)),
      ratio = Math.min(2, window.devicePixelRatio || 1);
    for (const canvas of [this.canvas, this.over]) {
      canvas.width = Math.round(this.width * ratio);
      canvas.height = Math.round(tall * ratio);
      canvas.style.height = `${tall}px`;
      context2d(canvas).setTransform(ratio, 0, 0, ratio, 0, 0);
    }
    this.tall = tall;
    this.recolor();
    this.redraw();
  }

  /**
   * The value of "var(--name)" here; any other colour as it is.
   * @param {string} name
   */
  color(name) {
    if (!name.startsWith("var(")) return name;
    let value = this.colors.get(name);
    if (value === undefined) this.colors.set(name, (value = variable(this.node, name.slice(4, -1))));
    return value;
  }

  recolor() {
    this.colors.clear();
    this.dark = isDark();
  }

  /** Draw, or remember to when it scrolls into view. */
  redraw() {
    this.stale = !this.inView;
    if (this.width && this.inView && this.node.isConnected) this.#draw();
  }

  #draw() {
    for (const canvas of [this.canvas, this.over]) context2d(canvas).clearRect(0, 0, this.width, this.tall);
    this.draw(context2d(this.canvas));
    this.drawOver(context2d(this.over));
  }

  redrawOver() {
    if (!this.width) return;
    const context = context2d(this.over);
    context.clearRect(0, 0, this.width, this.tall);
    this.drawOver(context);
  }

  /**
   * What a drawing puts on its canvas.
   * @param {CanvasRenderingContext2D} _context
   */
  draw(_context) {}

  /**
   * What lies over it and changes more often: a cursor.
   * @param {CanvasRenderingContext2D} _context
   */
  drawOver(_context) {}

  /** @param {CanvasRenderingContext2D} context */
  font(context, size = 12) {
    context.font = `${size}px ${this.color("var(--font)") || "sans-serif"}`;
    context.fillStyle = this.color("var(--ink-soft)");
  }

  /**
   * Save the drawing as a PNG, with a background and a title.
   * @param {string} name
   * @param {string} title
   */
  savePng(name, title) {
    if (this.stale) this.#draw();
    const { width, height } = this.canvas,
      ratio = width / this.width,
      top = Math.round(30 * ratio);
    const sheet = h("canvas", { width, height: height + top });
    const context = context2d(sheet);
    context.fillStyle = this.color("var(--paper)");
    context.fillRect(0, 0, width, height + top);
    this.font(context, 12 * ratio);
    context.fillStyle = this.color("var(--ink)");
    context.fillText(title, 8 * ratio, 18 * ratio, width - 16 * ratio);
    context.drawImage(this.canvas, 0, top);
    sheet.toBlob((blob) => blob && download(blob, `${name}.png`));
  }
}
