import assert from "node:assert/strict";
import { test } from "node:test";

import { remember, remembered } from "../../assets/js/learn/progress.js";

/** A browser's storage of these texts. */
const storage = (texts) => ({
  getItem: (key) => texts[key] ?? null,
  setItem: (key, text) => {
    texts[key] = text;
  },
});
globalThis.document = new EventTarget();

test("an answer is kept once, beside those of before", () => {
  const texts = { "cdvft-lessons": '["8"]' };
  globalThis.localStorage = storage(texts);
  for (const key of ["rank-zero", "shapes", "rank-zero"]) remember(key);
  assert.deepEqual(JSON.parse(texts["cdvft-lessons"]), ["shapes", "rank-zero"]);
});

for (const text of ["", "no list", "7", '{"a": 1}', "null"])
  test(`a storage that holds ${JSON.stringify(text)} holds no answers`, () => {
    globalThis.localStorage = storage({ "cdvft-lessons": text });
    assert.deepEqual(remembered(), []);
  });
