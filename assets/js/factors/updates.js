// The weight updates of the other methods, from what each of them trains.

import { ifft } from "../shared/fft.js";
import { BlockCirculant, Dense, modulo } from "../shared/circulant.js";

// What takes long is a generator, which pauses between its pieces: see shared/piecewise.js.

/** @import { Complex, Numbers } from "../shared/fft.js" */

/**
 * LoRA: scale B A, with B (rows, r) and A (r, cols).
 * @param {Numbers} a
 * @param {Numbers} b
 * @param {number} rows
 * @param {number} cols
 * @param {number} rank
 * @param {number} scale
 */
export function* lowRank(a, b, rows, cols, rank, scale) {
  const values = new Float32Array(rows * cols);
  for (let i = 0; i < rows; i++) {
    for (let k = 0; k < rank; k++) {
      const factor = scale * b[i * rank + k];
      if (factor === 0) continue;
      for (let j = 0, at = i * cols, from = k * cols; j < cols; j++) values[at + j] += factor * a[from + j];
    }
    yield;
  }
  return new Dense(values, rows, cols);
}

/**
 * ‖b_k‖ ‖a_k‖ of each pair of LoRA's: how large the part b_k a_kᵀ of B A is.
 * @param {Numbers} a (r, d_in), row by row
 * @param {Numbers} b (d_out, r), row by row
 * @param {number} rank
 */
export function pairSizes(a, b, rank) {
  const columns = a.length / rank,
    rows = b.length / rank;
  return Float64Array.from({ length: rank }, (_, k) => {
    let ofA = 0,
      ofB = 0;
    for (let j = 0; j < columns; j++) ofA += a[k * columns + j] ** 2;
    for (let i = 0; i < rows; i++) ofB += b[i * rank + k] ** 2;
    return Math.sqrt(ofA * ofB);
  });
}

/**
 * B, (rows, r), with its columns as rows.
 * @param {Numbers} b
 * @param {number} rank
 */
export function turned(b, rank) {
  const rows = b.length / rank,
    values = new Float32Array(b.length);
  for (let i = 0; i < rows; i++) for (let k = 0; k < rank; k++) values[k * rows + i] = b[i * rank + k];
  return new Dense(values, rank, rows);
}

/**
 * FourierFT: the real part of scale IFFT2(S), where S is zero but for `spectrum` at `indices` (rows, then columns).
 *
 * S is real, so the update at (i, j) equals that at (-i, -j), and only half of the columns are transformed.
 * @param {Numbers} spectrum
 * @param {Numbers} indices
 * @param {number} rows
 * @param {number} cols
 * @param {number} scale
 */
export function* sparseSpectrum(spectrum, indices, rows, cols, scale) {
  const count = spectrum.length,
    half = (cols >> 1) + 1;
  const columns = { re: new Float64Array(half * rows), im: new Float64Array(half * rows) }; // one column after another
  /** @type {Map<number, Complex>} */
  const byRow = new Map();
  for (let k = 0; k < count; k++) {
    const u = indices[k];
    const row = byRow.get(u) ?? { re: new Float64Array(cols), im: new Float64Array(cols) };
    row.re[indices[count + k]] = spectrum[k];
    byRow.set(u, row);
  }
  for (const [u, row] of byRow) {
    const turned = ifft(row);
    for (let j = 0; j < half; j++) {
      columns.re[j * rows + u] = turned.re[j];
      columns.im[j * rows + u] = turned.im[j];
    }
    yield;
  }
  const values = new Float32Array(rows * cols);
  for (let j = 0; j < half; j++) {
    const column = ifft({
      re: columns.re.subarray(j * rows, (j + 1) * rows),
      im: columns.im.subarray(j * rows, (j + 1) * rows),
    });
    const mirror = (cols - j) % cols;
    for (let i = 0; i < rows; i++) {
      const value = scale * column.re[i];
      values[i * cols + j] = value;
      values[modulo(-i, rows) * cols + mirror] = value;
    }
    yield;
  }
  return new Dense(values, rows, cols);
}

/**
 * C3A: blocks with first ROW kernel[i, j], times scale; kernel is (rows / b, cols / b, b).
 * @param {Numbers} kernel
 * @param {number} b
 * @param {number} rows
 * @param {number} cols
 * @param {number} scale
 */
export function blockKernel(kernel, b, rows, cols, scale) {
  const columns = Float64Array.from(kernel, (_, at) => scale * kernel[at - (at % b) + modulo(-at, b)]);
  return new BlockCirculant(columns, rows / b, cols / b, b, rows, cols);
}
