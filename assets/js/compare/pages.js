// The links to the tab's pages: shows one at a time, and keeps it in the address (?tab=compare&page=growth).

import { find, h } from "../shared/dom.js";

/** @import { PagesFixed } from "../payloads.js" */
/** @import { Part } from "../shared/part.js" */

/** @param {Part<string, PagesFixed>} part */
export function mount({ element, props, trigger }) {
  const keys = props.pages.map(([key]) => key);
  const requested = () => {
    const { searchParams } = new URL(location.href);
    const key = searchParams.get("page") ?? (searchParams.has("sweep") ? "settings" : "");
    return keys.includes(key) ? key : keys[0];
  };
  /** @param {string} key */
  const address = (key) => {
    const url = new URL(location.href);
    url.searchParams.set("tab", "compare");
    url.searchParams.set("page", key);
    return url.href.replaceAll("%2C", ",");
  };
  const go = (/** @type {string} */ key) => (/** @type {MouseEvent} */ event) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey) return; // a tab of its own
    event.preventDefault();
    if (key === requested()) return;
    history.pushState(history.state, "", address(key));
    show();
  };
  const links = props.pages.map(([key, title]) => h("a", { href: address(key), onclick: go(key) }, title));
  find(element, ".mount").replaceChildren(h("nav", { "aria-label": "Pages of Compare" }, links));

  function show() {
    const key = requested();
    document.documentElement.dataset.comparePage = key;
    links.forEach((link, at) => {
      link.href = address(keys[at]); // what else the address holds may have changed
      keys[at] === key ? link.setAttribute("aria-current", "page") : link.removeAttribute("aria-current");
    });
    props.value = key;
    trigger("turned"); // the server fills it in, also the first one, with what only it knows
  }
  window.addEventListener("popstate", () => element.isConnected && show());
  show();
}
