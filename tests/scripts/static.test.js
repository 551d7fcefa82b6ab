// The page of plain files: how its questions are spelled, where its links lead, what it says of its own measurement.

import assert from "node:assert/strict";
import { test } from "node:test";
import { spelled } from "../../assets/js/static/answers.js";
import { sentence } from "../../assets/js/static/crossover.js";
import { studioAddress } from "../../assets/js/static/studio.js";

test("an argument is spelled by its names in order, whatever order it came in", () => {
  assert.equal(spelled({ run: "a", module: "b.c" }), '[["module","b.c"],["run","a"]]');
  assert.equal(spelled({ chosen: null, flops: true }), '[["chosen",null],["flops",true]]');
  assert.equal(spelled({ rate: 0.001 }), '[["rate",0.001]]');
  assert.equal(spelled({}), "[]");
});

test("a link to the studio carries what the address says, and what the figure must say", () => {
  const here = "https://files.example/x/index.html?tab=learn&lesson=rank&values=1~0&answer=1-2&embed=1";
  assert.equal(
    studioAddress("https://studio.example/app", here, { tab: "learn", lesson: "rank" }),
    "https://studio.example/app?tab=learn&lesson=rank&values=1~0&answer=1-2",
  );
  assert.equal(
    studioAddress("https://studio.example/app?__theme=dark", "file:///x/index.html?tab=factors&layer=q", {
      tab: "factors",
      show: "ranks",
    }),
    "https://studio.example/app?__theme=dark&tab=factors&layer=q&show=ranks",
  );
});

test("the FFT wins from the length on at which it has won for good", () => {
  const told = (/** @type {number[]} */ fft) => sentence([16, 32, 64], [10, 20, 40], fft);
  assert.match(
    told([12, 15, 10]),
    /wins from between d = 16 and 32 on\. .* row by row takes 4 times as long/,
  );
  assert.match(told([5, 25, 10]), /wins from between d = 32 and 64 on/);
  assert.match(told([5, 15, 10]), /wins at every length measured/);
  assert.match(told([5, 15, 80]), /wins at no length up to d = 64\. .* by FFT takes 2 times as long/);
});
