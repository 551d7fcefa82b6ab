import assert from "node:assert/strict";
import { test } from "node:test";

import { fieldOf, isWrong, lines } from "../../assets/js/shared/tokens.js";
import { fieldNames } from "../../assets/js/use/write.js";

test("lines: text is split into lines, each piece with its probability", () => {
  const pieces = /** @type {[string, number][]} */ ([
    ["a: 1\nb", 0.5],
    [": 2", 1],
  ]);
  const second = [
    ["b", 0.5],
    [": 2", 1],
    ["…", null],
  ];
  assert.deepEqual(lines("a: 1\nb: 2…", pieces), [[["a: 1", 0.5]], second]);
  assert.deepEqual(lines("a: 1\nb", []), [[["a: 1", null]], [["b", null]]]);
});

for (const [line, field] of /** @type {[[string, number][], string][]} */ ([
  [
    [
      ["Ci", 1],
      ["ty: Ames: 1", 1],
    ],
    "city",
  ],
  [[["Sure, here it is", 1]], ""],
]))
  test(`fieldOf: ${line[0][0]}`, () => assert.equal(fieldOf(line), field));

for (const [line, wrong, expected] of /** @type {[string, string[], boolean][]} */ ([
  ["city: Ames", ["zip"], false],
  ["city: Ames", ["zip", "city"], true],
  ["SELECT t WHERE at = '10:00'", [""], true],
  ["Sure, here it is", [], false],
]))
  test(`isWrong: ${line} with ${wrong}`, () => assert.equal(isWrong([[line, 1]], wrong), expected));

test("fieldNames: each field once", () => {
  const columns = [{ fields: { city: "a" } }, { fields: { zip: "1", city: "b" } }];
  assert.deepEqual(fieldNames(columns), ["city", "zip"]);
});
