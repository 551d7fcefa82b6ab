// The commands that train the shown runs again, from their complete settings.

import { h } from "./dom.js";

const quoted = (value) => /^[\w./:=-]+$/.test(value) ? String(value) : `'${String(value).replaceAll("'", "'\\''")}'`;

// Settings that only one method has.
const OWN = { m: "cdvft", block_size: "cdvft", alpha: "cdvft", init_weights: "cdvft", lora_r: "lora",
  fourierft_n: "fourierft", fourierft_scaling: "fourierft", c3a_block_size: "c3a" };

/** One run's settings as the words of a command; a list is one option a member. */
export function command(settings) {
  const { recipe, method, ...rest } = settings;
  const options = Object.entries({ recipe, method, ...rest })
    .filter(([name]) => !(name in OWN) || OWN[name] === method)
    .flatMap(([name, value]) => [value].flat().map((one) => `--${name.replaceAll("_", "-")} ${quoted(one)}`));
  return ["python -m cdvft_app train", ...options];
}

export class Reproduce {
  constructor() {
    this.code = h("pre", { tabindex: "0", role: "region", "aria-label": "Commands" });
    this.copy = h("button", { type: "button", class: "text-button", onclick: () => this.toClipboard() }, "Copy");
    this.node = h("details", { class: "reproduce", hidden: true }, h("summary", {}, "Reproduce from a terminal"), this.code, this.copy);
  }

  show(runs) {
    const commands = runs.map((run) => command(run.settings));
    this.node.hidden = runs.length === 0;
    if (this.code.textContent === commands.map((words) => words.join(" ")).join("\n")) return;
    // An option and its value stay on one line.
    this.code.replaceChildren(...commands.flatMap((words, line) => [line ? "\n" : "",
      ...words.flatMap((word, place) => [place ? " " : "", h("span", {}, word)])]));
  }

  async toClipboard() {
    try {
      await navigator.clipboard.writeText(this.code.textContent);
      this.copy.textContent = "Copied";
    } catch {
      getSelection().selectAllChildren(this.code);
      this.copy.textContent = "Selected: press Ctrl+C";
    }
    setTimeout(() => { this.copy.textContent = "Copy"; }, 2000);
  }
}
