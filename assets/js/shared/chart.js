// A chart in its place; why it is not there, where it cannot be drawn.

import { drawn } from "./part.js";
import { draw } from "./plotly.js";

/** @import { Figure } from "./plotly_types.js" */

/**
 * Draw or update a chart. An error is said above its place, which then shows nothing, and reported.
 * @param {HTMLElement} place
 * @param {Figure} figure
 * @param {string} [instead] where its numbers are
 */
export const drawChart = (place, figure, instead = "Its numbers are in the table below.") =>
  drawn(
    place,
    () => draw(place, figure),
    (why) => `The chart is not shown: ${why}. ${instead}`,
  );
