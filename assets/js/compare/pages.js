// The links to the tab's pages: shows one at a time, and keeps it in the address (?tab=compare&page=growth).

import { find, h } from "../shared/dom.js";
import { heard } from "../shared/events.js";
import { asked, linkTo } from "../shared/router.js";

/** @import { PagesFixed } from "../payloads.js" */
/** @import { Part } from "../shared/part.js" */

/** @param {Part<string, PagesFixed>} part */
export function mount({ element, props, trigger, life }) {
  const keys = props.pages.map(([key]) => key);
  const requested = () => {
    const key = asked("page") ?? (asked("sweep") ? "settings" : "");
    return keys.includes(key) ? key : keys[0];
  };
  const links = props.pages.map(([page, title]) => h("a", { href: linkTo({ tab: "compare", page }) }, title));
  find(element, ".mount").replaceChildren(h("nav", { "aria-label": "Pages of Compare" }, links));

  let told = false;
  function show() {
    const key = requested();
    document.documentElement.dataset.comparePage = key;
    links.forEach((link, at) =>
      keys[at] === key ? link.setAttribute("aria-current", "page") : link.removeAttribute("aria-current"),
    );
    if (key === props.value && told) return;
    told = true;
    props.value = key;
    trigger("turned"); // the server fills it in, also the first one, with what only it knows
  }
  heard("address", life, show);
  show();
}
