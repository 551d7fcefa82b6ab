// A chart that cannot be drawn says so in its place, and the server's log hears of it.

import assert from "node:assert/strict";
import { test } from "node:test";
import { logged, makePage, Place, settled } from "./page.js";

makePage(() => ({ ok: true, json: async () => ({}) }));
let react = async () => {};
Object.assign(globalThis, {
  window: { Plotly: { react: () => react() } },
  location: { search: "" },
  matchMedia: () => ({ matches: false }),
  getComputedStyle: () => ({ getPropertyValue: () => "" }),
  ResizeObserver: class {
    observe() {}
  },
});
const { drawChart } = await import("../../assets/js/shared/chart.js");

test("drawChart: an error is shown until the chart is drawn", async () => {
  const place = /** @type {any} */ (new Place());
  const figure = /** @type {any} */ ({ data: [], layout: {} });
  const error = "axis without end";
  react = async () => {
    throw new Error(error);
  };
  for (const hint of ["first", "second"]) {
    await drawChart(place, figure, hint);
    assert.equal(place.texts.length, 1);
    assert.ok(place.texts[0].includes(error) && place.texts[0].endsWith(hint));
  }
  await settled();
  assert.deepEqual(logged, [`Error: ${error}`]);
  react = async () => {};
  await drawChart(place, figure);
  assert.deepEqual(place.texts, []);
});
