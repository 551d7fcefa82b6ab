// The Factors tab's requests to the server: cached, with a refusal thrown as an error.

import { h, textButton } from "../shared/dom.js";
import { drawn, failed } from "../shared/part.js";
import { RequestError, unanswered } from "../shared/request.js";

/** @import { Ask } from "../shared/part.js" */
/** @import { OpenedRun, Refused, Servers } from "../payloads.js" */

/** @typedef {Servers["factors/tab"]} Questions each may be refused */

const ATTEMPTS = 3; // of which the server waits with each, for those of others, before it refuses
const PAUSE = 2000; // milliseconds between two

/** A refusal; where it is not `final`, asking again helps. */
export class Refusal extends RequestError {
  /** @param {Refused} refused */
  constructor({ error, busy }) {
    super(error);
    this.final = !busy;
  }
}

/**
 * An answer that is no refusal.
 * @template Answer
 * @param {Answer | Refused} answer
 * @returns {Answer}
 * @throws {Refusal}
 */
export function accepted(answer) {
  if (isRefused(answer)) throw new Refusal(answer);
  return answer;
}

/**
 * @param {unknown} answer
 * @returns {answer is Refused}
 */
const isRefused = (answer) =>
  answer !== null && typeof answer === "object" && "error" in answer && Boolean(answer.error);

/** Answers about one run, each asked for once. */
export class Answers {
  /** @type {Map<string, unknown>} */
  #kept = new Map();

  /** @param {Questions} server */
  constructor(server) {
    this.server = server;
  }

  clear() {
    this.#kept = new Map();
  }

  /**
   * @template {keyof Questions} Name
   * @param {Name} name
   * @param {Parameters<Questions[Name]>[0]} asked
   * @returns {Promise<Exclude<Awaited<ReturnType<Questions[Name]>>, Refused>>}
   */
  async ask(name, asked) {
    const key = `${name} ${JSON.stringify(asked)}`;
    const question = /** @type {Ask<object, object>} */ (this.server[name]);
    const kept = this.#kept;
    if (!kept.has(key)) kept.set(key, accepted(await this.#patiently(() => question(asked))));
    return /** @type {any} */ (kept.get(key));
  }

  /**
   * Ask, and again while the server is busy and the same run is looked at.
   * @param {() => Promise<object>} ask
   */
  async #patiently(ask) {
    const looked = this.#kept;
    for (let left = ATTEMPTS - 1; ; left--) {
      const answer = await ask();
      if (!isRefused(answer) || !answer.busy || !left || looked !== this.#kept) return answer;
      await new Promise((go) => setTimeout(go, PAUSE));
    }
  }

  /**
   * The layer that is shown first: the one that changed most, or the last where the server cannot compute that.
   * @param {OpenedRun} run
   */
  async mostChanged(run) {
    const last = run.layers[run.layers.length - 1].module;
    if (run.layers.length === 1) return last;
    const answer = await this.ask("most_changed", { run: run.id }).catch(unanswered);
    return answer?.module ?? last;
  }
}

/** What is said in place of numbers: a problem, and a button to try again where that helps; or an error of the page. */
export class Message {
  constructor() {
    this.node = h("p", { class: "problem", role: "status", hidden: true });
  }

  /**
   * @param {string | null} text null hides it
   * @param {...(string | Node)} more
   */
  show(text, ...more) {
    drawn(this.node, () => {
      this.node.replaceChildren(text ?? "", ...more);
      this.node.hidden = !text;
    });
  }

  /**
   * Show what the server refused, with a button for `again` unless that is final. Any other error is the page's own.
   * @param {unknown} error
   * @param {() => void} again
   */
  error(error, again) {
    if (!(error instanceof RequestError)) return failed(this.node, error);
    const final = error instanceof Refusal && error.final;
    const retry = () => {
      this.show(null);
      again();
    };
    this.show(error.message, ...(final ? [] : [" ", textButton("Try again", retry)]));
  }
}
