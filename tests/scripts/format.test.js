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

const TABLES = [
  [
    count,
    [
      [1769472, "1,769,472"],
      [0, "0"],
      [null, ""],
      [undefined, ""],
    ],
  ],
  [
    powerOfTen,
    [
      [6, "10⁶"],
      [-12, "10⁻¹²"],
      [0, "10⁰"],
    ],
  ],
  [
    short,
    [
      [0.6926, "0.693"],
      [12.5, "12.5"],
      [12.04, "12"],
      [123.6, "124"],
      [54321, "54,321"],
      [-0.25, "−0.25"],
      [0.00012, "1.2 × 10⁻⁴"],
      [-3.4e7, "−3.4 × 10⁷"],
      [9.99e6, "1.0 × 10⁷"],
      [2e-5, "2.0 × 10⁻⁵"],
      [0.5, "0.5"],
      [1234, "1,234"],
      [-3.5e-11, "−3.5 × 10⁻¹¹"],
      [0, "0"],
      [null, ""],
    ],
  ],
  [
    aligned,
    [
      [0.72, "0.720"],
      [12.04, "12.0"],
      [7, "7"],
      [123.4, "123"],
      [0.0005, "5.0 × 10⁻⁴"],
      [null, ""],
    ],
  ],
  [
    clock,
    [
      [38, "0:38"],
      [0, "0:00"],
      [59.6, "1:00"],
      [3729, "1:02:09"],
      [-3, "0:00"],
    ],
  ],
  [
    timeText,
    [
      [12.3, "12 s"],
      [100, "1:40 min"],
      [3729, "1:02:09 h"],
      [null, "–"],
    ],
  ],
  [
    times,
    [
      [5.3333, "5.33"],
      [0.4337, "0.434"],
      [29.04, "29.0"],
      [3, "3"],
      [1234.4, "1,234"],
    ],
  ],
  [
    subscript,
    [
      [12, "₁₂"],
      [0, "₀"],
    ],
  ],
  [
    unbroken,
    [
      ["0.8 % with m = 2", "0.8\u00a0% with m\u00a0=\u00a02"],
      ["113 GB, 2 methods, 30 s", "113\u00a0GB, 2 methods, 30\u00a0s"],
    ],
  ],
  [
    percent,
    [
      [0.5, "50\u00a0%"],
      [0.12345, "12.3\u00a0%"],
    ],
  ],
  [
    alignedPercent,
    [
      [0.125, "12.5 %"],
      [0.1204, "12.0 %"],
    ],
  ],
];

for (const [write, pairs] of TABLES)
  for (const [value, text] of pairs)
    test(`${write.name}: ${value} is written ${text}`, () => assert.equal(write(value), text));

for (const [kind, value, text] of [
  ["count", 55296, "55,296"],
  ["bytes", 999, "999 B"],
  ["bytes", 231_400, "231 kB"],
  ["bytes", 999_600, "1.00 MB"],
  ["flops", 3.126e9, "3.13 GFLOP"],
  ["flops", 2e18, "2.00 EFLOP"],
  ["seconds", 0.0382, "38.2 ms"],
  ["seconds", 12.345, "12.3 s"],
  ["count", null, "–"],
])
  test(`${value} ${kind} is written ${text}`, () => assert.equal(amount(kind, value), text));

test("an accuracy is a percentage, a correlation is not, and a minus is one", () => {
  assert.equal(metricText("accuracy", 0.796875), "79.7 %");
  assert.equal(metricText("matthews", -0.0625), "−0.063");
  assert.equal(metricText("accuracy", null), "");
});

test("a saved cell with a quote alone is quoted, too", () => {
  assert.equal(csv([{ a: 'x"y' }]), 'a\r\n"x""y"\r\n');
});

test("a saved table quotes what would break it, and knows the columns of every row", () => {
  const rows = [
    { name: 'said "no", twice', value: 1 },
    { value: null, more: [1, 2] },
  ];
  assert.equal(csv(rows), 'name,value,more\r\n"said ""no"", twice",1,\r\n,,"[1,2]"\r\n');
});

test("a saved text that a spreadsheet would run is a text, and a number stays one", () => {
  const rows = [{ a: "=1+1" }, { a: "@SUM(A1)" }, { a: "-0.5" }, { a: -2 }, { a: "+1 of 2" }];
  assert.equal(csv(rows), "a\r\n'=1+1\r\n'@SUM(A1)\r\n-0.5\r\n-2\r\n'+1 of 2\r\n");
});
