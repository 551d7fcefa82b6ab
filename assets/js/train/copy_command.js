// The commands that retrain the shown runs with all of their options.

import { textButton } from "../shared/dom.js";

/** @import { Run } from "./run_model.js" */

/** @param {unknown} value */
const quoted = (value) =>
  /^[\w./:=-]+$/.test(String(value)) ? String(value) : `'${String(value).replaceAll("'", "'\\''")}'`;

/**
 * Return the words of a run's command. A list is one option per member, and `true` needs no value.
 * @param {Record<string, unknown>} options
 */
export function command(options) {
  const words = Object.entries(options).flatMap(([name, value]) =>
    [value].flat().map((one) => `--${name.replaceAll("_", "-")}${one === true ? "" : ` ${quoted(one)}`}`),
  );
  return ["python -m cdvft_app train", ...words];
}

/** @param {() => Run[]} shown */
export function copyButton(shown) {
  const node = textButton(
    "Copy command",
    async () => {
      const text = shown().map((run) => command(run.options).join(" "));
      try {
        await navigator.clipboard.writeText(text.join("\n"));
        node.textContent = "Copied";
      } catch {
        prompt("Copy this command:", text.join(" && "));
      }
      setTimeout(() => (node.textContent = "Copy command"), 2000);
    },
    { hidden: true, title: "Copy the commands that retrain these runs" },
  );
  return node;
}
