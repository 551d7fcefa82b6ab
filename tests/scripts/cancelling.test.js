// A cancelled event of Gradio's is over once the cancelling has said both; what comes late is nobody's failure.

import assert from "node:assert/strict";
import { test } from "node:test";

globalThis.document = /** @type {any} */ (new EventTarget());
const { cancelling } = await import("../../assets/js/shared/cancelling.js");

/** What a page hears of an event that it may cancel: `tell` tells of its end. */
function listener() {
  /** @type {string[]} */
  const heard = [];
  const life = new AbortController();
  const cancelled = cancelling({
    failed: "lab-failed",
    ended: "lab-ended",
    life: life.signal,
    over: () => heard.push("over"),
    broken: () => heard.push("broken"),
  });
  const tell = (/** @type {string[]} */ ...ways) => {
    for (const way of ways) document.dispatchEvent(new CustomEvent(`lab-${way}`));
    return heard.splice(0);
  };
  return { cancelled, tell, gone: () => life.abort() };
}

const CANCELLING = ["failed", "ended"]; // what Gradio's dispatcher tells once the server has answered to a cancel

test("what fails by itself is broken, and what ends is nothing", () => {
  const { tell, gone } = listener();
  assert.deepEqual(tell("ended"), []);
  assert.deepEqual(tell("failed"), ["broken"]);
  gone();
});

for (const own of ["failed", "ended"]) {
  test(`an event that ${own} before its cancelling is over with that`, () => {
    const { cancelled, tell, gone } = listener();
    cancelled();
    assert.deepEqual(tell(own), []);
    assert.deepEqual(tell(...CANCELLING), ["over"]);
    assert.deepEqual(tell("failed"), ["broken"], "the next one's");
    gone();
  });

  test(`an event that ${own} after its cancelling does not break the next`, () => {
    const { cancelled, tell, gone } = listener();
    cancelled();
    assert.deepEqual(tell(...CANCELLING), ["over"]);
    assert.deepEqual(tell(own), []);
    cancelled();
    assert.deepEqual(tell(...CANCELLING, "failed"), ["over"]);
    assert.deepEqual(tell("failed"), ["broken"]);
    gone();
  });
}

test("what the first says late does not end the cancelling of the next", () => {
  const { cancelled, tell, gone } = listener();
  cancelled();
  tell(...CANCELLING);
  cancelled();
  assert.deepEqual(tell("failed"), []);
  assert.deepEqual(tell(...CANCELLING), ["over"]);
  gone();
});
