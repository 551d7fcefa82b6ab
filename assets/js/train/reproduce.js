// The commands that train the shown runs again, from all of their options.

import { h, textButton } from "../shared/dom.js";
import { titleOf } from "./run_model.js";

/** @import { Run } from "./run_model.js" */

/** @param {unknown} value */
const quoted = (value) =>
  /^[\w./:=-]+$/.test(String(value)) ? String(value) : `'${String(value).replaceAll("'", "'\\''")}'`;

/**
 * One run's options as the words of a command; a list is one option a member, `true` needs no word.
 * @param {Record<string, unknown>} options
 */
export function command(options) {
  const words = Object.entries(options).flatMap(([name, value]) =>
    [value].flat().map((one) => `--${name.replaceAll("_", "-")}${one === true ? "" : ` ${quoted(one)}`}`),
  );
  return ["python -m cdvft_app train", ...words];
}

export class Reproduce {
  constructor() {
    this.text = this.idle = "";
    this.code = h("div", {});
    this.copy = textButton("Copy", () => this.toClipboard());
    this.node = h(
      "details",
      { class: "reproduce", hidden: true },
      h("summary", {}, "Train it again"),
      this.code,
      h("div", { class: "again" }, this.copy),
    );
  }

  /** @param {Run[]} runs */
  show(runs) {
    const commands = runs.map((run) => ({ label: titleOf(run), words: command(run.options) }));
    const text = commands.map(({ words }) => words.join(" ")).join("\n\n");
    this.node.hidden = runs.length === 0;
    if (this.text === text) return;
    this.text = text;
    // An option and its value stay on one line.
    this.code.replaceChildren(
      ...commands.flatMap(({ label, words }) => [
        h("p", { class: "quiet" }, label),
        h(
          "pre",
          { tabindex: "0", role: "region", "aria-label": `Command for ${label}` },
          words.flatMap((word, place) => [place ? " " : "", h("span", {}, word)]),
        ),
      ]),
    );
    this.copy.textContent = this.idle = runs.length > 1 ? `Copy all ${runs.length}` : "Copy";
  }

  async toClipboard() {
    try {
      await navigator.clipboard.writeText(this.text);
      this.copy.textContent = "Copied";
    } catch {
      getSelection()?.selectAllChildren(this.code);
      this.copy.textContent = "Selected: press Ctrl+C";
    }
    setTimeout(() => {
      this.copy.textContent = this.idle;
    }, 2000);
  }
}
