// The page of plain files: shows the tab of the address, and mounts its parts with the answers that were kept.

import { appearance } from "../shared/theme.js";
import { find } from "../shared/dom.js";
import { heard } from "../shared/events.js";
import { start } from "../shared/part.js";
import { asked, route } from "../shared/router.js";
import { answering, read } from "./answers.js";
import { measureHere } from "./crossover.js";
import { addLinks, leadToStudio } from "./studio.js";

/** @import { StaticPage, StaticPart } from "../payloads.js" */

/** KaTeX as Gradio brings it; cdvft_app/ui/static/folder.py gives it this name. */
const KATEX = "katex";
/** Questions that this browser answers by itself, by their names. */
const COMPUTED = { crossover: measureHere };

find(document, ".theme-place").replaceChildren(appearance());
setFormulas();
const page = /** @type {StaticPage} */ (await read("page"));
if (page.studio) leadToStudio(page.studio, page.tabs);
/** @type {Set<string>} tabs whose parts are there */
const mounted = new Set();

const links = /** @type {NodeListOf<HTMLAnchorElement>} */ (document.querySelectorAll(".static-tabs a"));
const forEver = new AbortController().signal;
route();
heard("address", forEver, show);
show();

function show() {
  const given = asked("tab") ?? "",
    tab = page.tabs.includes(given) ? given : page.tabs[0];
  for (const link of links) {
    if (new URL(link.href).searchParams.get("tab") === tab) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  for (const name of page.tabs) find(document, `#tab-${name}`).hidden = name !== tab;
  if (mounted.has(tab)) return;
  mounted.add(tab);
  for (const part of page.parts) if (part.tab === tab) mount(part);
}

/** @param {StaticPart} part */
async function mount(part) {
  const element = find(document, `[data-part="${part.id}"]`);
  let { value } = part;
  /** @type {(() => void)[]} */
  const watchers = [];
  const props = {
    ...part.fixed,
    get value() {
      return value;
    },
    set value(next) {
      value = next;
    },
  };
  heard("fill-part", forEver, ({ id, value: next }) => {
    if (id !== part.id) return;
    value = next;
    watchers.forEach((changed) => changed());
  });
  await start({
    name: part.module.replace(/\.js$/, ""),
    element,
    props,
    server: { ...answering(part.answers), ...COMPUTED },
    trigger: () => {},
    watch: (_property, changed) => watchers.push(changed),
  });
  if (page.studio) addLinks(element, page.studio, part.links);
}

/** Formulas in the texts, which Gradio's Markdown would set. */
async function setFormulas() {
  const { default: katex } = await import(KATEX);
  for (const formula of document.querySelectorAll(".formula"))
    katex.render(formula.textContent, formula, { displayMode: formula.classList.contains("display") });
}
