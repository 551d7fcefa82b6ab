// What a line plot writes beside its lines, and which of these it draws.

import assert from "node:assert/strict";
import { test } from "node:test";
import { makePage, Place } from "./page.js";

class Nothing {
  observe() {}
  moveTo() {}
  lineTo() {}
}
makePage();
Object.assign(globalThis, {
  IntersectionObserver: Nothing,
  MutationObserver: Nothing,
  Path2D: Nothing,
  ResizeObserver: Nothing,
  getComputedStyle: () => ({ getPropertyValue: () => "" }),
  location: { href: "http://studio/", search: "" },
  matchMedia: () => ({ matches: false }),
});
Object.assign(Place.prototype, {
  classList: { add() {}, contains: () => false },
  getContext: () => ({}),
  toggleAttribute() {},
});
Object.assign(document, { body: new Place() });
const { LinePlot } = await import("../../assets/js/shared/line_plot.js");

/** What is written on its canvas, and how wide its lines are. */
function drawnBy(plot) {
  const texts = [],
    strokes = [];
  const canvas = new Proxy(
    { fillText: (text) => texts.push(text), measureText: () => ({ width: 10 }) },
    {
      get: (all, name) => (name === "stroke" ? () => strokes.push(all.lineWidth) : (all[name] ?? (() => {}))),
      // One of width 0 is drawn as wide as the one before.
      set: (all, name, value) => (name === "lineWidth" && !value) || ((all[name] = value), true),
    },
  );
  plot.draw(canvas);
  return { texts, strokes };
}

test("places are counted from what the first is called", () => {
  const plot = Object.assign(new LinePlot({ label: "", height: 9 }), { width: 300, tall: 100 });
  for (const [first, places] of [
    [0, ["0", "1", "2"]],
    [1, ["1", "2", "3"]],
  ]) {
    plot.show([{ y: [9, 8, 7], color: "red" }], { first, low: 6, high: 10 });
    assert.deepEqual(
      drawnBy(plot).texts.filter((text) => Number(text) < 6),
      places,
    );
  }
});

test("a line of no width is not drawn", () => {
  const axes = { x: { title: "" }, y: { title: "" } };
  const [none, one] = [0, 1].map((width) => {
    const series = [{ x: [1, 2], y: [3, 4], width, color: "red" }];
    const plot = new LinePlot({ label: "", height: 100, axes });
    return drawnBy(Object.assign(plot, { width: 300, tall: 100, series })).strokes.length;
  });
  assert.equal(one, none + 1);
});
