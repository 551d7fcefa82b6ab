// For teachers: a class is started here; its code, the address that pupils open, its table, and receipts of homework.

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
  const said = h("p", { class: "quiet", role: "status" }),
    started = h("div", { class: "class-started" });
  /**
   * @template {object} Answer
   * @param {Promise<Answer>} asked
   * @returns {Promise<Exclude<Answer, { error: string }> | null>}
   */
  const answered = async (asked) => {
    const { answer, problem } = await outcomeOf(asked);
    setText(said, problem);
    return answer;
  };
  const show = async () => {
    const member = membership();
    if (member?.key === undefined) {
      started.replaceChildren(
        actButton("Start a class", start),
        h("p", { class: "quiet" }, "A code for today, without names; all is forgotten after a day."),
      );
      return;
    }
    const address = new URL(linkTo({ tab: "learn" }), location.href);
    address.searchParams.set("class", member.code);
    const picture = h("img", { class: "qr", alt: `QR code of ${address.href}`, width: 220, height: 220 });
    started.replaceChildren(
      h("p", { class: "class-code" }, member.code),
      picture,
      h(
        "p",
        {},
        "Pupils open ",
        // In a tab of its own, which is a pupil's: without noopener it would begin with what this one keeps.
        h("a", { href: address.href, target: "_blank", rel: "noopener" }, address.href),
      ),
      h(
        "p",
        { class: "quiet" },
        "Above every lesson you can now show everybody what you see, watch the votes, and reveal them.",
      ),
      actButton("Table as CSV", table),
    );
    const made = await answered(server.code({ address: address.href }));
    if (made) picture.src = made.image;
  };
  const start = async () => {
    const made = await answered(server.start({}));
    if (!made) return;
    join(made);
    tell("class-changed", null);
  };
  const table = async () => {
    const made = await answered(server.table({ ...membership() }));
    if (made) download(new Blob([made.csv], { type: "text/csv" }), `class-${membership()?.code}.csv`);
  };
  const receipt = h("textarea", { rows: 3, "aria-label": "A receipt of homework" }),
    proof = h("p", { role: "status" });
  const check = async () => {
    const { answer: made, problem } = await outcomeOf(server.check({ receipt: receipt.value.trim() }));
    setText(
      proof,
      made ? `Handed in ${made.when} to class ${made.class} by ${made.pupil}: ${made.state}` : problem,
    );
  };
  find(element, ".mount").replaceChildren(
    started,
    said,
    h(
      "details",
      {},
      h("summary", {}, "Check a receipt of homework"),
      receipt,
      actButton("Check", check),
      proof,
    ),
  );
  heard("class-changed", life, show);
  return void show();
}
