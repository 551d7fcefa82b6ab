// Parts that poll: one request per tick, and each part has its own answer or error.

import assert from "node:assert/strict";
import { test } from "node:test";

/** @type {{address: string, body: any}[]} */
const posted = [];
let answers = (/** @type {any} */ _body) => /** @type {any} */ ({});
Object.assign(globalThis, {
  document: { baseURI: "http://studio/", hidden: false, addEventListener() {} },
  async fetch(/** @type {URL} */ address, /** @type {{body: string}} */ { body }) {
    const asked = JSON.parse(body);
    posted.push({ address: address.pathname, body: asked });
    return { ok: true, json: async () => answers(asked) };
  },
});
const { polling } = await import("../../assets/js/shared/polling.js");
const { serverFunctions } = await import("../../assets/js/shared/part.js");

test("polling: now() asks at once, at the address of its function", async () => {
  const life = new AbortController();
  /** @type {unknown[]} */
  const taken = [];
  /** @type {boolean[]} */
  const lost = [];
  const { poll } = serverFunctions("run", ["poll"]);
  answers = (asked) => ({ got: asked });
  const polls = polling({
    life: life.signal,
    place: /** @type {any} */ ({}),
    ask: () => poll({ of: "poll" }),
    take: (answer) => {
      taken.push(answer);
      return null;
    },
    lost: (away) => lost.push(away),
  });
  await polls.now();
  assert.deepEqual(posted, [{ address: "/cdvft/run/poll", body: { of: "poll" } }]);
  assert.deepEqual(taken, [{ got: { of: "poll" } }]);
  assert.deepEqual(
    lost.filter((away) => away),
    [],
  );
  life.abort();
});
