// Plotly, loaded when the first chart comes into view, with colours that follow the page's light or dark.

import { whenFirstInView } from "./shown.js";

/** @import { Drawn, Figure, Library } from "./plotly_types.js" */

/** @type {Promise<Library> | null} */
let loading = null;

/** A phone's width, where few numbers find room on an axis. */
export const NARROW = matchMedia("(max-width: 600px)");

/** plotly.js from this very server; the address stands in the page's head. */
export function plotly() {
  loading ??= new Promise((resolve, reject) => {
    const found = () =>
      window.Plotly ? resolve(window.Plotly) : reject(new Error("the chart library is not there"));
    if (window.Plotly) return found();
    const script = document.createElement("script");
    script.src = document.querySelector('meta[name="plotly"]')?.getAttribute("content") ?? "";
    script.onload = found;
    script.onerror = () => {
      loading = null;
      reject(new Error("the chart library could not be loaded"));
    };
    document.head.append(script);
  });
  return loading;
}

/**
 * A copy of a figure in which every "var(--name)" is the value it has on this page now.
 * @template Drawing
 * @param {Drawing} figure
 * @param {Element} element
 * @returns {Drawing}
 */
export function resolve(figure, element) {
  const style = getComputedStyle(element);
  /** @type {(value: any) => any} */
  const walk = (value) => {
    if (typeof value === "string") {
      return value.startsWith("var(") ? style.getPropertyValue(value.slice(4, -1)).trim() : value;
    }
    if (Array.isArray(value)) return typeof value[0] === "number" ? value : value.map(walk);
    if (value === null || typeof value !== "object" || ArrayBuffer.isView(value)) return value;
    return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, walk(inner)]));
  };
  return walk(figure);
}

const CONFIG = {
  displaylogo: false,
  doubleClick: "reset",
  scrollZoom: false,
  modeBarButtons: [["toImage", "pan2d", "zoom2d", "resetScale2d"]], // none that sends the chart elsewhere
};

/**
 * Charts that were not in view yet, or that a pointer is dragging on, each with the newest figure that waits.
 * @type {WeakMap<HTMLElement, Figure | null>}
 */
const held = new WeakMap();

/** @type {() => void} */
let see;
/** @type {Promise<void>} that a chart has come into view, so that nobody fetches the library before */
const seen = new Promise((go) => (see = go));

/**
 * Draw or update in place. `layout.uirevision` keeps zoom and pan while it stays the same.
 * @param {HTMLElement} element
 * @param {Figure} figure
 */
export async function draw(element, figure) {
  if (held.has(element)) {
    held.set(element, figure);
    return;
  }
  let newest = figure;
  if (!window.Plotly) {
    held.set(element, figure);
    whenFirstInView(element, see);
    addEventListener("beforeprint", see, { once: true }); // also what nobody has scrolled to
    await seen;
    newest = held.get(element) ?? figure;
    held.delete(element);
  }
  const Plotly = await plotly();
  if (!element.isConnected) return;
  const { data, layout, config } = newest;
  const drawn = resolve({ data, layout }, element);
  await Plotly.react(element, drawn.data, drawn.layout, { ...CONFIG, ...config });
  follow(element);
}

/**
 * The value on the x axis under a place on the screen; null before the chart is drawn. Of Plotly's insides, which alone
 * know it: what it tells of a pointer is the nearest point.
 * @param {HTMLElement} chart
 * @param {number} clientX
 */
export function valueAt(chart, clientX) {
  const axis = /** @type {Partial<Drawn>} */ (chart)._fullLayout?.xaxis;
  return axis ? Number(axis.p2d(clientX - chart.getBoundingClientRect().left - axis._offset)) : null;
}

const followed = new WeakSet();

/**
 * Fit the chart to its place, also when that appears after a change of tab or fold; leave a drag in peace.
 * @param {HTMLElement} element
 */
function follow(element) {
  if (followed.has(element)) return;
  followed.add(element);
  let width = element.clientWidth;
  new ResizeObserver(() => {
    if (!element.clientWidth || element.clientWidth === width) return;
    width = element.clientWidth;
    window.Plotly?.Plots.resize(element);
  }).observe(element);
  const letGo = () =>
    setTimeout(() => {
      const waiting = held.get(element);
      held.delete(element);
      if (waiting) draw(element, waiting);
    }, 300); // plotly itself waits that long for a double click
  const hold = () => {
    held.set(element, null);
    window.addEventListener("mouseup", letGo, { once: true });
  };
  element.addEventListener("mousedown", hold, true);
}
