// Measure step times on this machine: the button, progress, Cancel.

import { button, find, h, progressBar, setText } from "../shared/dom.js";

/** @import { Measuring } from "../payloads.js" */
/** @import { Part } from "../shared/part.js" */

/** @param {Part<Measuring>} part */
export function mount({ element, props, trigger }) {
  const hint =
    "A few seconds a method, more for a large model. Nothing is downloaded, and the weights are random: time does not care.";
  const start = button("Measure on this machine", begin, { class: "primary", title: hint });
  const cancel = button("Cancel", stop, { class: "secondary", disabled: true });
  const text = h("p", { class: "quiet", role: "status" });
  const bar = progressBar("Measurement");
  find(element, ".mount").replaceChildren(h("div", { class: "go-buttons" }, start, cancel), bar.node, text);
  let cancelling = false; // what still arrives between Cancel and its answer is not shown
  let kept = 0;

  function begin() {
    cancelling = false;
    kept = 0;
    show({ state: "on", text: "Starting", fraction: 0 });
    trigger("measure", {});
  }

  function stop() {
    cancelling = true;
    trigger("cancel", {});
    cancel.disabled = true;
    setText(text, "Cancelling");
  }

  /** @param {Omit<Measuring, "kept">} now */
  function show({ state, text: message, fraction }) {
    const running = state === "on";
    start.disabled = running;
    cancel.disabled = !running;
    bar.set(fraction, running);
    text.className = state === "failed" ? "problem" : "quiet";
    setText(text, message);
  }

  show(props.value);
  return {
    update() {
      const { value } = props;
      if (value.kept !== kept && value.kept > 0) trigger("kept", {});
      kept = value.kept;
      cancelling &&= value.state !== "idle"; // the answer to Cancel
      if (!cancelling) show(value);
    },
  };
}
