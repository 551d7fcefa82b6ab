// Building and updating the page without innerHTML: names and reasons come from people.

/** h("p", {class: "quiet", onclick: f}, "text", child): an element. Null attributes and children are left out. */
export function h(tag, attributes = {}, ...children) {
  const node =
    tag === "svg" || tag === "path" || tag === "line"
      ? document.createElementNS("http://www.w3.org/2000/svg", tag)
      : document.createElement(tag);
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
  if (element.getBoundingClientRect().top < 0)
    element.scrollIntoView({ behavior: still ? "auto" : "smooth" });
}

/** Radio buttons in a row that look like one switch; a choice is [key, label], or with a hint [key, label, hint]. */
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

/** A short dash in a method's colour and pattern, as its line has it in the chart. */
export function swatch(style) {
  const dash = { dash: "6 3", dot: "2 3", dashdot: "6 3 2 3", longdash: "10 3" }[style.line.dash];
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
      "stroke-dasharray": dash,
    }),
  );
}

/** Sentences as paragraphs, in which no line ends between an amount and its unit. */
export const paragraphs = (sentences) =>
  sentences.map((sentence) =>
    h("p", {}, sentence.replace(/(\d) (?=(%|[kMGTPE]?(B|FLOP)|ms|s|min|hours?|days?)(?!\w))/g, "$1\u00a0")),
  );
