// A drawing on a canvas that fits its place, follows light and dark, and can be saved as a PNG.

import { h } from "./dom.js";
import { onTheme } from "./plotly.js";
import { variable } from "./colors.js";

export class CanvasView {
  /** `height`: in CSS pixels, or a function of the width. `label` says in words what is drawn. */
  constructor({ label, height, interactive = true }) {
    this.height = typeof height === "function" ? height : () => height;
    this.canvas = h("canvas", {});
    this.over = h("canvas", { class: "over", "aria-hidden": "true" }); // cursor and such, drawn without the rest
    this.node = h(
      "div",
      { class: "canvas-view", role: "group", "aria-label": label, tabindex: interactive ? "0" : null },
      this.canvas,
      this.over,
    );
    Object.assign(this, { width: 0, inView: false, stale: false, colors: new Map() });
    new ResizeObserver(() => {
      if (this.node.clientWidth && this.node.clientWidth !== this.width) this.fit();
    }).observe(this.node);
    new IntersectionObserver(
      ([{ isIntersecting }]) => {
        this.inView = isIntersecting;
        if (isIntersecting && this.stale) this.redraw();
      },
      { rootMargin: "200px" },
    ).observe(this.node);
    onTheme(() => {
      this.recolor();
      this.redraw();
    });
  }

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
      canvas.getContext("2d").setTransform(ratio, 0, 0, ratio, 0, 0);
    }
    this.tall = tall;
    this.recolor();
    this.redraw();
  }

  /** The value of "var(--name)" here; any other colour as it is. */
  color(name) {
    if (!name.startsWith("var(")) return name;
    if (!this.colors.has(name)) this.colors.set(name, variable(this.node, name.slice(4, -1)));
    return this.colors.get(name);
  }

  recolor() {
    this.colors.clear();
  }

  /** Draw, or remember to when it scrolls into view. */
  redraw() {
    this.stale = !this.inView;
    if (this.width && this.inView && this.node.isConnected) this.#draw();
  }

  #draw() {
    for (const canvas of [this.canvas, this.over])
      canvas.getContext("2d").clearRect(0, 0, this.width, this.tall);
    this.draw(this.canvas.getContext("2d"));
    this.drawOver(this.over.getContext("2d"));
  }

  redrawOver() {
    if (!this.width) return;
    const context = this.over.getContext("2d");
    context.clearRect(0, 0, this.width, this.tall);
    this.drawOver(context);
  }

  draw() {}
  drawOver() {}

  font(context, size = 11) {
    context.font = `${size}px ${this.color("var(--font)") || "sans-serif"}`;
    context.fillStyle = this.color("var(--ink-soft)");
  }

  /** Save what is seen, on paper and under a title. */
  savePng(name, title) {
    if (this.stale) this.#draw();
    const { width, height } = this.canvas,
      ratio = width / this.width,
      top = Math.round(30 * ratio);
    const sheet = h("canvas", { width, height: height + top });
    const context = sheet.getContext("2d");
    context.fillStyle = this.color("var(--paper)");
    context.fillRect(0, 0, width, height + top);
    this.font(context, 12 * ratio);
    context.fillStyle = this.color("var(--ink)");
    context.fillText(title, 8 * ratio, 18 * ratio, width - 16 * ratio);
    context.drawImage(this.canvas, 0, top);
    sheet.toBlob((blob) => save(blob, `${name}.png`));
  }
}

/** Hand a file to the browser's downloads. */
export function save(blob, name) {
  const link = h("a", { href: URL.createObjectURL(blob), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}
