// The frame around each view: its title, the entry under the cursor, and a button for its PNG.

import { h, setText, textButton } from "../shared/dom.js";

/** @import { CanvasView } from "../shared/canvas_view.js" */

/**
 * @template {CanvasView} View
 * @typedef {object} Panel
 * @property {HTMLElement} node
 * @property {View} view
 * @property {(text: string) => void} title
 * @property {(text: string) => void} note
 * @property {(text: string) => void} say what stands under the cursor
 */

/**
 * A figure with a title, a note beside it, a line for what is under the cursor, and a button for its PNG.
 * @template {CanvasView} View
 * @param {string} title
 * @param {View} view
 * @param {{note?: string, name: () => string}} options
 * @returns {Panel<View>}
 */
export function panel(title, view, { note = "", name }) {
  const heading = h("h3", {}, title),
    noteNode = h("span", { class: "note" }, note),
    readout = h("p", { class: "under", "aria-live": "off" });
  const save = textButton(
    "PNG",
    () =>
      view.savePng(name(), `${heading.textContent}, ${noteNode.textContent}, ${name().replaceAll("_", " ")}`),
    { "aria-label": `Save ${title} as PNG` },
  );
  const node = h(
    "figure",
    { class: "panel" },
    h("figcaption", {}, heading, noteNode, h("span", { class: "actions" }, save)),
    view.node,
    readout,
  );
  return {
    node,
    view,
    title: (/** @type {string} */ text) => {
      setText(heading, text);
      save.setAttribute("aria-label", `Save ${text} as PNG`);
    },
    note: (/** @type {string} */ text) => setText(noteNode, text),
    say: (/** @type {string} */ text) => setText(readout, text || "\u00a0"),
  };
}

/** The colours' legend: −limit, 0, +limit. */
export function scaleBar() {
  const low = h("span", {}),
    bar = h("span", { class: "bar" }),
    high = h("span", {});
  return {
    node: h("div", { class: "scale" }, low, bar, high),
    /** @param {string} text of the limit */
    set(text) {
      bar.hidden = text === "0";
      setText(low, bar.hidden ? "0 everywhere" : `−${text}`);
      setText(high, bar.hidden ? "" : `+${text}`);
    },
  };
}
