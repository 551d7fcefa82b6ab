// Building and updating the page without innerHTML: names and reasons come from people.

/** h("p", {class: "quiet", onclick: f}, "text", child): an element. Null attributes and children are left out. */
export function h(tag, attributes = {}, ...children) {
  const node = tag === "svg" || tag === "path" || tag === "line"
    ? document.createElementNS("http://www.w3.org/2000/svg", tag) : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

/** Change a node's text only where it differs, so that nothing flickers and selections survive. */
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/** Scroll up to an element whose head is above what can be seen; gently, unless the visitor wants no motion. */
export function comeUpTo(element) {
  const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
  if (element.getBoundingClientRect().top < 0) element.scrollIntoView({ behavior: still ? "auto" : "smooth" });
}

/** Radio buttons in a row that look like one switch; a choice is [key, label], or with a hint [key, label, hint]. */
export function segmented(legend, name, choices, value, onchange) {
  return h("fieldset", { class: "segmented" }, h("legend", { class: "hidden-text" }, legend),
    choices.map(([key, label, hint]) => h("label", { title: hint },
      h("input", { type: "radio", name, value: key, checked: key === value, onchange: () => onchange(key) }),
      h("span", {}, label))));
}

/** A short dash in a method's colour and pattern, as its line has it in the chart. */
export function swatch(style) {
  const dash = { dash: "6 3", dot: "2 3", dashdot: "6 3 2 3", longdash: "10 3" }[style.line.dash];
  return h("svg", { class: "swatch", viewBox: "0 0 22 10", width: 22, height: 10, "aria-hidden": "true" },
    h("line", { x1: 1, x2: 21, y1: 5, y2: 5, stroke: style.line.color, "stroke-width": style.line.width,
      "stroke-dasharray": dash }));
}

const integers = new Intl.NumberFormat("en-US");
export const count = (value) => value === null || value === undefined ? "" : integers.format(value);

export const powerOfTen = (power) => `10${String(power).replace(/[-\d]/g, (sign) => "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"["-0123456789".indexOf(sign)])}`;

const minus = (text) => text.replace("-", "−");

/** Three significant digits, and very large or small numbers with a power of ten, as in books. */
export function short(value) {
  if (value === null || value === undefined) return "";
  const size = Math.abs(value);
  if (size !== 0 && (size < 1e-3 || size >= 1e6) && Number.isFinite(value)) {
    const [digits, power] = value.toExponential(1).split("e");
    return minus(`${digits} × ${powerOfTen(Number(power))}`);
  }
  return minus(size >= 100 ? integers.format(Math.round(value)) : String(Number(value.toPrecision(3))));
}

/** As `short`, for a column: 12.0 and 0.720 keep their zeros. Whole numbers are counts and stay as they are. */
export function aligned(value) {
  const rounded = value === null || value === undefined || Number.isInteger(value) || Math.abs(value) >= 99.95 || Math.abs(value) < 1e-3;
  return rounded ? short(value) : minus(value.toPrecision(3));
}

/** Seconds as 0:38 or 1:02:09. */
export function clock(seconds) {
  const whole = Math.max(0, Math.round(seconds));
  const [hours, minutes, rest] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  const two = (value) => String(value).padStart(2, "0");
  return hours ? `${hours}:${two(minutes)}:${two(rest)}` : `${minutes}:${two(rest)}`;
}

/** Accuracy as a percentage, correlations as numbers. */
export function metricText(name, value) {
  if (value === null || value === undefined) return "";
  return minus(name === "accuracy" ? `${(100 * value).toFixed(1)} %` : value.toFixed(3));
}

/** 25 Nov 10:18. */
export function when(secondsSince1970) {
  return new Date(1000 * secondsSince1970).toLocaleString("en-GB",
    { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" }).replace(",", "");
}
