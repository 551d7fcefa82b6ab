// From which length on the FFT multiplies by a circulant faster than the matrix does, timed in this browser.

import { circulantEntry, circulantTimes } from "../shared/circulant.js";
import { count, short } from "../shared/format.js";

/** @import { Crossover } from "../payloads.js" */

const LENGTHS = [16, 32, 64, 128, 256, 512, 1024, 2048];
const MILLISECONDS = 20; // of one batch: browsers round the clock to a tenth of one
const BATCHES = 3;

/**
 * Least microseconds of one call, over batches of calls.
 * @param {() => unknown} call
 */
function microseconds(call) {
  let least = Infinity;
  for (let batch = 0; batch < BATCHES; batch += 1) {
    const start = performance.now();
    let calls = 0,
      spent = 0;
    while (spent < MILLISECONDS) {
      call();
      calls += 1;
      spent = performance.now() - start;
    }
    least = Math.min(least, (1000 * spent) / calls);
  }
  return least;
}

/**
 * y = M x, row by row.
 * @param {Float32Array} matrix n × n
 * @param {Float32Array} x
 * @param {Float32Array} y
 */
function multiply(matrix, x, y) {
  const n = x.length;
  for (let i = 0, at = 0; i < n; i += 1) {
    let sum = 0;
    for (let j = 0; j < n; j += 1, at += 1) sum += matrix[at] * x[j];
    y[i] = sum;
  }
}

/**
 * Where the FFT starts to win for good, and by how much it wins or loses at the end.
 * @param {number[]} lengths
 * @param {number[]} dense microseconds
 * @param {number[]} fft microseconds
 */
export function sentence(lengths, dense, fft) {
  const lost = lengths.findLastIndex((_, place) => fft[place] >= dense[place]),
    last = lengths.length - 1,
    [slower, faster] = dense[last] > fft[last] ? ["row by row", "by FFT"] : ["by FFT", "row by row"],
    ratio = Math.max(dense[last], fft[last]) / Math.min(dense[last], fft[last]);
  const from =
    lost < 0
      ? "the FFT wins at every length measured"
      : lost === last
        ? `the FFT wins at no length up to d = ${count(lengths[last])}`
        : `the FFT wins from between d = ${count(lengths[lost])} and ${count(lengths[lost + 1])} on`;
  return (
    `In this browser, in plain JavaScript, one vector at a time: ${from}. At d = ${count(lengths[last])} the product ` +
    `${slower} takes ${short(ratio)} times as long as ${faster}. Tuned libraries multiply matrices faster than ` +
    "this, so that there the FFT wins later."
  );
}

/** @returns {Promise<Crossover>} */
export async function measureHere() {
  const dense = [],
    fft = [];
  for (const d of LENGTHS) {
    await new Promise((resume) => setTimeout(resume)); // the page stays alive
    const c = Float32Array.from({ length: d }, () => Math.random() - 0.5),
      x = Float32Array.from({ length: d }, () => Math.random() - 0.5),
      y = new Float32Array(d),
      matrix = Float32Array.from({ length: d * d }, (_, at) => circulantEntry(c, Math.floor(at / d), at % d));
    dense.push(microseconds(() => multiply(matrix, x, y)));
    fft.push(microseconds(() => circulantTimes(c, x)));
  }
  return { lengths: LENGTHS, dense, fft, sentence: sentence(LENGTHS, dense, fft) };
}
