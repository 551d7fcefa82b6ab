// The operator's panel shows what the newest request was answered.

import assert from "node:assert/strict";
import { test } from "node:test";
import { makePage, Place, settled } from "./page.js";

makePage();
const container = new Place();
Object.assign(globalThis.document, { querySelector: () => container });
const { showServerMode } = await import("../../assets/js/page/server.js");

test("an older answer does not replace a newer one", async () => {
  /** @type {((found: object) => void)[]} */
  const answers = [];
  const server = { operate: () => new Promise((answer) => answers.push(answer)) };
  const life = new AbortController();
  const mode = { public: false, operator: true, codes: false };
  showServerMode(
    /** @type {any} */ (new Place()),
    /** @type {any} */ (mode),
    /** @type {any} */ (server),
    life.signal,
  );
  const form = container.all.find(({ tag }) => tag === "form");
  for (let turn = 0; turn < 2; turn++) form?.dispatchEvent(new Event("submit"));
  const found = (/** @type {string} */ error) => ({ error, runs: [], visitors: [], nodes: [] });
  answers[1](found("The newer."));
  await settled();
  answers[0](found("The older."));
  await settled();
  const said = container.all.flatMap(({ children }) => children).filter((child) => /^The /.test(child));
  assert.deepEqual(said, ["The newer."]);
  life.abort();
});
