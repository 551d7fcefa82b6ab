// The lab without a server: one of the known targets, in a size that was fitted beforehand.

import { find, h, setText } from "../shared/dom.js";
import { tell } from "../shared/events.js";
import { newest } from "../shared/part.js";
import { RequestError } from "../shared/request.js";
import { asked, keep } from "../shared/router.js";

/** @import { LabFormFixed, LabView } from "../payloads.js" */
/** @import { Ask, Part } from "../shared/part.js" */

/** @param {Part<null, LabFormFixed, {fit: Ask<{target: string, n: string}, LabView>}>} part */
export function mount({ element, props, server, life }) {
  const latest = newest(life);
  const { targets, sizes, first, how } = props;
  const said = h("p", { class: "problem", role: "status", hidden: true });
  /**
   * @param {"target" | "n"} name
   * @param {string} given in the address
   * @param {[title: string, key: string][]} offered
   */
  const choice = (name, given, offered) => {
    const value = offered.some(([, key]) => key === given) ? given : first[name];
    return h(
      "select",
      { id: `lab-${name}`, onchange: () => choose() },
      offered.map(([title, key]) => h("option", { value: key, selected: key === value }, title)),
    );
  };
  const target = choice("target", asked("target") ?? "", targets);
  const size = choice(
    "n",
    String(asked("n") ?? ""),
    sizes.map((n) => [`${n} × ${n}`, String(n)]),
  );
  find(element, ".mount").replaceChildren(
    h(
      "div",
      { class: "lab-choices" },
      h("label", { for: "lab-target" }, "Target"),
      target,
      h("label", { for: "lab-n" }, "Size"),
      size,
    ),
    h("p", { class: "quiet" }, how),
    said,
  );

  async function show() {
    try {
      const value = await latest(server.fit({ target: target.value, n: size.value }));
      said.hidden = true;
      tell("fill-part", { id: "lab-view", value });
    } catch (error) {
      if (!(error instanceof RequestError)) throw error;
      setText(said, error.message);
      said.hidden = false;
    }
  }

  function choose() {
    keep({ tab: "learn", lesson: "lab", target: target.value, n: Number(size.value) });
    show();
  }
  show();
}
