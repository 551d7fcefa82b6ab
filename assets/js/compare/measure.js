// Measure step times on this machine: the button, progress, Cancel.

import { cancelling } from "../shared/cancelling.js";
import { button, find, h, progressBar, setText } from "../shared/dom.js";

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
  /** @type {"idle" | "running" | "cancelling"} what still arrives between Cancel and its answer is not shown */
  let state = "idle";
  let kept = 0;
  const cancelled = cancelling({
    failed: "measure-failed",
    ended: "measure-ended",
    life,
    over: () => end("idle", "Cancelled; what was measured until then is kept."),
    broken: () =>
      state === "running" && end("failed", "The measurement failed. What was measured until then is kept."),
  });

  /**
   * @param {"idle" | "failed"} how
   * @param {string} message
   */
  function end(how, message) {
    props.value = { state: how, text: message, fraction: 0, kept };
    show(props.value);
  }

  function begin() {
    kept = 0;
    show({ state: "on", text: "Starting", fraction: 0 });
    trigger("measure", {});
  }

  function stop() {
    state = "cancelling";
    cancelled();
    trigger("cancel", {});
    cancel.disabled = true;
    setText(text, "Cancelling");
  }

  /** @param {Omit<Measuring, "kept">} now */
  function show({ state: now, text: message, fraction }) {
    const running = now === "on";
    state = running ? "running" : "idle";
    start.disabled = running;
    cancel.disabled = !running;
    bar.set(fraction, running);
    text.className = now === "failed" ? "problem" : "quiet";
    setText(text, message);
  }

  show(props.value);
  return {
    update() {
      const { value } = props;
      if (value.kept !== kept && value.kept > 0) trigger("kept", {});
      kept = value.kept;
      if (state !== "cancelling") show(value);
    },
  };
}
