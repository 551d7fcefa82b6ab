import assert from "node:assert/strict";
import { test } from "node:test";

import { csv } from "../../assets/js/shared/table.js";
import {
  aligned,
  alignedPercent,
  amount,
  clock,
  count,
  metricText,
  percent,
  powerOfTen,
  short,
  subscript,
  timeText,
  times,
  unbroken,
} from "../../assets/js/shared/format.js";

for (const [write, value, text] of [
  [count, 1769472, "1,769,472"],
  [count, null, ""],
  [powerOfTen, -12, "10⁻¹²"],
  [powerOfTen, 0, "10⁰"],
  [short, 0.6926, "0.693"],
  [short, 12.04, "12"],
  [short, -0.25, "−0.25"],
  [short, 0.00012, "1.2 × 10⁻⁴"],
  [short, -3.4e7, "−3.4 × 10⁷"],
  [short, 0, "0"],
  [short, null, ""],
  [aligned, 0.72, "0.720"],
  [aligned, 12.04, "12.0"],
  [aligned, 0.0005, "5.0 × 10⁻⁴"],
  [aligned, null, ""],
  [clock, 59.6, "1:00"],
  [clock, 3729, "1:02:09"],
  [clock, -3, "0:00"],
  [timeText, 100, "1:40 min"],
  [timeText, 3729, "1:02:09 h"],
  [timeText, null, "–"],
  [times, 5.3333, "5.33"],
  [times, 29.04, "29.0"],
  [times, 1234.4, "1,234"],
  [subscript, 12, "₁₂"],
  [unbroken, "0.8 % with m = 2", "0.8\u00a0% with m\u00a0=\u00a02"],
  [unbroken, "113 GB, 2 methods, 30 s", "113\u00a0GB, 2 methods, 30\u00a0s"],
  [percent, 0.12345, "12.3\u00a0%"],
  [alignedPercent, 0.125, "12.5 %"],
  [alignedPercent, 0.1204, "12.0 %"],
])
  test(`${write.name}: ${value} is written ${text}`, () => assert.equal(write(value), text));

for (const [kind, value, text] of [
  ["count", 55296, "55,296"],
  ["bytes", 231_400, "231 kB"],
  ["bytes", 999_600, "1.00 MB"],
  ["flops", 3.126e9, "3.13 GFLOP"],
  ["seconds", 0.0382, "38.2 ms"],
  ["count", null, "–"],
])
  test(`${value} ${kind} is written ${text}`, () => assert.equal(amount(kind, value), text));

test("an accuracy is a percentage, a correlation is not, and a minus is one", () => {
  assert.equal(metricText("accuracy", 0.796875), "79.7 %");
  assert.equal(metricText("matthews", -0.0625), "−0.063");
  assert.equal(metricText("accuracy", null), "");
});

test("a saved table quotes what would break it, and knows the columns of every row", () => {
  const rows = [
    { name: 'said "no", twice', value: 1 },
    { name: 'x"y', value: null, more: [1, 2] },
  ];
  assert.equal(csv(rows), 'name,value,more\r\n"said ""no"", twice",1,\r\n"x""y",,"[1,2]"\r\n');
});

test("a saved text that a spreadsheet would run is a text, and a number stays one", () => {
  const rows = [{ a: "=1+1" }, { a: "@SUM(A1)" }, { a: "-0.5" }, { a: -2 }, { a: "+1 of 2" }];
  assert.equal(csv(rows), "a\r\n'=1+1\r\n'@SUM(A1)\r\n-0.5\r\n-2\r\n'+1 of 2\r\n");
});
