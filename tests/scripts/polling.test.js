// Parts that poll: one request a tick, and each has its own answer or error.

import assert from "node:assert/strict";
import { test } from "node:test";

/** @type {{address: string, body: any}[]} what was posted */
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

const life = new AbortController();
const place = /** @type {any} */ ({});
const wait = (/** @type {number} */ milliseconds) => new Promise((done) => setTimeout(done, milliseconds));

test("what is due in the same tick is one request; slow functions and what is alone are asked at their own address", async () => {
  /** @type {Record<string, unknown[]>} */
  const taken = { poll: [], seen: [], sweep: [] };
  /** @type {string[]} */
  const lost = [];
  const quick = {
    poll: serverFunctions("run", ["poll"]).poll,
    seen: serverFunctions("class", ["seen"]).seen,
  };
  const { sweep } = serverFunctions("sweep", [], ["sweep"]);
  const all = { ...quick, sweep };
  answers = (asked) =>
    Array.isArray(asked)
      ? asked.map((one) =>
          one.function === "class/seen" ? { status: 404, answer: {} } : { status: 200, answer: one.argument },
        )
      : asked;
  const polls = Object.entries(all).map(([name, ask]) =>
    polling({
      life: life.signal,
      place,
      ask: () => ask({ of: name }),
      take: (answer) => {
        taken[name].push(answer);
        return null;
      },
      lost: (away) => away && lost.push(name),
    }),
  );
  const [poll, seen] = polls;
  do {
    await wait(1005 - (performance.now() % 1000));
  } while (performance.now() % 1000 > 400); // ticks are seconds: one has just begun, also where this goes on late
  polls.forEach((one, number) => one.begin(800 + 100 * number)); // not at the same moment, but in the same tick
  await wait(1200);
  const together = posted.filter(({ address }) => address === "/cdvft");
  assert.deepEqual(
    together.map(({ body }) => body),
    [
      [
        { function: "run/poll", argument: { of: "poll" } },
        { function: "class/seen", argument: { of: "seen" } },
      ],
    ],
  );
  assert.deepEqual(
    posted.filter(({ address }) => address !== "/cdvft").map(({ address }) => address),
    ["/cdvft/sweep/sweep"],
  );
  assert.deepEqual(taken, { poll: [{ of: "poll" }], seen: [], sweep: [{ of: "sweep" }] });
  assert.deepEqual(lost, ["seen"]); // and the others know nothing of it
  seen.stop();
  posted.length = 0;
  await poll.now();
  assert.deepEqual(posted, [{ address: "/cdvft/run/poll", body: { of: "poll" } }]);
  life.abort();
});
