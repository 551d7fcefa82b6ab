// Multiply by hand: two ways to the same eight numbers, multiplication by multiplication, with a counter each.

import { actButton, h, prefersStill, setText } from "../shared/dom.js";
import { short } from "../shared/format.js";
import { byFft, byRows } from "./by_hand.js";
import { setSlider, slider } from "./parts.js";

const C = [1, 0.6, 0.2, -0.4, 0, 0.3, -0.2, 0.5];
const X = [0.4, -1, 0.3, 0.8, -0.6, 0.2, 0.9, -0.1];
export const MAX_PRODUCTS = C.length ** 2;
const A_SECOND = 12; // multiplications while it plays
/** @type {[string, string][]} */
const STAGES = [
  ["fft", "FFT of x"],
  ["product", "times FFT(c)"],
  ["inverse", "inverse FFT"],
];

/**
 * Both ways side by side; `onsettle(done)` tells how many multiplications each may have made.
 * @param {{value: number, onsettle: (done: number) => void}} options
 */
export function handCalculation({ value, onsettle }) {
  const rows = byRows(C, X),
    fft = byFft(C, X);
  const said = h("p", { class: "quiet hand-said", role: "status" });
  const cells = (/** @type {number} */ many) =>
    Array.from({ length: many }, () => h("span", { class: "hand-cell" }));
  const ways = [
    { ...rows, cells: cells(rows.steps.length), counter: h("b", {}), now: h("p", { class: "quiet" }) },
    { ...fft, cells: cells(fft.steps.length), counter: h("b", {}), now: h("p", { class: "quiet" }) },
  ];

  /** @param {number} done */
  const show = (done) => {
    for (const { steps, cells, counter, now } of ways) {
      const made = Math.min(done, steps.length);
      cells.forEach((cell, at) => {
        cell.className = `hand-cell${at < made ? " done" : ""}${at === made - 1 ? " last" : ""}`;
      });
      setText(counter, String(made));
      const { left, right } = steps[Math.max(0, made - 1)];
      const written = (/** @type {number} */ factor) => (factor < 0 ? `(${short(factor)})` : short(factor));
      setText(
        now,
        made ? `${written(left)} · ${written(right)} = ${short(left * right)}` : "Nothing multiplied yet.",
      );
    }
    const apart = Math.max(...rows.y.map((y, i) => Math.abs(y - fft.y[i])));
    const list = Array.from(rows.y, (y) => short(Math.round(1000 * y) / 1000)).join(", ");
    setText(
      said,
      done < MAX_PRODUCTS
        ? `Both count multiplications alone. ${done < fft.steps.length ? "" : "The FFT is done, and has all eight numbers."}`
        : `Both come to ${list}; they differ by at most ${short(apart)}, from rounding.`,
    );
  };
  const control = slider({
    label: "multiplications, one after the other",
    min: 0,
    max: MAX_PRODUCTS,
    value,
    valueText: (done) => `${done} of ${MAX_PRODUCTS}`,
    oninput: (done) => {
      playing = 0;
      show(done);
    },
    onchange: onsettle,
  });
  const input = /** @type {HTMLInputElement} */ (control.querySelector("input"));
  let playing = 0; // which play goes on; 0: none
  /** @param {number} done */
  const put = (done) => {
    const mine = playing;
    setSlider(control, done);
    playing = mine;
  };
  const play = () => {
    if (prefersStill()) {
      put(MAX_PRODUCTS);
      onsettle(MAX_PRODUCTS);
      return;
    }
    const begun = performance.now(),
      from = Number(input.value) % MAX_PRODUCTS,
      mine = (playing = begun);
    const step = (/** @type {number} */ now) => {
      if (playing !== mine || !control.isConnected) return;
      const done = Math.min(MAX_PRODUCTS, from + Math.floor(((now - begun) / 1000) * A_SECOND));
      if (done !== Number(input.value)) put(Math.max(0, done));
      if (done < MAX_PRODUCTS) requestAnimationFrame(step);
      else onsettle(done);
    };
    requestAnimationFrame(step);
  };
  show(value);
  const [left, right] = ways;
  let at = 0;
  return h(
    "div",
    { class: "by-hand" },
    h("div", { class: "act-row" }, actButton("Multiply", play), control),
    h(
      "div",
      { class: "two" },
      h(
        "div",
        { class: "panel" },
        h("p", { class: "caption" }, left.counter, ` of ${left.steps.length}: row by row, c[i − j] x[j]`),
        h("div", { class: "hand-cells by-rows" }, left.cells),
        left.now,
      ),
      h(
        "div",
        { class: "panel" },
        h("p", { class: "caption" }, right.counter, ` of ${right.steps.length}: FFT, multiply, inverse FFT`),
        STAGES.map(([stage, title]) => {
          const many = fft.steps.filter((step) => step.stage === stage).length;
          return h(
            "div",
            { class: "hand-stage" },
            h("span", {}, title),
            h("div", { class: "hand-cells" }, right.cells.slice(at, (at += many))),
          );
        }),
        right.now,
      ),
    ),
    said,
  );
}
