// The Factors tab: choosing a run and a layer, loading one layer at a time, and all its views at the same snapshot.

import { find, h, setText } from "../shared/dom.js";
import { heard } from "../shared/events.js";
import { fullScreenButton } from "../shared/full_screen.js";
import { drawn, newest } from "../shared/part.js";
import { unanswered } from "../shared/request.js";
import { asked, keep } from "../shared/router.js";
import { accepted, Answers, Message, Refusal } from "./answers.js";
import { LayerData } from "./data.js";
import { EffectsPanel } from "./effects.js";
import { isTraining, live } from "./live.js";
import { Overview } from "./overview.js";
import { Player } from "./player.js";
import { Ranks } from "./ranks.js";
import { RunChoice } from "./run_choice.js";
import { saveButtons, saveVectors } from "./saving.js";
import { Views } from "./views.js";
import { GONE, layerCaption, originCaption } from "./captions.js";

/** @import { OpenedRun, Overview as Numbers, Styled } from "../payloads.js" */
/** @import { Part } from "../shared/part.js" */
/** @import { Place } from "../shared/heatmap.js" */
/** @import { Questions } from "./answers.js" */

const SETTLED = 400; // milliseconds without a change: browsers count how often an address is changed

/** What the address asks for; null where it says nothing. */
const inAddress = () => ({
  run: asked("factors"),
  layer: asked("layer"),
  step: asked("step"),
  entry: asked("entry"),
  part: asked("show"),
});

/** @param {Part<null, Styled, Questions>} part */
export function mount({ element, props, server, life }) {
  return new FactorsTab(find(element, ".mount"), props, server, life).begin();
}

class FactorsTab {
  /** @type {OpenedRun | undefined} */
  run;
  /** @type {LayerData | undefined} */
  layer;
  /** @type {string | null} the layer's name */
  module = null;
  /** @type {ReturnType<typeof inAddress> | null} what a link wants to be seen first */
  wanted = null;
  /** @type {OpenedRun | null} the run of which only one layer is known yet */
  opened = null;
  /** @type {number | undefined} until the address says what is pointed at */
  settling;

  /**
   * @param {HTMLElement} place
   * @param {Styled} props
   * @param {Questions} server
   * @param {AbortSignal} life
   */
  constructor(place, props, server, life) {
    this.opening = newest(life);
    this.showing = newest(life);
    this.comparing = newest(life);
    this.props = props;
    this.server = server;
    this.answers = new Answers(server);
    this.choice = new RunChoice(
      server,
      (run) => {
        this.gone.hidden = true;
        this.open(run);
      },
      () => this.showLayer(),
    );
    this.origin = h("p", { class: "origin" });
    this.gone = h("p", { class: "notice", role: "status", hidden: true }, GONE);
    this.waiting = h("p", { class: "quiet", role: "status" }, "Reading the runs …");
    this.problem = new Message();
    this.overview = new Overview((module) => {
      this.module = module;
      this.showLayer();
    });
    this.player = new Player(
      (t) => this.at(t),
      (t) => this.views.at(t, this.player.playing),
    );
    this.heading = h("h2", { class: "layer-name" });
    this.about = h("p", { class: "quiet layer-about" });
    this.views = new Views((entry) => this.pointed(entry));
    this.effects = new EffectsPanel(props.lines, (layer, beside) =>
      this.answers.ask("together", { run: layer.run.id, module: layer.module, beside }),
    );
    this.ranks = new Ranks(props.lines);
    this.layerPart = h(
      "div",
      { class: "layer-part" },
      h("div", { class: "layer-head" }, h("div", {}, this.heading, this.about), this.player.node),
      this.views.node,
      // Above what is asked for as it comes into view, whose answer would move it from under a pointer that presses.
      h(
        "div",
        { class: "views-foot" },
        saveButtons((kind) => this.layer && saveVectors(this.layer, this.player.t, kind)),
      ),
      this.effects.node,
      this.ranks.node,
    );
    /** @type {HTMLElement} */
    this.node = h(
      "section",
      { class: "factors", "aria-label": "What each layer learned" },
      h(
        "div",
        { class: "factors-head" },
        h("h2", {}, "What each layer learned"),
        this.origin,
        fullScreenButton(() => this.node, life),
      ),
      this.gone,
      this.waiting,
      this.problem.node,
      h(
        "div",
        { class: "at-a-glance" },
        h("div", { class: "told" }, this.choice.node, this.overview.results.node),
        this.overview.node,
      ),
      this.layerPart,
    );
    place.replaceChildren(this.node);
    this.follow = live(this.node, life, server.open, (run) => this.grown(run));
    heard("runs-changed", life, () => {
      if (this.choice.available.length) drawn(this.choice.node, () => this.choice.list().catch(unanswered));
    });
    heard("address", life, () => asked("tab") === "factors" && this.arrive());
  }

  async begin() {
    this.waiting.hidden = false;
    try {
      await this.choice.list();
      this.waiting.hidden = true;
      await this.arrive();
    } catch (error) {
      this.waiting.hidden = true;
      this.problem.error(error, () => this.begin());
    }
  }

  /** Show what the address asks for. */
  async arrive() {
    const wanted = inAddress(),
      { run, gone } = this.choice.first(wanted.run);
    if (!run) {
      this.problem.show("No run keeps factors yet. Train a method with an adapter, and look here.");
      return;
    }
    this.gone.hidden = !gone;
    this.module = wanted.layer;
    this.wanted = wanted;
    await this.open(run.id);
  }

  /** @param {string} id of a run */
  async open(id) {
    try {
      const run = accepted(await this.opening(this.server.open({ run: id })));
      this.run = run;
      this.answers.clear();
      this.problem.show(null);
      setText(this.origin, originCaption(run));
      this.choice.offer(run);
      if (!run.layers.some(({ module }) => module === this.module)) {
        const first = run.first ?? (await this.answers.mostChanged(run));
        if (run !== this.run) return;
        this.module = first;
      }
      this.overview.show(run);
      this.overview.choose(this.module ?? "");
      this.opened = run;
      delete this.node.dataset.settled;
      await this.showLayer();
    } catch (error) {
      this.problem.error(error, () => this.open(id));
    }
  }

  /**
   * The run that is followed has new snapshots, which the layer shows; all other numbers wait until it has ended.
   * @param {OpenedRun} run
   */
  async grown(run) {
    if (!isTraining(run)) return this.open(run.id);
    const before = this.run ?? run;
    this.run = run;
    this.answers.clear();
    setText(this.origin, originCaption(run));
    this.follow(before); // what does not come, for another layer is chosen meanwhile, is asked for again
    await this.showLayer();
    if (this.layer?.run === run) this.follow(run);
  }

  /**
   * Load the numbers of all layers, for large models a few at a time, and then the norms of W if the server has the model.
   * @param {OpenedRun} run
   */
  async loadNumbers(run) {
    try {
      for (let first = 0, more = true; more && run === this.run;) {
        /** @type {Numbers} */
        const { layers, next } = await this.answers.ask("overview", { run: run.id, first });
        if (run === this.run) this.overview.take(layers);
        more = next !== null;
        first = next ?? 0;
      }
    } catch (error) {
      if (run !== this.run) return;
      this.overview.end();
      return this.problem.error(error, () => this.loadNumbers(run));
    }
    if (run === this.run && !run.layers.every(({ module }) => run.weights?.[module])) {
      try {
        const { weights } = await this.answers.ask("weights", { run: run.id });
        if (run !== this.run) return;
        run.weights = weights;
        this.overview.refresh();
        this.ranks.weight = weights[this.module ?? ""];
        this.ranks.draw();
      } catch (error) {
        const hasNoModel = error instanceof Refusal && error.final;
        if (run === this.run && !hasNoModel) this.problem.error(error, () => this.loadNumbers(run));
        return;
      }
    }
  }

  /**
   * Load the effects of a finished run on its inputs and predictions, a few layers per request.
   * @param {OpenedRun} run
   */
  async loadEffects(run) {
    if (isTraining(run)) return;
    try {
      for (let first = 0, more = true; more && run === this.run;) {
        const answer = await this.answers.ask("effects", { run: run.id, first });
        if (run !== this.run) return;
        this.overview.takeEffects(answer);
        this.effects.take(answer);
        more = answer.next !== null;
        first = answer.next ?? 0;
      }
    } catch (error) {
      unanswered(error); // the panel of effects says why, to whoever looks at it; the sizes stand in place of them
    }
  }

  /**
   * One layer of a run; undefined where it has none of that name.
   * @param {OpenedRun} run
   * @param {string} module
   */
  async load(run, module) {
    const facts = run.layers.find((layer) => layer.module === module);
    return facts && new LayerData(await this.answers.ask("layer", { run: run.id, module }), facts, run);
  }

  /**
   * A run's layer, and that of the run beside it.
   * @param {OpenedRun} run
   * @param {string} module
   */
  async loadBoth(run, module) {
    const chosen = this.choice.beside;
    const layer = await this.load(run, module);
    const other = chosen ? await this.answers.ask("open", { run: chosen }) : null;
    return { layer, other, beside: other ? ((await this.load(other, module)) ?? null) : null };
  }

  async showLayer() {
    const { run, module } = this;
    if (!run || module === null) return;
    try {
      const { layer, other, beside } = await this.showing(this.loadBoth(run, module));
      if (!layer || run !== this.run || module !== this.module) return;
      this.problem.show(
        other && !beside ? `${other.label} has no ${module}, so it cannot be compared.` : null,
      );
      const step = this.wanted ? this.wanted.step : this.layer?.run.id === run.id ? this.shownStep : null;
      this.layer = layer;
      setText(this.heading, layer.depth === null ? layer.kind : `Layer ${layer.depth} · ${layer.kind}`);
      setText(this.about, layerCaption(layer));
      this.views.show(layer, beside);
      this.effects.show(layer, beside);
      this.ranks.show(layer, run.weights?.[module]);
      this.player.show({
        steps: layer.steps,
        losses: run.losses,
        color: this.props.lines[run.method].line.color,
      });
      if (step !== null) this.player.set(layer.nearest(step));
      this.node.dataset.layer = module;
      keep({ factors: run.id, layer: module });
      const parts = { vectors: this.views, effects: this.effects, ranks: this.ranks };
      parts[/** @type {keyof typeof parts} */ (this.wanted?.part)]?.node.scrollIntoView();
      if (this.wanted?.entry) this.views.pointAt(this.wanted.entry);
      this.wanted = null;
      if (!isTraining(run)) await this.compare(layer);
    } catch (error) {
      this.ranks.end();
      this.problem.error(error, () => this.showLayer());
    }
    await this.loadRest(run);
  }

  /**
   * Load what is known of all layers, once one is shown: the first, or another that was chosen before that had come.
   * @param {OpenedRun} run
   */
  async loadRest(run) {
    if (run !== this.opened) return;
    this.opened = null;
    await Promise.all([
      drawn(this.overview.node, () => this.loadNumbers(run)),
      drawn(this.effects.node, () => this.loadEffects(run)),
    ]);
    if (run !== this.run) return;
    this.node.dataset.settled = run.id;
    this.follow(run);
  }

  /** The step that is shown; null at the last one, which a run that trains moves on. */
  get shownStep() {
    const { t, steps } = this.player;
    return this.layer && t < steps.length - 1 ? this.layer.stepAt(t) : null;
  }

  /**
   * Load singular values: this run's, then those of its race and of the run beside it.
   * @param {LayerData} layer
   */
  async compare(layer) {
    const own = await this.comparing(
      this.answers.ask("singular", { run: layer.run.id, module: layer.module }),
    );
    if (layer !== this.layer) return;
    this.ranks.take(own);
    for (const companion of this.choice.companions(layer.run)) {
      try {
        const { opened, same, answer } = await this.comparing(this.loadCompanion(companion.id, layer.module));
        if (layer !== this.layer) return;
        if (same && answer) this.ranks.compare(opened, answer, same.parameters);
      } catch (error) {
        unanswered(error); // the run beside may have been deleted meanwhile; the others still count
      }
    }
    this.node.dataset.compared = layer.module;
  }

  /**
   * @param {string} id of another run
   * @param {string} module
   */
  async loadCompanion(id, module) {
    const opened = await this.answers.ask("open", { run: id }),
      same = await this.load(opened, module);
    return { opened, same, answer: same && (await this.answers.ask("singular", { run: id, module })) };
  }

  /**
   * Let the address lead back to the step that is shown, but for the last, and to an entry of the update.
   * @param {Place | null} entry
   */
  pointed(entry) {
    clearTimeout(this.settling);
    this.settling = setTimeout(() => {
      if (asked("tab") === "factors") keep({ step: this.shownStep, entry }); // else another was chosen meanwhile
    }, SETTLED);
  }

  /** @param {number} t the snapshot to show */
  at(t) {
    const { layer, run } = this;
    if (!layer || !run) return;
    this.views.at(t, this.player.playing);
    this.ranks.at(t);
    this.overview.at(run.steps.indexOf(layer.steps[t]));
    this.pointed(this.views.entry);
  }
}
