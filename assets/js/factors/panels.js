// The frame around each view: what it shows, what stands under the cursor, and its PNG.

import { h, setText } from "../shared/dom.js";

/** A figure with a title, a note beside it, a line for what is under the cursor, and buttons. */
export function panel(title, view, { note = "", name, actions = [], wide = false } = {}) {
  const heading = h("h3", {}, title),
    said = h("span", { class: "note" }, note),
    readout = h("p", { class: "under", "aria-live": "off" });
  const save = h(
    "button",
    {
      type: "button",
      class: "text-button",
      "aria-label": `Save ${title} as PNG`,
      onclick: () =>
        view.savePng(name(), `${heading.textContent}, ${said.textContent}, ${name().replaceAll("_", " ")}`),
    },
    "PNG",
  );
  const node = h(
    "figure",
    { class: wide ? "panel wide" : "panel" },
    h("figcaption", {}, heading, said, h("span", { class: "actions" }, ...actions, save)),
    view.node,
    readout,
  );
  return {
    node,
    view,
    title: (text) => {
      setText(heading, text);
      save.setAttribute("aria-label", `Save ${text} as PNG`);
    },
    note: (text) => setText(said, text),
    say: (text) => setText(readout, text || "\u00a0"),
  };
}

/** The colours' legend: −limit, 0, +limit. */
export function scaleBar() {
  const low = h("span", {}),
    high = h("span", {});
  return {
    node: h("div", { class: "scale" }, low, h("span", { class: "bar" }), high),
    set(limit, text) {
      setText(low, `−${text}`);
      setText(high, `+${text}`);
    },
  };
}
