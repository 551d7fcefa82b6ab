// The links from figures to the studio, where there is one: they carry what the address says of the figure.

import { h } from "../shared/dom.js";

/** @import { StudioLink } from "../payloads.js" */

/**
 * The studio's address of what is looked at now.
 * @param {string} studio
 * @param {string} here the page's own address
 * @param {Record<string, string>} figure what the address must say, whatever it says now
 */
export function studioAddress(studio, here, figure) {
  const address = new URL(studio),
    given = new URL(here).searchParams;
  for (const [name, value] of given) if (name !== "embed") address.searchParams.set(name, value);
  for (const [name, value] of Object.entries(figure)) address.searchParams.set(name, value);
  return address.href.replaceAll("%2C", ",").replaceAll("%7E", "~");
}

/**
 * Put a part's links under its figures.
 * @param {HTMLElement} part
 * @param {string} studio
 * @param {StudioLink[]} links
 */
export function addLinks(part, studio, links) {
  for (const { figure, address, label } of links) {
    const place = figure ? part.querySelector(figure) : part;
    const link = h(
      "a",
      { class: "open-in-studio", target: "_blank", rel: "noopener", "aria-label": `Open ${label} in Studio` },
      "Open in Studio",
    );
    // The address changes with every slider: it is read when somebody comes to the link.
    const update = () => (link.href = studioAddress(studio, location.href, address));
    for (const event of ["pointerenter", "pointerdown", "focus", "click"])
      link.addEventListener(event, update);
    update();
    place?.append(h("p", { class: "to-studio" }, link));
  }
}

/**
 * Let links to what needs a server lead to the studio. Without one they are hidden, in assets/css/static/page.css.
 * @param {string} studio
 * @param {string[]} tabs those that this page has
 */
export function leadToStudio(studio, tabs) {
  document.documentElement.toggleAttribute("data-studio", true);
  const lead = (/** @type {Event} */ event) => {
    const link = event.target instanceof Element ? event.target.closest("a[href^='?']") : null;
    if (!(link instanceof HTMLAnchorElement)) return;
    const asked = new URL(link.href).searchParams;
    if (!asked.has("recipe") && tabs.includes(asked.get("tab") ?? "")) return;
    link.href = studioAddress(studio, link.href, {});
    link.target = "_blank";
    link.rel = "noopener";
  };
  for (const event of ["pointerover", "focusin", "click"]) document.addEventListener(event, lead, true);
}
