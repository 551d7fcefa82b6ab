// A server that refuses or is away is told from a fault of the page.

import assert from "node:assert/strict";
import { test } from "node:test";
import { logged, makePage, Place, settled } from "./page.js";

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
const { drawn, serverFunctions } = await import("../../assets/js/shared/part.js");
const { polling } = await import("../../assets/js/shared/polling.js");
const { Message, Refusal } = await import("../../assets/js/factors/answers.js");
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

test("a part's drawing after an answer is no failed request: it is said there, logged once, and gone when it succeeds", async () => {
  const place = new Place();
  let broken = true;
  const draw = async () => {
    const { answer } = await outcomeOf(server.answered({}));
    if (broken) throw new Error(`cannot draw ${answer?.sentence}`);
  };
  for (let turn = 0; turn < 2; turn++) await drawn(/** @type {any} */ (place), draw);
  assert.match(place.texts.join(), /^This part has an error: cannot draw Well\. [^,]*$/);
  const told = logged.filter((error) => error.includes("cannot draw"));
  assert.deepEqual(told, ["Error: cannot draw Well"]);
  broken = false;
  await drawn(/** @type {any} */ (place), draw);
  assert.deepEqual(place.texts, []);
});

test("polling says a fault of its question in the part, not that the server is away", async () => {
  const life = new AbortController(),
    place = new Place();
  /** @type {boolean[]} */
  const lost = [];
  /** @param {() => any} ask */
  const poll = (ask) =>
    polling({
      life: life.signal,
      place: /** @type {any} */ (place),
      ask,
      take: () => null,
      lost: (away) => lost.push(away),
    });
  await poll(() => {
    throw new Error("no such prop");
  }).now();
  assert.deepEqual(lost, []);
  assert.match(place.texts.join(), /no such prop/);
  await poll(() => server.away({})).now();
  assert.deepEqual(lost, [true]);
  life.abort();
});

test("Factors offers another try of what was refused for now alone; its own errors are those of the part", async () => {
  const message = new Message();
  const node = /** @type {any} */ (message.node);
  message.error(new Refusal({ error: "Another is being read.", busy: true }), () => {});
  assert.deepEqual([node.hidden, node.children.length], [false, 3]);
  message.error(new Refusal({ error: "No such run.", busy: false }), () => {});
  assert.deepEqual(node.children, ["No such run."]);
  message.show(null);
  message.error(new TypeError("a slip of a view"), () => {});
  assert.equal(node.hidden, true);
  assert.match(node.texts.join(), /This part has an error: a slip of a view/);
  await settled();
  assert.ok(logged.includes("TypeError: a slip of a view"));
  message.show(null);
  assert.deepEqual(node.texts, []);
});
