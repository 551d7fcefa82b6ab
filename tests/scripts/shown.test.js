import assert from "node:assert/strict";
import { test } from "node:test";

/** @type {((told: {isIntersecting: boolean}[]) => void) | undefined} */
let tell;
let watched = 0;
globalThis.IntersectionObserver = class {
  constructor(told) {
    tell = told;
  }
  observe() {
    watched += 1;
  }
  disconnect() {
    watched -= 1;
  }
};
globalThis.document = new EventTarget();
const { onView, whenFirstInView } = await import("../../assets/js/shared/shown.js");
const changes = (...inView) => tell(inView.map((isIntersecting) => ({ isIntersecting })));

test("a slow page is told of several changes at once, of which the last is how it is", () => {
  const heard = [];
  onView({}, (inView) => heard.push(inView));
  changes(true);
  changes(false, true);
  changes(true, false);
  assert.deepEqual(heard, [true, true, false]);
});

test("what waits for the first look acts once", () => {
  const before = watched;
  let acted = 0;
  whenFirstInView({}, () => (acted += 1));
  changes(false);
  assert.equal(acted, 0);
  changes(false, true);
  assert.deepEqual([acted, watched], [1, before]);
});
