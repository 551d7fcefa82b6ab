// The lab without a server: one of the known targets, in a size that was fitted beforehand.

import { find, h, setText } from "../shared/dom.js";

/** @import { LabFormFixed, LabView } from "../payloads.js" */
/** @import { Ask, Part } from "../shared/part.js" */

/** @param {Part<null, LabFormFixed, {fit: Ask<{target: string, n: string}, LabView>}>} part */
export function mount({ element, props, server }) {
  const { targets, sizes, first, how } = props;
  const said = h("p", { class: "problem", role: "status", hidden: true });
  const asked = new URL(location.href).searchParams;
  /**
   * @param {"target" | "n"} name
   * @param {[title: string, key: string][]} offered
   */
  const choice = (name, offered) => {
    const given = asked.get(name) ?? "",
      value = offered.some(([, key]) => key === given) ? given : first[name];
    return h(
      "select",
      { id: `lab-${name}`, onchange: () => choose() },
      offered.map(([title, key]) => h("option", { value: key, selected: key === value }, title)),
    );
  };
  const target = choice("target", targets);
  const size = choice(
    "n",
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
    const wanted = { target: target.value, n: size.value };
    try {
      const value = await server.fit(wanted);
      if (wanted.target !== target.value || wanted.n !== size.value) return;
      said.hidden = true;
      document.dispatchEvent(new CustomEvent("fill-part", { detail: { id: "lab-view", value } }));
    } catch (error) {
      setText(said, error instanceof Error ? error.message : String(error));
      said.hidden = false;
    }
  }

  function choose() {
    const address = new URL(location.href);
    address.searchParams.set("tab", "learn");
    address.searchParams.set("lesson", "lab");
    address.searchParams.set("target", target.value);
    address.searchParams.set("n", size.value);
    history.replaceState(history.state, "", address.href);
    show();
  }
  show();
}
