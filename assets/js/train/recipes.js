// The recipes as cards: those that are ready offline first, those from the hub folded under one sentence.

import { find, h, setText } from "../shared/dom.js";

/** @import { Ask, Part } from "../shared/part.js" */
/** @import { HubReach, RecipeCard, RecipesFixed } from "../payloads.js" */

const AGAIN = 65_000; // ms: the server keeps an answer for a minute

/** @param {Part<string, RecipesFixed, {hub: Ask<object, HubReach>}>} part */
export function mount({ element, props, server, trigger, watch }) {
  /** @type {Map<string, HTMLInputElement>} */
  const inputs = new Map();
  /** @param {RecipeCard} recipe */
  const card = (recipe) => {
    const input = h("input", {
      type: "radio",
      name: `recipe-${element.id}`,
      value: recipe.key,
      onchange: () => {
        props.value = recipe.key;
        trigger("input");
      },
    });
    inputs.set(recipe.key, input);
    return h(
      "label",
      { class: "recipe" },
      input,
      h(
        "span",
        { class: "recipe-text" },
        h(
          "span",
          { class: "recipe-title" },
          recipe.title,
          h("span", { class: recipe.offline ? "tag ready" : "tag" }, recipe.offline ? "offline" : "hub"),
        ),
        recipe.about ? h("span", { class: "recipe-about" }, recipe.about) : null,
        h("span", { class: "recipe-expect", title: recipe.expect_source }, recipe.expect),
        recipe.paper ? h("span", { class: "recipe-paper" }, recipe.paper) : null,
      ),
    );
  };
  const offline = props.recipes.filter((recipe) => recipe.offline);
  const online = props.recipes.filter((recipe) => !recipe.offline);
  const reach = h("p", { class: "reach", role: "status" }, "Looking whether the hub can be reached …");
  const fold = h(
    "details",
    { class: "hub" },
    h("summary", {}, `From the Hugging Face hub (${online.length})`),
    reach,
    h("p", { class: "unmeasured" }, props.unmeasured),
    h("div", { class: "recipe-list" }, online.map(card)),
  );
  find(element, ".mount").replaceChildren(
    h(
      "fieldset",
      { class: "recipes" },
      h("legend", {}, "Recipe"),
      h("div", { class: "recipe-list" }, offline.map(card)),
      online.length ? fold : null,
    ),
  );

  const choose = () => {
    const input = inputs.get(props.value);
    if (!input) return;
    input.checked = true;
    if (fold.contains(input)) fold.open = true;
  };
  let reachable = true;
  const ask = async () => {
    try {
      const answer = await server.hub({});
      setText(reach, answer.text);
      reach.classList.toggle("unreachable", !answer.reachable);
      if (answer.reachable !== reachable) trigger("hub_changed", {});
      reachable = answer.reachable;
    } catch {
      setText(reach, "The server did not say whether the hub can be reached.");
    }
    if (!reachable && element.isConnected) setTimeout(ask, AGAIN);
  };
  watch("value", choose);
  choose();
  ask();
}
