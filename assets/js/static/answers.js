// What a server would answer, kept in files: each is a script that hands its answer over, since a page opened from a
// disk may load scripts and nothing else.

import { RequestError } from "../shared/request.js";

/** @import { KeptAnswers } from "../payloads.js" */
/** @import { Ask } from "../shared/part.js" */

/** @type {Map<string, Promise<unknown>>} by the name of the file */
const loaded = new Map();

/** @type {Map<string, (packed: string) => void>} */
const waiting = new Map();

// Called by the files themselves: keepAnswer("factors/layer-0", "H4sI...").
Object.assign(globalThis, {
  keepAnswer: (/** @type {string} */ name, /** @type {string} */ packed) => waiting.get(name)?.(packed),
});

/**
 * What a file holds.
 * @param {string} name
 */
export function read(name) {
  let found = loaded.get(name);
  if (!found) {
    found = /** @type {Promise<string>} */ (
      new Promise((resolve, reject) => {
        const script = document.createElement("script");
        waiting.set(name, resolve);
        script.src = `data/${name}.js`;
        script.onerror = () => {
          loaded.delete(name);
          reject(new RequestError("A file of this page could not be loaded; try again."));
        };
        document.head.append(script);
      })
    ).then(unpacked);
    loaded.set(name, found);
  }
  return found;
}

/** @param {string} packed JSON, gzipped, in base64 */
function unpacked(packed) {
  const bytes = Uint8Array.from(atob(packed), (letter) => letter.charCodeAt(0));
  return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"))).json();
}

/**
 * An argument as cdvft_app/ui/static/answers.py spells it.
 * @param {object} asked
 */
export const spelled = (asked) =>
  JSON.stringify(Object.entries(asked).sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0)));

/**
 * A part's questions as functions.
 * @param {Record<string, KeptAnswers>} answers
 * @returns {Record<string, Ask<object, unknown>>}
 */
export const answering = (answers) =>
  Object.fromEntries(
    Object.entries(answers).map(([question, { files, otherwise }]) => [
      question,
      async (/** @type {object} */ asked) => {
        const name = files[spelled(asked)];
        return name ? read(name) : otherwise;
      },
    ]),
  );
