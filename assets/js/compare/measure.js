// Measure step times on this machine: the button, progress, Cancel.

import { button, find, h, progressBar, setText } from "../shared/dom.js";
import { heard } from "../shared/events.js";

/** @import { Measuring } from "../payloads.js" */
/** @import { Part } from "../shared/part.js" */

/** @param {Part<Measuring>} part */
export function mount({ element, props, trigger, life }) {
  const hint =
    "A few seconds a method, more for a large model. Nothing is downloaded, and the weights are random: time does not care.";
  const start = button("Measure on this machine", begin, { class: "primary", title: hint });
  const cancel = button("Cancel", stop, { class: "secondary", disabled: true });
  const text = h("p", { class: "quiet", role: "status" });
  const bar = progressBar("Measurement");
  find(element, ".mount").replaceChildren(h("div", { class: "go-buttons" }, start, cancel), bar.node, text);
  /** @type {"idle" | "starting" | "running" | "cancelling"} until Gradio has ended the event, no other can begin */
  let state = "idle";
  let kept = 0;

  /** @param {typeof state} next */
  function become(next) {
    state = next;
    start.disabled = state !== "idle";
    cancel.disabled = state !== "running";
  }

  function begin() {
    kept = 0;
    become("starting");
    show({ state: "on", text: "Starting", fraction: 0 });
    trigger("measure", {});
  }

  function stop() {
    become("cancelling");
    setText(text, "Cancelling");
    trigger("cancel", {});
  }

  /** @param {Omit<Measuring, "kept">} now */
  function show({ state: now, text: message, fraction }) {
    bar.set(fraction, now === "on");
    text.className = now === "failed" ? "problem" : "quiet";
    setText(text, message);
  }

  heard("measure-failed", life, () => {
    const message = "The measurement failed. What was measured until then is kept.";
    props.value = { state: "failed", text: message, fraction: 0, kept };
    show(props.value);
    become("idle");
  });
  heard("measure-ended", life, () => become("idle"));
  show(props.value);
  return {
    update() {
      const { value } = props;
      if (value.kept !== kept && value.kept > 0) trigger("kept", {});
      kept = value.kept;
      if (state === "cancelling" && value.state === "on") return; // what was on its way at Cancel
      if (state === "starting" && value.state === "on") become("running");
      show(value);
    },
  };
}
