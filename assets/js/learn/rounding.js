// A Fourier transform that rounds every result, to show what few digits do.

/** @import { Numbers } from "../shared/fft.js" */

/** @typedef {{re: number[], im: number[]}} Lists */

/**
 * The nearest number with so many bits after the leading one.
 * @param {number} value
 * @param {number} bits
 */
export function rounded(value, bits) {
  if (value === 0 || !Number.isFinite(value)) return value;
  const unit = 2 ** (Math.floor(Math.log2(Math.abs(value))) - bits);
  return Math.round(value / unit) * unit;
}

/**
 * Radix-2 FFT of a power-of-two length, each sum and product rounded; sign -1 forward, +1 back (undivided).
 * @param {Lists} spectrum
 * @param {number} bits
 * @param {number} sign
 * @returns {Lists}
 */
function transform({ re, im }, bits, sign) {
  const n = re.length;
  if (n === 1) return { re: [re[0]], im: [im[0]] };
  /**
   * @param {number[]} list
   * @param {0 | 1} odd
   */
  const pick = (list, odd) => Array.from({ length: n / 2 }, (_, k) => list[2 * k + odd]),
    r = (/** @type {number} */ value) => rounded(value, bits);
  const even = transform({ re: pick(re, 0), im: pick(im, 0) }, bits, sign),
    odd = transform({ re: pick(re, 1), im: pick(im, 1) }, bits, sign);
  const out = { re: new Array(n), im: new Array(n) };
  for (let k = 0; k < n / 2; k++) {
    const cos = r(Math.cos((2 * Math.PI * k) / n)),
      sin = r(sign * Math.sin((2 * Math.PI * k) / n));
    const tr = r(r(cos * odd.re[k]) - r(sin * odd.im[k])),
      ti = r(r(cos * odd.im[k]) + r(sin * odd.re[k]));
    out.re[k] = r(even.re[k] + tr);
    out.im[k] = r(even.im[k] + ti);
    out.re[k + n / 2] = r(even.re[k] - tr);
    out.im[k + n / 2] = r(even.im[k] - ti);
  }
  return out;
}

/**
 * circ(c) x by FFT, every number on the way rounded to so many bits.
 * @param {Numbers} c
 * @param {Numbers} x
 * @param {number} bits
 */
export function roundedProduct(c, x, bits) {
  const zero = new Array(c.length).fill(0),
    r = (/** @type {number} */ value) => rounded(value, bits);
  /** @param {Numbers} vector */
  const spectrum = (vector) => transform({ re: Array.from(vector, r), im: zero }, bits, -1);
  const a = spectrum(c),
    b = spectrum(x);
  const both = {
    re: a.re.map((value, k) => r(r(value * b.re[k]) - r(a.im[k] * b.im[k]))),
    im: a.re.map((value, k) => r(r(value * b.im[k]) + r(a.im[k] * b.re[k]))),
  };
  return transform(both, bits, 1).re.map((value) => r(value / c.length));
}

/**
 * circ(c) x row by row, products added one after the other, every number on the way rounded to so many bits.
 * @param {Numbers} c
 * @param {Numbers} x
 * @param {number} bits
 */
export function roundedRows(c, x, bits) {
  const n = c.length,
    r = (/** @type {number} */ value) => rounded(value, bits);
  const kept = { c: Array.from(c, r), x: Array.from(x, r) };
  return Array.from({ length: n }, (_, i) =>
    kept.x.reduce((sum, value, j) => r(sum + r(kept.c[(i - j + n) % n] * value)), 0),
  );
}
