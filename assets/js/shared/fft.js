// The discrete Fourier transform of any length in float64: mixed radix, and Bluestein's chirp for large primes.
//
// Conventions are those of numpy and torch: X[k] = sum_n x[n] exp(-2 pi i k n / N); the inverse divides by N.
// A complex array is {re, im}, two Float64Arrays; a half spectrum has N / 2 + 1 (rounded down) entries.

const MAX_DIRECT = 31; // a prime factor above goes through Bluestein

/** @typedef {ArrayLike<number>} Numbers */
/** @typedef {{re: Float64Array, im: Float64Array}} Complex */
/** @typedef {{n: number, factors: number[], cos: Float64Array, sin: Float64Array, direct: boolean}} Plan */

/** @type {Map<number, Plan>} */
const plans = new Map();

/** @param {number} n */
function plan(n) {
  const known = plans.get(n);
  if (known) return known;
  const factors = [];
  let rest = n;
  for (let radix = 4; rest > 1; radix = radix === 4 ? 2 : radix === 2 ? 3 : radix + 2) {
    while (rest % radix === 0) {
      factors.push(radix);
      rest /= radix;
    }
    if (radix > 2 && radix * radix > rest && rest > 1) {
      factors.push(rest);
      rest = 1;
    }
  }
  const cos = new Float64Array(n),
    sin = new Float64Array(n);
  for (let k = 0; k < n; k++) {
    cos[k] = Math.cos((2 * Math.PI * k) / n);
    sin[k] = -Math.sin((2 * Math.PI * k) / n);
  }
  const made = { n, factors, cos, sin, direct: factors.every((factor) => factor <= MAX_DIRECT) };
  if (plans.size > 64) plans.clear();
  plans.set(n, made);
  return made;
}

/** @param {number} n */
const complex = (n) => ({ re: new Float64Array(n), im: new Float64Array(n) });

/**
 * One level of decimation in time: `radix` transforms of every radix-th entry, then their butterflies.
 * @param {Plan} made
 * @param {number} depth
 * @param {Complex} input
 * @param {number} from
 * @param {number} stride
 * @param {Complex} output
 * @param {number} to
 * @param {number} n
 */
function step(made, depth, input, from, stride, output, to, n) {
  if (n === 1) {
    output.re[to] = input.re[from];
    output.im[to] = input.im[from];
    return;
  }
  const radix = made.factors[depth],
    part = n / radix;
  for (let q = 0; q < radix; q++)
    step(made, depth + 1, input, from + q * stride, stride * radix, output, to + q * part, part);
  const { re, im } = output,
    { cos, sin } = made,
    turn = made.n / n;
  if (radix === 2) {
    for (let k = 0; k < part; k++) {
      const a = to + k,
        b = a + part,
        c = cos[k * turn],
        s = sin[k * turn];
      const tr = re[b] * c - im[b] * s,
        ti = re[b] * s + im[b] * c;
      re[b] = re[a] - tr;
      im[b] = im[a] - ti;
      re[a] += tr;
      im[a] += ti;
    }
    return;
  }
  if (radix === 4) {
    for (let k = 0; k < part; k++) {
      const a = to + k,
        b = a + part,
        c = b + part,
        d = c + part,
        t = k * turn;
      const br = re[b] * cos[t] - im[b] * sin[t],
        bi = re[b] * sin[t] + im[b] * cos[t];
      const cr = re[c] * cos[2 * t] - im[c] * sin[2 * t],
        ci = re[c] * sin[2 * t] + im[c] * cos[2 * t];
      const dr = re[d] * cos[3 * t] - im[d] * sin[3 * t],
        di = re[d] * sin[3 * t] + im[d] * cos[3 * t];
      const pr = re[a] + cr,
        pi = im[a] + ci,
        mr = re[a] - cr,
        mi = im[a] - ci;
      const qr = br + dr,
        qi = bi + di,
        nr = br - dr,
        ni = bi - di;
      re[a] = pr + qr;
      im[a] = pi + qi;
      re[b] = mr + ni;
      im[b] = mi - nr;
      re[c] = pr - qr;
      im[c] = pi - qi;
      re[d] = mr - ni;
      im[d] = mi + nr;
    }
    return;
  }
  const tr = new Float64Array(radix),
    ti = new Float64Array(radix),
    whole = made.n / radix;
  for (let k = 0; k < part; k++) {
    for (let q = 0; q < radix; q++) {
      const at = to + k + q * part,
        w = q * k * turn;
      tr[q] = re[at] * cos[w] - im[at] * sin[w];
      ti[q] = re[at] * sin[w] + im[at] * cos[w];
    }
    for (let r = 0; r < radix; r++) {
      let sr = 0,
        si = 0;
      for (let q = 0; q < radix; q++) {
        const w = ((q * r) % radix) * whole;
        sr += tr[q] * cos[w] - ti[q] * sin[w];
        si += tr[q] * sin[w] + ti[q] * cos[w];
      }
      re[to + k + r * part] = sr;
      im[to + k + r * part] = si;
    }
  }
}

/**
 * Bluestein (1970): a transform of any length as a convolution of a length that is a power of two.
 * @param {Plan} plan
 * @param {Complex} x
 */
function chirped({ n }, x) {
  let m = 1;
  while (m < 2 * n - 1) m *= 2;
  const a = complex(m),
    b = complex(m),
    cos = new Float64Array(n),
    sin = new Float64Array(n);
  for (let k = 0; k < n; k++) {
    const angle = (Math.PI * ((k * k) % (2 * n))) / n;
    cos[k] = Math.cos(angle);
    sin[k] = Math.sin(angle);
    a.re[k] = x.re[k] * cos[k] + x.im[k] * sin[k];
    a.im[k] = x.im[k] * cos[k] - x.re[k] * sin[k];
    b.re[k] = b.re[(m - k) % m] = cos[k];
    b.im[k] = b.im[(m - k) % m] = sin[k];
  }
  const y = ifft(times(fft(a), fft(b))),
    out = complex(n);
  for (let k = 0; k < n; k++) {
    out.re[k] = y.re[k] * cos[k] + y.im[k] * sin[k];
    out.im[k] = y.im[k] * cos[k] - y.re[k] * sin[k];
  }
  return out;
}

/**
 * FFT of a complex {re, im} of any length.
 * @param {Complex} x
 * @returns {Complex}
 */
export function fft(x) {
  const n = x.re.length;
  if (n === 0) return complex(0);
  const made = plan(n);
  if (!made.direct) return chirped(made, x);
  const out = complex(n);
  step(made, 0, x, 0, 1, out, 0, n);
  return out;
}

/**
 * Inverse FFT of a complex {re, im}.
 * @param {Complex} x
 * @returns {Complex}
 */
export function ifft(x) {
  const n = x.re.length,
    swapped = fft({ re: x.im, im: x.re });
  for (let k = 0; k < n; k++) {
    swapped.re[k] /= n;
    swapped.im[k] /= n;
  }
  return { re: swapped.im, im: swapped.re };
}

/**
 * Half spectrum of real numbers.
 * @param {Numbers} x
 * @returns {Complex}
 */
export function rfft(x) {
  const whole = fft({ re: Float64Array.from(x), im: new Float64Array(x.length) }),
    half = (x.length >> 1) + 1;
  return { re: whole.re.slice(0, half), im: whole.im.slice(0, half) };
}

/**
 * The n real numbers of a half spectrum.
 * @param {Complex} half
 * @param {number} n
 */
export function irfft(half, n) {
  const whole = complex(n);
  for (let k = 0; k <= n >> 1; k++) {
    whole.re[k] = half.re[k];
    whole.im[k] = half.im[k];
    if (k > 0 && k < n - k) {
      whole.re[n - k] = half.re[k];
      whole.im[n - k] = -half.im[k];
    }
  }
  return ifft(whole).re;
}

/**
 * Entry by entry product of two spectra.
 * @param {Complex} a
 * @param {Complex} b
 */
export function times(a, b) {
  const out = complex(a.re.length);
  for (let k = 0; k < out.re.length; k++) {
    out.re[k] = a.re[k] * b.re[k] - a.im[k] * b.im[k];
    out.im[k] = a.re[k] * b.im[k] + a.im[k] * b.re[k];
  }
  return out;
}

/**
 * Entry by entry sum of spectra.
 * @param {Complex[]} spectra
 */
export function plus(spectra) {
  const out = complex(spectra[0].re.length);
  for (const { re, im } of spectra)
    for (let k = 0; k < re.length; k++) {
      out.re[k] += re[k];
      out.im[k] += im[k];
    }
  return out;
}

/** @param {Complex} spectrum */
export const magnitude = ({ re, im }) => re.map((value, k) => Math.hypot(value, im[k]));
/** @param {Complex} spectrum */
export const phase = ({ re, im }) => re.map((value, k) => Math.atan2(im[k], value));
