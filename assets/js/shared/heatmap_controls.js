// Controls of heatmaps: zoom buttons, and linking several to one view and cursor.

import { button, h } from "./dom.js";

/** @import { Heatmap } from "./heatmap.js" */

/**
 * Buttons that zoom all the given heatmaps' shared view.
 * @param {Heatmap} heatmap
 */
export function zoomButtons(heatmap) {
  /**
   * @param {string} text
   * @param {string} label
   * @param {() => void} act
   */
  const zoom = (text, label, act) =>
    button(text, () => heatmap.matrix && act(), { class: "zoom", "aria-label": label, title: label });
  return h(
    "span",
    { class: "zoom-buttons", role: "group", "aria-label": "Zoom" },
    zoom("+", "Zoom in (+)", () => heatmap.zoom(0.5)),
    zoom("−", "Zoom out (-)", () => heatmap.zoom(2)),
    zoom("Reset", "Whole matrix (0)", () => heatmap.setView(heatmap.whole())),
  );
}

/**
 * Let heatmaps of the same size share their view and their cursor.
 * @param {...Heatmap} heatmaps
 */
export function link(...heatmaps) {
  for (const heatmap of heatmaps) {
    const { onmove, onview } = heatmap;
    /** @param {Heatmap} other */
    const same = (other) =>
      other !== heatmap &&
      other.matrix &&
      heatmap.matrix &&
      other.matrix.rows === heatmap.matrix.rows &&
      other.matrix.cols === heatmap.matrix.cols;
    heatmap.onmove = (cursor) => {
      for (const other of heatmaps) if (same(other)) other.setCursor(cursor, false);
      onmove(cursor);
    };
    heatmap.onview = (view) => {
      for (const other of heatmaps) if (same(other)) other.setView(view, false);
      onview(view);
    };
  }
}
