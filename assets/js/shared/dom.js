// Building and updating the page without innerHTML, since names and messages come from visitors.

import { unbroken } from "./format.js";

/** @typedef {Event & {target: HTMLInputElement}} InputChange an event of one's own input */

/**
 * @typedef {object} Listeners
 * @property {(event: PointerEvent) => void} [onclick]
 * @property {(event: InputChange) => void} [oninput]
 * @property {(event: InputChange) => void} [onchange]
 * @property {(event: SubmitEvent) => void} [onsubmit]
 * @property {(event: KeyboardEvent) => void} [onkeydown]
 * @property {(event: Event) => void} [ontoggle]
 */

/** @typedef {Listeners & {[name: string]: unknown}} Attributes `on...` are listeners; null and false are left out */
/** @typedef {Node | string | number | boolean | null | undefined} Child null and false are left out */
/** @typedef {HTMLElementTagNameMap & Pick<SVGElementTagNameMap, "svg" | "path" | "line">} Tags */

/**
 * h("p", {class: "quiet", onclick: f}, "text", child): an element. Null attributes and children are left out.
 * @template {keyof Tags} Tag
 * @param {Tag} tag
 * @param {Attributes} attributes
 * @param {...(Child | Child[])} children
 * @returns {Tags[Tag]}
 */
export function h(tag, attributes = {}, ...children) {
  const node =
    tag === "svg" || tag === "path" || tag === "line"
      ? document.createElementNS("http://www.w3.org/2000/svg", tag)
      : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (typeof value === "function")
      node.addEventListener(name.slice(2), guarded(node, /** @type {EventListener} */ (value)));
    else node.setAttribute(name, value === true ? "" : String(value));
  }
  for (const child of children.flat())
    if (child !== null && child !== undefined && child !== false)
      node.append(child instanceof Node ? child : String(child));
  return /** @type {Tags[Tag]} */ (node);
}

/** An error of a listener, which the part of the page that the element is in says: shared/part.js. */
export const FAILED = "failed";

/**
 * @param {Element} node
 * @param {(event: Event) => unknown} listener
 */
function guarded(node, listener) {
  const ill = (/** @type {unknown} */ error) => {
    const failed = new CustomEvent(FAILED, { bubbles: true, cancelable: true, detail: error });
    if (node.dispatchEvent(failed)) throw error; // no part said it
  };
  return (/** @type {Event} */ event) => {
    try {
      const done = listener(event);
      if (done instanceof Promise) done.catch(ill);
    } catch (error) {
      ill(error);
    }
  };
}

/**
 * The first element of that selector.
 * @param {ParentNode} within
 * @param {string} selector
 * @returns {HTMLElement}
 */
export function find(within, selector) {
  const found = within.querySelector(selector);
  if (!(found instanceof HTMLElement)) throw new Error(`the page has no ${selector} here`);
  return found;
}

/**
 * A canvas's 2D context, or an error.
 * @param {HTMLCanvasElement} canvas
 * @param {CanvasRenderingContext2DSettings} [settings]
 */
export function context2d(canvas, settings) {
  const context = canvas.getContext("2d", settings);
  if (!context) throw new Error("this browser draws on no canvas");
  return context;
}

/**
 * Change a node's text only where it differs, so that nothing flickers and selections survive.
 * @param {Node} node
 * @param {string} text
 */
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/**
 * Give a node these children, of which those that it has already stay where they are: a press on one goes on.
 * @param {Element} place
 * @param {Element[]} children
 */
export function setChildren(place, children) {
  for (const child of [...place.childNodes])
    if (!(child instanceof Element && children.includes(child))) child.remove();
  children.forEach((child, at) => {
    if (place.childNodes[at] !== child) place.insertBefore(child, place.childNodes[at] ?? null);
  });
}

/**
 * Fill a place with pieces, each made of what its key says and kept for as long as the key is the same: who presses,
 * opens or reads one meanwhile is not disturbed by the others.
 * @param {Element} place
 */
export function keyed(place) {
  /** @type {Map<string, Element>} */
  let kept = new Map();
  return (/** @type {[key: string, make: () => Element][]} */ pieces) => {
    kept = new Map(pieces.map(([key, make]) => [key, kept.get(key) ?? make()]));
    setChildren(place, [...kept.values()]);
  };
}

/**
 * Offer choices in a list, which stays as it is, and open, where they are the same.
 * @param {HTMLSelectElement} list
 * @param {(readonly [value: string, text: string])[]} choices
 * @param {string | null} chosen if it is one of them
 */
export function setOptions(list, choices, chosen) {
  const before = [...list.options].map(({ value, textContent }) => [value, textContent]);
  if (JSON.stringify(before) !== JSON.stringify(choices))
    list.replaceChildren(...choices.map(([value, text]) => h("option", { value }, text)));
  if (choices.some(([value]) => value === chosen)) list.value = String(chosen);
}

/**
 * Whether a key is pressed with one that makes it the browser's: zoom, Back and their like, which no part may take.
 * @param {KeyboardEvent} event
 */
export const isShortcut = ({ ctrlKey, altKey, metaKey }) => ctrlKey || altKey || metaKey;

/** Whether the visitor prefers reduced motion. */
export const prefersStill = () => matchMedia("(prefers-reduced-motion: reduce)").matches;

/**
 * Scroll up to an element whose top is above the window; smoothly, unless the visitor prefers reduced motion.
 * @param {Element} element
 */
export function scrollUpTo(element) {
  if (element.getBoundingClientRect().top < 0)
    element.scrollIntoView({ behavior: prefersStill() ? "auto" : "smooth" });
}

/**
 * A bar as long as a share of its place, 0 to 1; the number itself stands beside it.
 * @param {number} share
 */
export const shareBar = (share) =>
  h("span", { class: "bar", style: `--share:${share.toFixed(4)}`, "aria-hidden": "true" });

/**
 * A button, which looks as its class in `more` says.
 * @param {Child | Child[]} text
 * @param {(event: PointerEvent) => unknown} onclick
 * @param {Attributes} more
 */
export const button = (text, onclick, more = {}) => h("button", { type: "button", onclick, ...more }, text);

/** @type {typeof button} that looks like text */
export const textButton = (text, onclick, more) => button(text, onclick, { class: "text-button", ...more });

/** @type {typeof button} in a frame */
export const actButton = (text, onclick, more) => button(text, onclick, { class: "act", ...more });

/**
 * What is seen once its summary is pressed.
 * @param {string} summary
 * @param {...Child} children
 */
export const fold = (summary, ...children) =>
  h("details", { class: "as-table" }, h("summary", {}, summary), children);

/**
 * Radio buttons in a row that look like one switch; a choice is [key, label], or with a hint [key, label, hint].
 * @template {string | number} Key
 * @param {string} legend
 * @param {string} name
 * @param {readonly (readonly [Key, Child, (string | null)?])[]} choices
 * @param {Key} value
 * @param {(key: Key) => void} onchange
 */
export function segmented(legend, name, choices, value, onchange) {
  return h(
    "fieldset",
    { class: "segmented" },
    h("legend", { class: "hidden-text" }, legend),
    choices.map(([key, label, hint]) =>
      h(
        "label",
        { title: hint },
        h("input", {
          type: "radio",
          name,
          value: key,
          checked: key === value,
          onchange: () => onchange(key),
        }),
        h("span", {}, label),
      ),
    ),
  );
}

/**
 * A line's dash as numbers of pixels; none where it is solid.
 * @param {string | number[] | null | undefined} dash "6px,3px" as plotly takes it, or the numbers
 */
export const dashes = (dash) =>
  typeof dash === "string" ? (dash.match(/\d+/g) ?? []).map(Number) : (dash ?? []);

const TWINS = ["1px,2px", "9px,2px", "4px,6px"];

/**
 * A run's line: its method's, or where the race has the method several times, in the method's colour with a dash
 * and a width of its own.
 * @template {{line: {color: string, width: number, dash?: string | null}}} Style
 * @param {Record<string, Style>} styles by method
 * @param {{method: string, twin?: number}} run
 * @returns {Style}
 */
export function styleOf(styles, { method, twin = 0 }) {
  const style = styles[method];
  if (!twin) return style;
  const line = { ...style.line, dash: TWINS[(twin - 1) % TWINS.length], width: style.line.width + 1 };
  return { ...style, line };
}

/** @typedef {{line: {color: string, width: number, dash?: string | number[] | null}, marker?: {symbol?: unknown}}} Swatch */

/** Plotly's symbols around 0, as paths. @type {Record<string, string>} */
const SYMBOLS = {
  circle: "M-4 0a4 4 0 1 1 8 0a4 4 0 1 1-8 0",
  square: "M-3.6-3.6h7.2v7.2h-7.2z",
  diamond: "M0-4.8 4.8 0 0 4.8-4.8 0z",
  "triangle-up": "M0-4.4 4.6 3.6h-9.2z",
  pentagon: "M0-4.4 4.3-1.2 2.6 3.8h-5.2L-4.3-1.2z",
  cross: "M-1.6-4.6h3.2v3h3v3.2h-3v3h-3.2v-3h-3v-3.2h3z",
  star: "M0-5 1.5-1.6 4.8-1.3 2.3 1.1 3 4.6 0 2.7-3 4.6-2.3 1.1-4.8-1.3-1.5-1.6z",
};

/**
 * A short dash in a method's colour and pattern, as its line has it in the chart.
 * @param {Swatch} style
 * @param {boolean} marked with the symbol of its points, too
 */
export function swatch(style, marked = false) {
  return h(
    "svg",
    { class: "swatch", viewBox: "0 0 22 10", width: 22, height: 10, "aria-hidden": "true" },
    h("line", {
      x1: 1,
      x2: 21,
      y1: 5,
      y2: 5,
      stroke: style.line.color,
      "stroke-width": style.line.width,
      "stroke-dasharray": dashes(style.line.dash).join(" ") || null,
    }),
    marked && style.marker
      ? h("path", {
          d: SYMBOLS[String(style.marker.symbol)],
          transform: "translate(11 5)",
          fill: style.line.color,
        })
      : null,
  );
}

/**
 * What the lines of a figure are, each with a short piece of itself, and what its other marks mean.
 * @param {string} label
 * @param {boolean} marked with the symbols of points
 */
export function legend(label, marked = false) {
  const node = h("ul", { class: "legend", role: "list", "aria-label": label });
  return {
    node,
    /**
     * @param {{style: Swatch, text: Child}[]} lines
     * @param {...Child[]} marks
     */
    show(lines, ...marks) {
      node.replaceChildren(
        ...lines.map(({ style, text }) => h("li", {}, swatch(style, marked), h("span", {}, text))),
        ...marks.map((mark) => h("li", {}, mark)),
      );
    },
  };
}

/**
 * How far something is, as a line that fills.
 * @param {string} label
 */
export function progressBar(label) {
  const done = h("span");
  const node = h(
    "div",
    {
      class: "progress idle",
      role: "progressbar",
      "aria-label": label,
      "aria-valuemin": 0,
      "aria-valuemax": 100,
    },
    done,
  );
  return {
    node,
    /**
     * @param {number} part of 1
     * @param {boolean} running
     */
    set(part, running) {
      const percent = Math.round(100 * part);
      node.classList.toggle("idle", !running);
      node.setAttribute("aria-valuenow", String(percent));
      done.style.width = `${percent}%`;
    },
  };
}

/**
 * Sentences as paragraphs, in which no line ends between an amount and its unit.
 * @param {string[]} sentences
 */
export const paragraphs = (sentences) => sentences.map((sentence) => h("p", {}, unbroken(sentence)));
