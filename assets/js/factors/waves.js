// The waves that a circulant's numbers are the sum of: one for each frequency, as long as its eigenvalue is large.

import { magnitude, phase } from "../shared/fft.js";

/** @import { BlockCirculant } from "../shared/circulant.js" */
/** @import { Complex } from "../shared/fft.js" */

/** @typedef {{modulus: number[], phases: number[], each: number}} Polar one half spectrum of `each` after another */

/**
 * Polar form of several half spectra one after another.
 * @param {Complex[]} spectra
 * @returns {Polar}
 */
export const polar = (spectra) => ({
  modulus: spectra.flatMap((one) => Array.from(magnitude(one))),
  phases: spectra.flatMap((one) => Array.from(phase(one))),
  each: spectra[0].re.length,
});

/**
 * c = Σₖ wave(k), with wave(k)[j] = w |λₖ| cos(2π k j / p + arg λₖ) / p, where λ = FFT(c); w is 2, for k and p − k
 * together, but 1 for the constant wave and the alternating one. In every other block it is not drawn: NaN there.
 * @param {BlockCirculant} circulant
 * @param {number} k the frequency, those of each block after those of the one before
 */
export function waveOf(circulant, k) {
  const { p, c } = circulant,
    each = (p >> 1) + 1,
    block = Math.floor(k / each),
    frequency = k % each,
    spectrum = circulant.spectra()[block],
    weight = frequency === 0 || 2 * frequency === p ? 1 : 2,
    height = (weight * magnitude(spectrum)[frequency]) / p,
    turned = phase(spectrum)[frequency];
  const found = new Float64Array(c.length).fill(NaN);
  for (let j = 0; j < p; j++)
    found[block * p + j] = height * Math.cos((2 * Math.PI * frequency * j) / p + turned);
  return found;
}
