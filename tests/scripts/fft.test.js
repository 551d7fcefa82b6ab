import assert from "node:assert/strict";
import { test } from "node:test";

import { fft, ifft, irfft, plus, rfft, times } from "../../assets/js/shared/fft.js";
import { assertClose, irregular } from "./numbers.js";

// One, a prime, powers of two, mixed factors, primes too large to be done directly, and their multiples.
const LENGTHS = [1, 2, 3, 4, 5, 7, 8, 12, 30, 31, 37, 64, 74, 97, 100, 384, 768, 1001];

/** X[k] = sum over n of x[n] exp(-2 pi i k n / N), as the books define it. */
function definition({ re, im }) {
  const n = re.length,
    out = { re: new Float64Array(n), im: new Float64Array(n) };
  for (let k = 0; k < n; k++)
    for (let at = 0; at < n; at++) {
      const angle = (-2 * Math.PI * k * at) / n;
      out.re[k] += re[at] * Math.cos(angle) - im[at] * Math.sin(angle);
      out.im[k] += re[at] * Math.sin(angle) + im[at] * Math.cos(angle);
    }
  return out;
}

const signal = (n) => ({ re: irregular(n, 1), im: irregular(n, 2) });

for (const n of LENGTHS) {
  test(`a transform of length ${n} is that of the definition`, () => {
    const found = fft(signal(n)),
      expected = definition(signal(n));
    assertClose(found.re, expected.re, 1e-11 * n, "real parts");
    assertClose(found.im, expected.im, 1e-11 * n, "imaginary parts");
  });

  test(`back and forth at length ${n} changes nothing`, () => {
    const back = ifft(fft(signal(n)));
    assertClose(back.re, signal(n).re, 1e-12 * n + 1e-13);
    assertClose(back.im, signal(n).im, 1e-12 * n + 1e-13);
  });

  test(`of ${n} real numbers half of the spectrum is enough`, () => {
    const x = irregular(n, 3),
      whole = definition({ re: x, im: new Float64Array(n) }),
      half = rfft(x);
    assert.equal(half.re.length, Math.floor(n / 2) + 1);
    assertClose(half.re, whole.re.slice(0, half.re.length), 1e-11 * n);
    assertClose(half.im, whole.im.slice(0, half.re.length), 1e-11 * n);
    assertClose(irfft(half, n), x, 1e-12 * n + 1e-13);
  });
}

test("products and sums of spectra are those of complex numbers", () => {
  const a = { re: Float64Array.of(1, 0), im: Float64Array.of(2, 1) },
    b = { re: Float64Array.of(3, 0), im: Float64Array.of(-1, 1) };
  // (1 + 2i)(3 - i) = 5 + 5i; i · i = -1
  assert.deepEqual(times(a, b), { re: Float64Array.of(5, -1), im: Float64Array.of(5, 0) });
  assert.deepEqual(plus([a, b]), { re: Float64Array.of(4, 0), im: Float64Array.of(1, 2) });
});
