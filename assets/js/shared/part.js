// How a part lives in the page: started by cdvft_app/ui/shared/component.py, over when Gradio takes it out. An error
// is said where it happened, and the rest goes on.

import { FAILED, find, h, setText } from "./dom.js";
import { RequestError } from "./request.js";

/**
 * A function on the server, of one argument.
 * @template Asked
 * @template Answer
 * @typedef {(asked: Asked) => Promise<Answer>} Ask
 */

/**
 * What a part's `mount` gets. `props.value` may change, of which `update` is told, where `mount` returns one; the other
 * props never do. `life` is aborted when the part is taken out of the page: listeners elsewhere and what repeats end with
 * it, and `destroy` is called.
 * @template Value
 * @template [Fixed=object]
 * @template [Server=object]
 * @typedef {object} Part
 * @property {HTMLElement} element
 * @property {{value: Value} & Fixed} props
 * @property {Server} server
 * @property {(event: string, data?: object) => void} trigger
 * @property {AbortSignal} life
 */

/** @typedef {{update?: () => unknown, destroy?: () => void}} Mounted what `mount` returns, or nothing */

/**
 * Mount the part of this name, such as "train/history"; `watch` tells of changes of its value. Its script is loaded at
 * once, or in a place of the class "when-shown" when that is looked at for the first time.
 * @param {Omit<Part<unknown>, "life"> & {name: string, watch: (property: "value", changed: () => void) => void}} given
 */
export async function start({ name, element, props, server, trigger, watch }) {
  const life = lifeOf(element);
  element.addEventListener(FAILED, (event) => {
    event.preventDefault();
    event.stopPropagation();
    failed(element, /** @type {CustomEvent} */ (event).detail);
  });
  if (element.closest(".when-shown")) await firstShown(find(element, ".mount"));
  /** @type {{mount: (part: Part<any, any, any>) => Mounted | void}} */
  let script;
  try {
    script = await import(`cdvft/${name}.js`);
  } catch (error) {
    return failed(element, error, () => "A part of the page could not be loaded; reload the page.");
  }
  drawn(element, () => {
    const { update, destroy } = script.mount({ element, props, server, trigger, life }) ?? {};
    if (update) watch("value", () => life.aborted || drawn(element, update));
    if (destroy) life.addEventListener("abort", destroy);
  });
}

/**
 * Until the tab and page that an element lies on are looked at.
 * @param {Element} element
 * @returns {Promise<void>}
 */
const firstShown = (element) =>
  new Promise((go) => {
    const sizes = new ResizeObserver(() => {
      if (!element.checkVisibility()) return;
      sizes.disconnect();
      go();
    });
    sizes.observe(element);
  });

/** @type {Map<Element, AbortController>} */
const living = new Map();
/** @type {MutationObserver | undefined} one for the page */
let observer;

/** @param {HTMLElement} element */
function lifeOf(element) {
  if (!observer) {
    observer = new MutationObserver(() => {
      for (const [part, life] of living)
        if (!part.isConnected) {
          living.delete(part);
          life.abort();
        }
    });
    observer.observe(document.body, { childList: true, subtree: true });
  }
  const life = new AbortController();
  living.set(element, life);
  return life.signal;
}

/** @type {WeakMap<Element, HTMLElement>} */
const said = new WeakMap();

/** @param {string} why */
const FAULT = (why) =>
  `This part has an error: ${why}. The rest of the page goes on; reload it to try this again.`;

/**
 * Do what draws into a place, a part's element or a piece of it. An error is said there, and reported; it is gone with
 * the next drawing that succeeds.
 * @param {Element} place
 * @param {() => unknown} draw
 * @param {(why: string) => string} [sentence]
 * @returns {void | Promise<void>} that it is done, or its error said
 */
export function drawn(place, draw, sentence) {
  const well = () => said.get(place)?.remove();
  const ill = (/** @type {unknown} */ error) => failed(place, error, sentence);
  try {
    const done = draw();
    if (done instanceof Promise) return done.then(well, ill);
    well();
  } catch (error) {
    ill(error);
  }
}

/**
 * Say an error in a place, as `drawn` does, and report it.
 * @param {Element} place
 * @param {unknown} error
 * @param {(why: string) => string} [sentence]
 */
export function failed(place, error, sentence = FAULT) {
  const message = said.get(place) ?? h("p", { class: "problem", role: "alert" });
  said.set(place, message);
  setText(message, sentence(textOf(error)));
  (place.querySelector(".mount") ?? place).before(message);
  report(error);
}

/** @param {unknown} error */
const textOf = (error) => (error instanceof Error ? error.message : String(error));

/** @type {Set<string>} what the server's log has been told */
const reported = new Set();

/**
 * Tell an error to the server's log and, where the browser has not done so by itself, to the console, once.
 * @param {unknown} error
 * @param {boolean} [uncaught]
 */
export function report(error, uncaught = false) {
  const text = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  if (reported.has(text)) return;
  reported.add(text);
  if (!uncaught) console.error(error);
  const where = (error instanceof Error && error.stack?.match(/assets\/js\/[\w/]+\.js:\d+/)?.[0]) || "";
  serverFunctions("page/header", ["failed"])
    .failed({ error: text, where })
    .catch(() => {}); // a server that is away has no log either
}

/**
 * Hands on the answer to the newest question alone: what was asked before it waits for ever, and its error is dropped.
 * The same for all once the part's life is over.
 * @param {AbortSignal} [life]
 */
export function newest(life) {
  let number = 0;
  /**
   * @template Answer
   * @param {Promise<Answer> | Answer} question
   * @returns {Promise<Answer>}
   */
  return (question) => {
    const mine = ++number;
    const counts = () => mine === number && !life?.aborted;
    return new Promise((resolve, reject) =>
      Promise.resolve(question).then(
        (answer) => counts() && resolve(answer),
        (error) => counts() && reject(error),
      ),
    );
  };
}

/**
 * The server functions of a part by their names: cdvft_app/ui/shared/server_functions.py. The slow ones are never asked
 * together with others, which would wait for them.
 * @param {string} part
 * @param {string[]} quick
 * @param {string[]} [slow]
 * @returns {Record<string, Ask<unknown, any>>}
 */
export function serverFunctions(part, quick, slow = []) {
  return Object.fromEntries([
    ...slow.map((name) => [name, (/** @type {unknown} */ argument) => ask(`${part}/${name}`, argument)]),
    ...quick.map((name) => [
      name,
      (/** @type {unknown} */ argument) =>
        gathered ? gather(gathered, `${part}/${name}`, argument) : ask(`${part}/${name}`, argument),
    ]),
  ]);
}

/** @typedef {{function: string, argument: unknown, resolve: (answer: any) => void, reject: (error: unknown) => void}} Question */

/** @type {Question[] | null} */
let gathered = null;

/**
 * What `work` asks of quick server functions, before it returns, is one request.
 * @param {() => void} work
 */
export function together(work) {
  const questions = (gathered = /** @type {Question[]} */ ([]));
  try {
    work();
  } finally {
    gathered = null;
    void askAll(questions);
  }
}

/**
 * @param {Question[]} questions
 * @param {string} name
 * @param {unknown} argument
 */
const gather = (questions, name, argument) =>
  new Promise((resolve, reject) =>
    questions.push({ function: name, argument: argument ?? null, resolve, reject }),
  );

/** @param {Question[]} questions */
async function askAll(questions) {
  if (questions.length === 1) {
    const [only] = questions;
    ask(only.function, only.argument).then(only.resolve, only.reject);
  } else if (questions.length) {
    try {
      const asked = questions.map((one) => ({ function: one.function, argument: one.argument }));
      /** @type {{status: number, answer: any}[]} */
      const answers = await ask("", asked);
      questions.forEach((one, place) => {
        const { status, answer } = answers[place];
        if (status === 200) one.resolve(answer);
        else one.reject(refusal(one.function, status));
      });
    } catch (error) {
      questions.forEach((one) => one.reject(error));
    }
  }
}

/**
 * @param {string} name of a function; "" for several
 * @param {unknown} argument
 */
async function ask(name, argument) {
  const body = JSON.stringify(argument ?? null);
  const away = (/** @type {unknown} */ error) => {
    throw refusal(name, textOf(error));
  };
  const answer = await fetch(new URL(name ? `cdvft/${name}` : "cdvft", document.baseURI), {
    method: "POST",
    headers: { "content-type": "application/json" },
    body,
  }).catch(away);
  if (!answer.ok) throw refusal(name, answer.status);
  return answer.json().catch(away);
}

/**
 * @param {string} name
 * @param {number | string} why
 */
const refusal = (name, why) =>
  new RequestError("The server did not answer.", { cause: `cdvft/${name}: ${why}` });
