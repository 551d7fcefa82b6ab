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

test("why a chart is not shown stands above its place until it is drawn", async () => {
  const place = /** @type {any} */ (new Place());
  const figure = /** @type {any} */ ({ data: [], layout: {} });
  react = async () => {
    throw new Error("axis without end");
  };
  await drawChart(place, figure);
  const why = "The chart is not shown: axis without end.";
  assert.deepEqual(place.texts, [`${why} Its numbers are in the table below.`]);
  await drawChart(place, figure, "Its numbers can be saved below.");
  assert.deepEqual(place.texts, [`${why} Its numbers can be saved below.`]);
  await settled();
  assert.deepEqual(logged, ["Error: axis without end"]);
  react = async () => {};
  await drawChart(place, figure);
  assert.deepEqual(place.texts, []);
});
