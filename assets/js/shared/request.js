// What comes of a request to the server: its answer, a refusal, or nothing.

/** The server refused the request, or is away. Any other error is a fault of the page, which a part says: part.js. */
export class RequestError extends Error {
  name = "RequestError";
}

/**
 * For `catch`: null in place of an answer that did not come. Any other error stays one.
 * @param {unknown} error
 */
export function unanswered(error) {
  if (error instanceof RequestError) return null;
  throw error;
}

/**
 * What the server answers; where it refuses or is away, null and what to say of that.
 * @template {object} Answer
 * @param {Promise<Answer>} asked
 * @returns {Promise<{answer: Exclude<Answer, {error: string}> | null, problem: string}>}
 */
export async function outcomeOf(asked) {
  const answer = await asked.catch(unanswered);
  if (!answer) return { answer: null, problem: "The server did not answer; try again in a moment." };
  if ("error" in answer && answer.error) return { answer: null, problem: String(answer.error) };
  return { answer: /** @type {Exclude<Answer, {error: string}>} */ (answer), problem: "" };
}
