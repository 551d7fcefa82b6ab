// Follow one token through the layer: stage by stage, with its real numbers.

import { h, setText, short } from "../dom.js";
import { LinePlot } from "../shared/line_plot.js";
import { tableUnder } from "../table.js";
import { decode } from "./data.js";
import { difference, stages } from "./stages.js";

export class Forward {
  /** `ask(text)` gets the layer's inputs for a text from the server. */
  constructor(ask) {
    this.ask = ask;
    this.place = 0;
    this.select = h("select", { id: "forward-example", onchange: () => this.load(this.select.value) });
    this.typed = h("input", { type: "text", id: "forward-text", maxlength: 400, placeholder: "or type a sentence", "aria-label": "A sentence of your own" });
    this.form = h("form", { class: "forward-form", onsubmit: (event) => { event.preventDefault(); this.load(this.typed.value); } },
      h("label", { for: "forward-example" }, "Example"), this.select, this.typed, h("button", { type: "submit", class: "small" }, "Use it"));
    this.refusal = h("p", { class: "problem", role: "status", hidden: true });
    this.tokens = h("fieldset", { class: "tokens" });
    this.trail = h("ol", { class: "trail" });
    this.back = h("button", { type: "button", class: "small", onclick: () => this.go(this.place - 1) }, "Back");
    this.next = h("button", { type: "button", class: "small strong", onclick: () => this.go(this.place + 1) }, "Next");
    this.formula = h("p", { class: "stage-formula" });
    this.text = h("p", { class: "stage-text", "aria-live": "polite" });
    this.shape = h("p", { class: "stage-shape" });
    this.plot = new LinePlot({ label: "The numbers of this stage", height: 200, onmove: (k) => setText(this.under, this.#under(k) || "\u00a0") });
    this.under = h("p", { class: "under" }, "\u00a0");
    this.verdict = h("p", { class: "verdict", hidden: true });
    this.table = tableUnder(() => this.#numbers(), "This stage in numbers");
    this.stage = h("div", { class: "stage" }, this.trail,
      h("div", { class: "stage-head" }, h("div", {}, this.formula, this.text), h("div", { class: "stage-buttons" }, this.back, this.next)),
      this.shape, this.plot.node, this.under, this.verdict, this.table.details);
    this.empty = h("p", { class: "quiet" });
    this.node = h("section", { class: "forward", "aria-labelledby": "forward-title" }, h("h2", { id: "forward-title" }, "Follow one token through this layer"),
      h("p", { class: "quiet" }, "Real numbers: what this token brings to the layer in the pretrained model, and what the trained factors make of it."),
      this.empty, this.form, this.refusal, this.tokens, this.stage);
  }

  show(layer) {
    this.layer = layer;
    const able = layer.method === "cdvft";
    for (const part of [this.form, this.tokens, this.stage]) part.hidden = !able;
    this.refusal.hidden = true;
    setText(this.empty, able ? "" : `${layer.run.label} has no circulant to step through; choose a CDVFT run.`);
    this.empty.hidden = able;
    if (!able) return;
    const texts = layer.texts;
    this.select.replaceChildren(...texts.map((text) => h("option", { value: text }, text)));
    this.select.hidden = this.form.querySelector("label").hidden = !texts.length;
    this.inputs = null;
    const wanted = this.own && !texts.includes(this.own) ? this.own : texts.includes(this.own) ? this.own : texts[0];
    if (wanted) this.load(wanted);
    else { this.tokens.hidden = this.stage.hidden = true; }
  }

  async load(text) {
    const { layer } = this;
    this.node.toggleAttribute("data-busy", true);
    const answer = await this.ask(layer, text).catch(() => ({ error: "The server does not answer; try again." }));
    this.node.toggleAttribute("data-busy", false);
    if (layer !== this.layer) return;
    this.refusal.hidden = !answer.error;
    setText(this.refusal, answer.error ?? "");
    if (answer.error) return;
    this.own = text;
    if ([...this.select.options].some(({ value }) => value === text)) this.select.value = text;
    this.inputs = { ...answer, values: decode(answer.data) };
    this.token = Math.min(Math.max(1, this.token ?? 2), answer.tokens.length - 1);
    this.tokens.replaceChildren(h("legend", {}, "Token"), ...answer.tokens.map((token, index) => h("label", { class: "token-choice" },
      h("input", { type: "radio", name: "forward-token", value: index, checked: index === this.token, onchange: () => { this.token = index; this.compute(); } }),
      h("span", {}, token))));
    this.tokens.hidden = this.stage.hidden = false;
    this.compute();
  }

  at(t) {
    this.t = t;
    if (this.inputs && this.layer.method === "cdvft") this.compute();
  }

  compute() {
    const { width, values } = this.inputs;
    this.x = values.subarray(this.token * width, (this.token + 1) * width);
    this.stages = stages(this.layer, this.t, this.x);
    const names = this.stages.map(({ title }) => title);
    if (names.join() !== this.names) {
      this.names = names.join();
      this.trail.replaceChildren(...names.map((title, index) => h("li", {}, h("button", { type: "button", onclick: () => this.go(index) }, title))));
    }
    this.go(Math.min(this.place, this.stages.length - 1));
  }

  go(place) {
    this.place = place;
    const stage = this.stages[place];
    [...this.trail.children].forEach((item, index) => {
      item.firstChild.setAttribute("aria-current", index === place ? "step" : "false");
      item.classList.toggle("done", index < place);
    });
    this.back.disabled = place === 0;
    this.next.disabled = place === this.stages.length - 1;
    setText(this.formula, stage.formula);
    setText(this.text, stage.text);
    setText(this.shape, stage.shape);
    const { numbers, spectrum, before, block } = stage;
    if (spectrum) {
      this.plot.show([{ y: spectrum.modulus, phases: spectrum.phases, color: "var(--factor-circulant)" }],
        { low: 0, blocks: spectrum.modulus.length > spectrum.each ? spectrum.each : null, xTitle: "frequency; height the modulus, colour the phase" });
    } else {
      this.plot.show([...(before ? [{ y: before, color: stage.check ? "var(--method-lora)" : "var(--rule-strong)", opacity: stage.check ? 0.9 : 0.6, width: stage.check ? 4 : 1 }] : []),
        { y: numbers, color: "var(--method-cdvft)", width: 1.4 }], { blocks: block, xTitle: before && !stage.check ? "place; the thin line is what came in" : "place" });
    }
    this.verdict.hidden = !stage.check;
    if (stage.check) {
      const { error, largest } = difference(stage.numbers, before), added = Math.hypot(...stage.numbers), output = this.inputs.output_norms[this.token];
      setText(this.verdict, `The two lines lie on each other: the largest difference is ${short(error)}`
        + (largest ? `, where the largest value is ${short(largest)}.` : ": at this step ΔW is zero.")
        + ` The layer itself gives a vector of norm ${short(output)} for this token; the change adds one of norm ${short(added)}.`);
    }
    setText(this.under, "\u00a0");
    this.table.refresh();
  }

  #under(k) {
    if (k === null || !this.stages) return "";
    const { numbers, spectrum } = this.stages[this.place];
    if (spectrum) return spectrum.modulus[k] === undefined ? "" : `frequency ${k % spectrum.each}: modulus ${short(spectrum.modulus[k])}, phase ${Math.round(spectrum.phases[k] * 180 / Math.PI)}°`;
    return numbers[k] === undefined ? "" : `[${k}] = ${short(numbers[k])}`;
  }

  #numbers() {
    if (!this.stages) return { columns: ["place", "value"], rows: [] };
    const { numbers, spectrum } = this.stages[this.place];
    return spectrum ? { columns: ["frequency", "modulus", "phase"], rows: spectrum.modulus.map((value, k) => [String(k % spectrum.each), value, spectrum.phases[k]]) }
      : { columns: ["place", "value"], rows: Array.from(numbers, (value, k) => [String(k), value]) };
  }
}
