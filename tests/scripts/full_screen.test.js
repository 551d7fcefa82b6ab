// The button that shows a part of the page on the whole screen, for as long as that part is in the page.

import assert from "node:assert/strict";
import { test } from "node:test";
import { makePage } from "./page.js";

makePage();
const { fullScreenButton } = await import("../../assets/js/shared/full_screen.js");

test("the button says what it does next, until its part is taken out of the page", () => {
  const life = new AbortController();
  const button = fullScreenButton(() => document.body, life.signal);
  /** @param {object | null} fullscreenElement */
  const turn = (fullscreenElement) => {
    Object.assign(document, { fullscreenElement });
    document.dispatchEvent(new Event("fullscreenchange"));
    return button.textContent;
  };
  assert.equal(turn({}), "Leave full screen");
  assert.equal(turn(null), "Full screen");
  life.abort();
  assert.equal(turn({}), "Full screen");
});
