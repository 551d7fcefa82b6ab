// A digit to draw, and beside it the picture that the models get of it.

import { actButton, find, h, setText } from "../shared/dom.js";
import { newest } from "../shared/part.js";
import { Pad } from "../shared/pad.js";
import { unanswered } from "../shared/request.js";

/** @import { Part } from "../shared/part.js" */
/** @import { Drawing, Seen, Servers } from "../payloads.js" */

const PEN = 3; // half its width, in entries: a stroke as wide as those of the data

/** @param {Part<Drawing, object, Servers["use/draw"]>} part */
export function mount({ element, props, server, life }) {
  const seen = h("img", { hidden: true, width: 140, height: 140 });
  const caption = h("p", { class: "quiet", role: "status" });
  const latest = newest(life);
  let race = props.value.race;

  const onchange = async () => {
    props.value = { ...props.value, drawing: pad.drawn ? pad.encoded : null };
    show(await latest(props.value.drawing ? server.seen(props.value).catch(unanswered) : null));
  };
  /** @param {Seen | null} answer */
  const show = (answer) => {
    seen.hidden = !answer;
    if (answer) Object.assign(seen, { src: answer.picture, alt: answer.said });
    setText(caption, answer ? answer.said : "What the models will see stands here.");
  };
  const pad = new Pad({ label: "A digit to draw.", reach: PEN, onchange });
  const clear = actButton("Clear", () => pad.fill(() => 0));
  find(element, ".mount").replaceChildren(
    h("p", { class: "draw-head" }, "Draw a digit by mouse, finger, or arrow keys and space bar."),
    h("div", { class: "draw-place" }, pad.node, h("div", { class: "draw-seen" }, seen, caption, clear)),
  );
  show(null);
  return {
    update() {
      if (props.value.race === race) return;
      race = props.value.race;
      pad.fill(() => 0);
    },
  };
}
