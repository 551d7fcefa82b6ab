// The commands that train the shown runs again, from their complete settings.

import { h } from "../shared/dom.js";

/** @import { Run } from "./run_model.js" */

/** @param {unknown} value */
const quoted = (value) =>
  /^[\w./:=-]+$/.test(String(value)) ? String(value) : `'${String(value).replaceAll("'", "'\\''")}'`;

// Settings that only one method has.
/** @type {Record<string, string>} */
const OWN = {
  m: "cdvft",
  block_size: "cdvft",
  alpha: "cdvft",
  init_weights: "cdvft",
  lora_r: "lora",
  fourierft_n: "fourierft",
  fourierft_scaling: "fourierft",
  c3a_block_size: "c3a",
};

/**
 * One run's settings as the words of a command; a list is one option a member.
 * @param {Record<string, unknown>} settings
 */
export function command(settings) {
  const { recipe, method, ...rest } = settings;
  const options = Object.entries({ recipe, method, ...rest })
    .filter(([name]) => !(name in OWN) || OWN[name] === method)
    .flatMap(([name, value]) => [value].flat().map((one) => `--${name.replaceAll("_", "-")} ${quoted(one)}`));
  return ["python -m cdvft_app train", ...options];
}

export class Reproduce {
  constructor() {
    this.text = this.idle = "";
    this.code = h("div", {});
    this.copy = h(
      "button",
      { type: "button", class: "text-button", onclick: () => this.toClipboard() },
      "Copy",
    );
    this.node = h(
      "details",
      { class: "reproduce", hidden: true },
      h("summary", {}, "Reproduce from a terminal"),
      this.code,
      this.copy,
    );
  }

  /** @param {Run[]} runs */
  show(runs) {
    const commands = runs.map((run) => ({ label: run.label, words: command(run.settings) }));
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
