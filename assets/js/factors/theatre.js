// The Factors tab: chooses run and layer, loads one layer at a time, and keeps all views at the same step.

import { h, setText } from "../shared/dom.js";
import { count, when } from "../shared/format.js";
import { LayerData } from "./data.js";
import { Forward } from "./forward.js";
import { Overview } from "./overview.js";
import { Player } from "./player.js";
import { Ranks } from "./ranks.js";
import { saveVectors } from "./saving.js";
import { Views } from "./views.js";

const MOST_COMPANIONS = 4;
const GONE =
  "The address names a run that keeps no factors here; it may have been deleted. This is another one.";

export function mount({ element, props, server }) {
  new Theatre(element.querySelector(".mount"), props, server).begin();
}

class Theatre {
  constructor(place, props, server) {
    Object.assign(this, { props, server, answers: new Map() });
    const select = (id, label, onchange) => ({
      list: h("select", { id, onchange }),
      label: h("label", { for: id }, label),
    });
    this.runs = select("factors-run", "Run", () => {
      this.gone.hidden = true;
      this.open(this.runs.list.value);
    });
    this.beside = select("factors-beside", "Beside it", () => this.showLayer());
    this.origin = h("p", { class: "origin" });
    this.gone = h("p", { class: "notice", role: "status", hidden: true });
    this.problem = h("p", { class: "problem", role: "status", hidden: true });
    this.overview = new Overview((module) => {
      this.module = module;
      this.showLayer();
    });
    this.player = new Player((t) => this.at(t));
    this.heading = h("h2", { class: "layer-name" });
    this.about = h("p", { class: "quiet layer-about" });
    this.views = new Views();
    this.ranks = new Ranks(props.lines);
    this.forward = new Forward(
      (layer, example) => this.server.inputs({ run: layer.run.id, module: layer.module, ...example }),
      (layer) => this.ask("images", { run: layer.run.id }),
    );
    this.payload = h("p", { class: "quiet payload" });
    this.layerPart = h(
      "div",
      { class: "layer-part" },
      h("div", { class: "layer-head" }, h("div", {}, this.heading, this.about), this.player.node),
      this.views.node,
      this.ranks.node,
      this.forward.node,
      h(
        "div",
        { class: "factors-foot" },
        this.payload,
        h(
          "span",
          { class: "actions" },
          h(
            "button",
            {
              type: "button",
              class: "text-button",
              onclick: () => saveVectors(this.layer, this.player.t, "csv"),
            },
            "Vectors at this step as CSV",
          ),
          h(
            "button",
            {
              type: "button",
              class: "text-button",
              onclick: () => saveVectors(this.layer, this.player.t, "json"),
            },
            "as JSON",
          ),
        ),
      ),
    );
    this.node = h(
      "section",
      { class: "factors", "aria-label": "What each layer learned" },
      h(
        "div",
        { class: "factors-head" },
        h("div", {}, h("h2", {}, "What each layer learned"), this.origin),
        h("div", { class: "choices" }, this.runs.label, this.runs.list, this.beside.label, this.beside.list),
      ),
      this.gone,
      this.problem,
      this.overview.sentence,
      this.overview.node,
      this.layerPart,
    );
    place.replaceChildren(this.node);
    document.addEventListener("runs-changed", () => {
      if (this.node.isConnected && this.known) this.list();
    });
  }

  /** A server's answer, kept; a refusal becomes an error. */
  async ask(name, argument) {
    const key = `${name} ${JSON.stringify(argument)}`;
    if (!this.answers.has(key)) this.answers.set(key, accepted(await this.server[name](argument)));
    return this.answers.get(key);
  }

  async begin() {
    try {
      await this.list();
      const asked = new URL(location.href).searchParams,
        linked = this.known.find(({ id }) => id === asked.get("factors"));
      const first = linked ?? this.latest();
      if (!first) {
        this.say("No run keeps factors yet. Train CDVFT, LoRA, FourierFT or C3A, and look here.");
        return;
      }
      this.gone.hidden = Boolean(linked) || !asked.get("factors");
      setText(this.gone, GONE);
      this.module = asked.get("layer");
      this.runs.list.value = first.id;
      await this.open(first.id);
    } catch (error) {
      this.fail(error, () => this.begin());
    }
  }

  // Of the latest race, the run that has circulants to look at.
  latest() {
    const race = this.known.filter(({ group }) => group === this.known[0]?.group);
    return race.find(({ method }) => method === "cdvft") ?? this.known[0];
  }

  async list() {
    this.known = (await this.server.runs({})).runs;
    const chosen = this.runs.list.value;
    this.runs.list.replaceChildren(...this.known.map((run) => h("option", { value: run.id }, title(run))));
    if (chosen) this.runs.list.value = chosen;
  }

  say(problem, ...more) {
    this.problem.replaceChildren(problem ?? "", ...more);
    this.problem.hidden = !problem;
  }

  /** Say what went wrong, and offer `again` where the server did not refuse for good. */
  fail({ message, final }, again) {
    const retry = () => {
      this.say(null);
      again();
    };
    this.say(
      message,
      ...(final
        ? []
        : [" ", h("button", { type: "button", class: "text-button", onclick: retry }, "Try again")]),
    );
  }

  async open(id) {
    try {
      const run = accepted(await this.server.open({ run: id }));
      this.run = run;
      this.answers.clear();
      this.say(null);
      setText(
        this.origin,
        run.recorded
          ? `Recorded ${run.recorded} · not run here`
          : [run.summary, when(run.created)].filter(Boolean).join(" · "),
      );
      const others = this.known.filter((other) => other.id !== id);
      const group = others.filter((other) => other.group === run.group);
      this.beside.list.replaceChildren(
        h("option", { value: "" }, "nothing"),
        ...[...group, ...others.filter((other) => other.group !== run.group)].map((other) =>
          h("option", { value: other.id }, title(other)),
        ),
      );
      if (!run.layers.some(({ module }) => module === this.module)) this.module = run.layers.at(-1).module;
      this.overview.show(run);
      this.overview.choose(this.module);
      await this.showLayer();
      await this.learn(run);
    } catch (error) {
      this.fail(error, () => this.open(id));
    }
  }

  /** The numbers of all layers, which for large models come a few at a time, and the norms of W where they are had. */
  async learn(run) {
    try {
      for (let first = 0; first !== null && run === this.run;) {
        const answer = await this.ask("overview", { run: run.id, first });
        if (run === this.run) this.overview.take(answer.layers);
        first = answer.next;
      }
    } catch (error) {
      if (run === this.run) this.fail(error, () => this.learn(run));
      return;
    }
    if (run !== this.run || run.layers.every(({ module }) => run.weights[module])) return;
    const answer = await this.ask("weights", { run: run.id }).catch(() => null);
    if (!answer || run !== this.run) return;
    run.weights = answer.weights;
    this.overview.refresh();
    this.ranks.weight = run.weights[this.module];
    this.ranks.draw();
  }

  async load(run, module) {
    const facts = run.layers.find((layer) => layer.module === module);
    return facts && new LayerData(await this.ask("layer", { run: run.id, module }), facts, run);
  }

  async showLayer() {
    const { run, module } = this,
      began = performance.now();
    try {
      const layer = await this.load(run, module);
      const other = this.beside.list.value ? await this.ask("open", { run: this.beside.list.value }) : null;
      const beside = other ? ((await this.load(other, module)) ?? null) : null;
      if (run !== this.run || module !== this.module) return;
      this.say(other && !beside ? `${other.label} has no ${module}, so nothing stands beside it.` : null);
      const step = this.layer?.run === run ? this.layer.steps[this.player.t] : null;
      this.layer = layer;
      setText(this.heading, layer.depth === null ? layer.kind : `Layer ${layer.depth} · ${layer.kind}`);
      setText(this.about, this.describe(layer));
      this.views.show(layer, beside);
      this.ranks.show(layer, run.weights[module]);
      this.forward.t = layer.steps.length - 1;
      this.player.show({
        steps: layer.steps,
        losses: run.losses,
        color: this.props.lines[run.method].line.color,
      });
      if (step !== null) this.player.set(layer.nearest(step));
      this.forward.show(layer);
      setText(
        this.payload,
        `This layer: ${layer.steps.length} snapshots in ${count(Math.round(layer.bytes / 1024))} kB` +
          `${layer.steps.length < run.steps.length ? `, one in ${Math.round(run.steps.length / layer.steps.length)} of ${run.steps.length}` : ""}` +
          `, here after ${Math.round(performance.now() - began)} ms. Every matrix is rebuilt in your browser; scrubbing asks the server for nothing.`,
      );
      this.node.dataset.layer = module;
      this.address();
      await this.compare(layer, other);
    } catch (error) {
      this.fail(error, () => this.showLayer());
    }
  }

  /** Singular values: this run's, then those of its race, or of the run beside it. */
  async compare(layer, other) {
    const own = await this.ask("singular", { run: layer.run.id, module: layer.module });
    if (layer !== this.layer) return;
    this.ranks.take(own);
    const group = this.known.filter(
      (run) =>
        run.id !== layer.run.id &&
        (run.id === other?.id || (run.group === layer.run.group && run.method !== layer.run.method)),
    );
    for (const companion of group.slice(0, MOST_COMPANIONS)) {
      try {
        const opened = await this.ask("open", { run: companion.id });
        const same = await this.load(opened, layer.module);
        const answer = same && (await this.ask("singular", { run: companion.id, module: layer.module }));
        if (layer !== this.layer) return;
        if (answer) this.ranks.compare(opened, answer, same.parameters);
      } catch {
        /* the run beside may have been deleted meanwhile; the others still count */
      }
    }
    this.node.dataset.compared = layer.module;
  }

  describe({ module, d_out, d_in, vectors, parameters }) {
    const shape = vectors["circulant.0"]?.shape;
    const blocks = !shape
      ? ""
      : shape[0] * shape[1] === 1
        ? `, one circulant of ${shape[2]}`
        : `, ${shape[0]} × ${shape[1]} circulant blocks of ${shape[2]}`;
    return `${module} · ${d_out} × ${d_in}${blocks} · ${count(parameters)} numbers trained instead of ${count(d_out * d_in)}`;
  }

  at(t) {
    const began = performance.now();
    this.views.at(t);
    this.ranks.at(t);
    if (this.layer) this.forward.at(t);
    this.overview.at(this.run.steps.indexOf(this.layer.steps[t]));
    this.node.dataset.drawn = (performance.now() - began).toFixed(1);
  }

  /** A link that leads back to this run and layer. */
  address() {
    const address = new URL(location.href);
    address.searchParams.set("factors", this.run.id);
    address.searchParams.set("layer", this.module);
    history.replaceState(history.state, "", address.href.replaceAll("%2C", ","));
  }
}

/** An answer that is no refusal; one of a busy server may be asked for again. */
function accepted(answer) {
  if (answer.error) throw Object.assign(new Error(answer.error), { final: !answer.busy });
  return answer;
}

function title(run) {
  return [run.name, run.label, run.targets, run.recorded ? "recorded" : when(run.created)]
    .filter(Boolean)
    .join(" · ");
}
