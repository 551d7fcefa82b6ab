// Start or join a class: its code, the address that students open, and the table of votes.

import { actButton, find, h, setText } from "../shared/dom.js";
import { download } from "../shared/download.js";
import { heard, tell } from "../shared/events.js";
import { outcomeOf } from "../shared/request.js";
import { linkTo } from "../shared/router.js";
import { join, membership } from "./class_state.js";

/** @import { Servers } from "../payloads.js" */
/** @import { Part } from "../shared/part.js" */

/** @param {Part<null, object, Servers["learn/class_start"]>} part */
export function mount({ element, server, life }) {
  const message = h("p", { class: "quiet", role: "status" }),
    place = h("div", { class: "class-started" });
  /**
   * @template {object} Answer
   * @param {Promise<Answer>} request
   * @returns {Promise<Exclude<Answer, { error: string }> | null>}
   */
  const answered = async (request) => {
    const { answer, problem } = await outcomeOf(request);
    setText(message, problem);
    return answer;
  };
  const start = async () => {
    const started = await answered(server.start({}));
    if (started) enter(started);
  };
  /** @param {{code: string, key?: string}} member */
  const enter = (member) => {
    join(member);
    tell("class-changed", null);
  };
  const table = async () => {
    const answer = await answered(server.table({ ...membership() }));
    if (answer) download(new Blob([answer.csv], { type: "text/csv" }), `class-${membership()?.code}.csv`);
  };
  const outside = () => {
    const field = h("input", { type: "text", maxlength: 5, autocomplete: "off", "aria-label": "Class code" });
    const submit = () => {
      if (field.value.trim()) enter({ code: field.value.trim().toUpperCase() });
    };
    field.addEventListener("keydown", (event) => event.key === "Enter" && submit());
    place.replaceChildren(
      h("div", { class: "act-row" }, field, actButton("Join", submit), actButton("Start a class", start)),
      h("p", { class: "quiet" }, "Classes need no names and are deleted after a day."),
    );
  };
  const show = async () => {
    const member = membership();
    if (member?.key === undefined) return outside();
    const address = new URL(linkTo({ tab: "learn" }), location.href);
    address.searchParams.set("class", member.code);
    const picture = h("img", { class: "qr", alt: `QR code of ${address.href}`, width: 220, height: 220 });
    // In a new tab without an opener, which would begin with this tab's session storage.
    const link = h("a", { href: address.href, target: "_blank", rel: "noopener" }, address.href);
    place.replaceChildren(
      h("p", { class: "class-code" }, member.code),
      picture,
      h("p", {}, "Students open ", link),
      actButton("Download votes", table),
    );
    const made = await answered(server.code({ address: address.href }));
    if (made) picture.src = made.image;
  };
  find(element, ".mount").replaceChildren(place, message);
  heard("class-changed", life, () => void show());
  void show();
}
