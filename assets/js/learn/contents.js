// The list of lessons: shows one at a time, and keeps it in the address (?tab=learn&lesson=3).

import { find, h } from "../shared/dom.js";
import { heard } from "../shared/events.js";
import { fullScreenButton } from "../shared/full_screen.js";
import { asked, keep, linkTo } from "../shared/router.js";
import { remembered } from "./progress.js";

/** @import { ContentsFixed } from "../payloads.js" */
/** @import { Part } from "../shared/part.js" */

/** @param {Part<null, ContentsFixed>} part */
export function mount({ element, props, life }) {
  const { lessons, formerly } = props,
    keys = lessons.map(({ key }) => key),
    container = /** @type {HTMLElement} */ (element.closest(".learn"));
  const requested = () => {
    const given = asked("lesson") ?? location.hash.replace("#lesson-", "");
    const key = formerly[given] ?? given;
    return keys.includes(key) ? key : keys[0];
  };
  /** Give a lesson of before its name of today, so that what it keeps in the address finds it. */
  const renameLesson = () => {
    const given = asked("lesson");
    if (given && formerly[given]) keep({ lesson: formerly[given] });
  };
  /** @param {string} lesson */
  const address = (lesson) => linkTo({ tab: "learn", lesson });
  const links = keys.map((key, index) =>
    h(
      "a",
      { href: address(key), title: lessons[index].title, class: lessons[index].last ? null : "unnumbered" },
      h("span", { class: "place", "aria-hidden": "true" }, lessons[index].last ? index + 1 : "∗"),
      h("span", {}, lessons[index].title),
    ),
  );
  find(element, ".mount").replaceChildren(
    h(
      "nav",
      { "aria-label": "Lessons" },
      h(
        "ol",
        {},
        links.map((link) => h("li", {}, link)),
      ),
    ),
    fullScreenButton(() => container, life),
  );

  const before = h("a", { class: "before" }),
    after = h("a", { class: "after" });
  /**
   * @param {HTMLAnchorElement} link
   * @param {number} index
   * @param {number} sign
   */
  const turn = (link, index, sign) => {
    link.hidden = !(index in keys);
    if (link.hidden) return;
    link.href = address(keys[index]);
    link.textContent = sign < 0 ? `← ${lessons[index].title}` : `${lessons[index].title} →`;
  };
  const pager = h("nav", { class: "pager", "aria-label": "Next lesson" }, before, after);

  function show() {
    renameLesson();
    const key = requested(),
      index = keys.indexOf(key);
    container.dataset.lesson = key;
    links.forEach((link, at) =>
      at === index ? link.setAttribute("aria-current", "step") : link.removeAttribute("aria-current"),
    );
    turn(before, index - 1, -1);
    turn(after, index + 1, 1);
    container.querySelector(".pager-place")?.replaceChildren(pager);
  }
  const markAnswered = () =>
    links.forEach((link, index) =>
      link.classList.toggle("answered", remembered().includes(lessons[index].last)),
    );
  heard("address", life, () => {
    const before = container.dataset.lesson;
    show();
    if (container.dataset.lesson === before) return;
    for (const scrolled of [container, window]) scrolled.scrollTo(0, 0); // the first of them in full screen
  });
  heard("lesson-answered", life, markAnswered);
  show();
  markAnswered();
  requestAnimationFrame(show); // the place of the pager may come after this part
}
