import assert from "node:assert/strict";
import { test } from "node:test";

/** @type {((entries: {isIntersecting: boolean}[]) => void) | undefined} */
let observed;
globalThis.IntersectionObserver = class {
  constructor(callback) {
    observed = callback;
  }
  observe() {}
};
globalThis.document = new EventTarget();
const { onView } = await import("../../assets/js/shared/shown.js");

test("onView: the last of several changes counts", () => {
  const seen = [];
  onView({}, (inView) => seen.push(inView));
  for (const inView of [[true], [false, true], [true, false]])
    observed(inView.map((isIntersecting) => ({ isIntersecting })));
  assert.deepEqual(seen, [true, true, false]);
});
