// The rows of the history: which are found, and in which order.

import assert from "node:assert/strict";
import { test } from "node:test";
import { found, sorted } from "../../assets/js/train/history.js";

/** @param {Partial<import("../../assets/js/payloads.js").Race>} facts */
const race = (facts) =>
  /** @type {import("../../assets/js/payloads.js").Race} */ ({
    group: "a",
    name: "Tickets",
    summary: "",
    data: "tickets.csv",
    states: { finished: 2 },
    runs: /** @type {any} */ ([{ id: "x", label: "LoRA r = 8" }]),
    ...facts,
  });

test("found needs every word and every filter", () => {
  const races = [race({ group: "one" }), race({ group: "two", data: "mails.csv", states: { failed: 1 } })];
  /** @type {(search: string, data?: string, state?: string) => string[]} */
  const groups = (search, data = "", state = "") =>
    found(races, search, data, state).map(({ group }) => group);
  assert.deepEqual(groups(""), ["one", "two"]);
  assert.deepEqual(groups("lora MAILS"), ["two"]);
  assert.deepEqual(groups("", "", "failed"), ["two"]);
  assert.deepEqual(groups("", "tickets.csv", "failed"), []);
});

test("sorted orders numbers by value and unknown values last", () => {
  const races = [race({ group: "none" }), race({ group: "10" }), race({ group: "9" })];
  /** @param {{group: string}} one */
  const value = ({ group }) => (group === "none" ? null : Number(group));
  const [up, down] = [false, true].map((way) => sorted(races, value, way).map(({ group }) => group));
  assert.deepEqual(up, ["9", "10", "none"]);
  assert.deepEqual(down, ["10", "9", "none"]);
});
