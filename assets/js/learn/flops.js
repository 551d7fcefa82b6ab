// FLOPs of products with circulants, counted as cdvft.cost does.

const realFft = (/** @type {number} */ n) => 2.5 * n * Math.log2(n);

/**
 * A multiply-add is 2 FLOPs, a real FFT 2.5 d log2 d, a complex product 6, and a complex multiply-add 8. `blocks` is one
 * token through a layer of p x p blocks between two diagonals.
 */
export const work = {
  dense: (/** @type {number} */ d) => 2 * d * d,
  fft: (/** @type {number} */ d) => 2 * realFft(d) + 6 * (Math.floor(d / 2) + 1),
  /**
   * @param {number} rows
   * @param {number} cols
   * @param {number} p
   */
  blocks(rows, cols, p) {
    const q1 = Math.ceil(rows / p),
      q2 = Math.ceil(cols / p),
      bins = Math.floor(p / 2) + 1;
    return rows + cols + (q1 + q2) * realFft(p) + q1 * bins * (q2 === 1 ? 6 : 8 * q2);
  },
};
