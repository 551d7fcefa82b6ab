// A server that refuses or is away is told from a fault of the page.

import assert from "node:assert/strict";
import { test } from "node:test";
import { makePage } from "./page.js";

const json = (/** @type {unknown} */ answer) => ({ ok: true, json: async () => answer });
/** @type {Record<string, () => any>} */
const ways = {
  away() {
    throw new TypeError("Failed to fetch");
  },
  refused: () => ({ ok: false, status: 503 }),
  torn: () => ({ ok: true, json: async () => JSON.parse("<html>") }),
  answered: () => json({ sentence: "Well" }),
  denied: () => json({ error: "Not yours." }),
  done: () => json({ error: null }),
};
makePage((name) => ways[name.split("/").at(-1) ?? ""]?.() ?? json({}));
const { outcomeOf, RequestError, unanswered } = await import("../../assets/js/shared/request.js");
const { serverFunctions } = await import("../../assets/js/shared/part.js");
const server = serverFunctions("part", Object.keys(ways));

test("an answer that does not come is a RequestError; an argument that cannot be sent is a fault of the page", async () => {
  for (const way of ["away", "refused", "torn"]) {
    await assert.rejects(server[way]({}), RequestError, way);
    assert.equal(await server[way]({}).catch(unanswered), null);
  }
  await assert.rejects(server.answered(1n).catch(unanswered), TypeError);
});

test("what the server refuses is said in its words, and that it is away in one sentence", async () => {
  assert.deepEqual(await outcomeOf(server.answered({})), { answer: { sentence: "Well" }, problem: "" });
  assert.deepEqual(await outcomeOf(server.done({})), { answer: { error: null }, problem: "" });
  assert.deepEqual(await outcomeOf(server.denied({})), { answer: null, problem: "Not yours." });
  for (const way of ["away", "refused", "torn"])
    assert.match((await outcomeOf(server[way]({}))).problem, /^The server did not answer; try again/);
  await assert.rejects(outcomeOf(Promise.reject(new Error("a slip"))), /a slip/);
});
