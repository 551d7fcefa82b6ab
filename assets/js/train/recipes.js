// What is learned: data of one's own, or a recipe, as cards, of which one is chosen. Recipes that need the hub are
// folded under one sentence.

import { find, h, setText } from "../shared/dom.js";
import { polling } from "../shared/polling.js";

/** @import { Part } from "../shared/part.js" */
/** @import { RecipeCard, RecipesFixed, Servers, WhatIsLearned } from "../payloads.js" */

const AGAIN = 65_000; // ms: the server keeps an answer for a minute

// What a recipe does, drawn in a box of 64 by 40: what it reads on the left, what it answers on the right.
const TEXT = "M4 11H36M4 20H32M4 29H26";
/** @type {Record<string, string[]>} lines of ink, then those of the answer */
const PICTURES = {
  own: ["M6 6H34V34H6ZM6 15H34M6 24H34M20 6V34", "M44 20h12M51 15l5 5-5 5"],
  sentiment: [TEXT, "M45 21l5 6 10-14"],
  mnist: ["M8 10c9-5 17-3 15 5s-9 5-9 5 12-1 11 7-14 8-19 3", "M42 20h6M45 17l3 3-3 3M56 12v16"],
  digits: ["M9 14l8-5v22M9 31h16", "M42 20h6M45 17l3 3-3 3M54 14h6v6h-6v8h7"],
  addresses: ["M4 20H26", "M34 8h26M34 20h16M34 32h20M30 5v30"],
  sql: ["M4 14H28M4 24H22", "M36 8h24v24H36zM36 16h24M36 24h24M48 16v16"],
};

/** @param {string} key */
function picture(key) {
  const [ink, answer] = PICTURES[key] ?? [];
  if (!ink) return null;
  return h(
    "svg",
    { class: "recipe-picture", viewBox: "0 0 64 40", "aria-hidden": "true" },
    h("path", { d: ink }),
    h("path", { d: answer, class: "answer" }),
  );
}

/** @param {Part<WhatIsLearned, RecipesFixed, Servers["train/recipes"]>} part */
export function mount({ element, props, server, trigger, life }) {
  const name = `recipe-${element.id}`;
  /** @type {Map<string, HTMLInputElement>} */
  const inputs = new Map();
  /** @param {RecipeCard} recipe */
  const card = (recipe) => {
    const [, short, rest] = recipe.title.match(/^(.*?)( \(.*\))?$/) ?? ["", recipe.title];
    const input = h("input", {
      type: "radio",
      name,
      value: recipe.key,
      onchange: () => {
        props.value = { recipe: recipe.key, own: null };
        choose();
        trigger("input");
      },
    });
    inputs.set(recipe.key, input);
    return h(
      "label",
      { class: "recipe", title: `${recipe.title}: ${recipe.about}` },
      input,
      picture(recipe.key),
      h("span", { class: "recipe-title" }, short, rest ? h("span", { class: "hidden-text" }, rest) : null),
    );
  };
  const offline = props.recipes.filter((recipe) => recipe.offline);
  const online = props.recipes.filter((recipe) => !recipe.offline);
  const reach = h("p", { class: "reach", role: "status" }, "Looking whether the hub can be reached …");
  const fold = h(
    "details",
    { class: "hub" },
    h("summary", {}, `More from the Hub (${online.length})`),
    reach,
    h("p", { class: "unmeasured" }, props.unmeasured),
    h("div", { class: "recipe-list" }, online.map(card)),
  );
  const own = h("input", { type: "radio", name, value: "" });
  const ownName = h("span", { class: "recipe-title" });
  const ownCard = h(
    "label",
    { class: "recipe own", hidden: true },
    own,
    picture("own"),
    ownName,
    h("span", { class: "quiet" }, "your data"),
  );
  const about = h("p", { class: "recipe-about" });
  find(element, ".mount").replaceChildren(
    h(
      "fieldset",
      { class: "recipes" },
      h("legend", {}, "What is learned"),
      h("div", { class: "recipe-list pictured" }, ownCard, offline.map(card)),
      about,
      online.length ? fold : null,
    ),
  );

  const choose = () => {
    const { recipe, own: given } = props.value;
    ownCard.hidden = given === null;
    setText(ownName, given ?? "");
    const chosen = props.recipes.find(({ key }) => given === null && key === recipe);
    setText(about, chosen ? [chosen.expect, chosen.paper].filter(Boolean).join(" · ") : "");
    about.title = [chosen?.about, chosen?.expect_source].filter(Boolean).join(". ");
    own.checked = given !== null;
    for (const [key, input] of inputs) {
      input.checked = given === null && key === recipe; // none, where the address names no recipe that is known
      if (input.checked && fold.contains(input)) fold.open = true;
    }
  };
  let reachable = true;
  const poll = polling({
    life,
    place: element,
    ask: () => server.hub({}),
    take: (answer) => {
      setText(reach, answer.text);
      reach.classList.toggle("unreachable", !answer.reachable);
      if (answer.reachable !== reachable) trigger("hub_changed", {});
      reachable = answer.reachable;
      return reachable ? null : AGAIN;
    },
    lost: (away) => away && setText(reach, "The server did not say whether the hub can be reached."),
  });
  choose();
  void poll.now();
  return { update: choose };
}
