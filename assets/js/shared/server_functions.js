// What a part asks the server: cdvft_app/ui/shared/server_functions.py answers.

/** @import { Ask } from "./part.js" */

/**
 * The server functions of a part by their names, each a POST of its argument.
 * @param {string} part
 * @param {string[]} names
 * @returns {Record<string, Ask<unknown, any>>}
 */
export function serverFunctions(part, names) {
  return Object.fromEntries(
    names.map((name) => [name, (argument) => ask(`cdvft/${part}/${name}`, argument)]),
  );
}

/**
 * @param {string} path
 * @param {unknown} argument
 */
async function ask(path, argument) {
  const answer = await fetch(new URL(path, document.baseURI), {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(argument ?? null),
  });
  if (!answer.ok) throw new Error(`${path}: ${answer.status}`);
  return answer.json();
}
