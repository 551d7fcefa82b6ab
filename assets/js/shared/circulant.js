// The method's matrices from their vectors, entry by entry, and their products with a vector by FFT.
//
// `sample` of a matrix writes the entries at the rows `is` and columns `js`, row by row, as fast as it can.

import { irfft, plus, rfft, times } from "./fft.js";
import { Piecewise } from "./piecewise.js";

/** @import { Complex, Numbers } from "./fft.js" */

/**
 * @typedef {object} Matrix
 * @property {number} rows
 * @property {number} cols
 * @property {(i: number, j: number) => number} entry
 * @property {(is: Int32Array, js: Int32Array, out: Float32Array) => void} sample
 */

/**
 * The remainder that is never negative.
 * @param {number} value
 * @param {number} n
 */
export const modulo = (value, n) => ((value % n) + n) % n;

/**
 * circ(c)[i, j] = c[(i - j) mod n]: first column c.
 * @param {Numbers} c
 * @param {number} i
 * @param {number} j
 */
export const circulantEntry = (c, i, j) => c[modulo(i - j, c.length)];

/**
 * y = circ(c) x = IFFT(FFT(c) FFT(x)).
 * @param {Numbers} c
 * @param {Numbers} x
 */
export const circulantTimes = (c, x) => irfft(times(rfft(c), rfft(x)), x.length);

/** q1 x q2 circulant blocks of p x p, cut to rows x cols; `c` holds one first column a block, in row order. */
export class BlockCirculant {
  /** @type {Complex[] | undefined} */
  #spectra;

  /**
   * @param {Float32Array | Float64Array} c
   * @param {number} q1
   * @param {number} q2
   * @param {number} p
   * @param {number} rows
   * @param {number} cols
   */
  constructor(c, q1, q2, p, rows, cols) {
    this.c = c;
    this.q1 = q1;
    this.q2 = q2;
    this.p = p;
    this.rows = rows;
    this.cols = cols;
  }

  /**
   * Which number of its block's first column the entry (i, j) is.
   * @param {number} i
   * @param {number} j
   */
  within(i, j) {
    return modulo((i % this.p) - (j % this.p), this.p);
  }

  /**
   * Where in `c` the entry (i, j) stands.
   * @param {number} i
   * @param {number} j
   */
  place(i, j) {
    const { p, q2 } = this;
    return (Math.floor(i / p) * q2 + Math.floor(j / p)) * p + this.within(i, j);
  }

  /**
   * @param {number} i
   * @param {number} j
   */
  entry(i, j) {
    return this.c[this.place(i, j)];
  }

  /**
   * @param {Int32Array} is
   * @param {Int32Array} js
   * @param {Float32Array} out
   */
  sample(is, js, out) {
    sampleScaled(this, is, js, out, null, null, 1);
  }

  /**
   * First column of the block (i, j).
   * @param {number} i
   * @param {number} j
   */
  block(i, j) {
    return this.c.subarray((i * this.q2 + j) * this.p, (i * this.q2 + j + 1) * this.p);
  }

  /** Half spectra of all blocks, in row order. */
  spectra() {
    this.#spectra ??= Array.from({ length: this.q1 * this.q2 }, (_, index) =>
      rfft(this.block(Math.floor(index / this.q2), index % this.q2)),
    );
    return this.#spectra;
  }

  /**
   * The q2 pieces of x, zero-padded to p.
   * @param {Numbers} x
   */
  pieces(x) {
    return Array.from({ length: this.q2 }, (_, j) => {
      const piece = new Float64Array(this.p);
      for (let k = 0; k < this.p && j * this.p + k < x.length; k++) piece[k] = x[j * this.p + k];
      return piece;
    });
  }

  /**
   * y_i = IFFT(sum_j FFT(c_ij) FFT(x_j)).
   * @param {Numbers} x
   */
  times(x) {
    const inputs = this.pieces(x).map(rfft),
      y = new Float64Array(this.q1 * this.p);
    for (let i = 0; i < this.q1; i++) {
      const sum = plus(inputs.map((piece, j) => times(this.spectra()[i * this.q2 + j], piece)));
      y.set(irfft(sum, this.p), i * this.p);
    }
    return y.slice(0, this.rows);
  }
}

/**
 * out = scale * after[i] * c[...] * before[j] at the sampled entries: two multiplications an entry.
 * @param {BlockCirculant} blocks
 * @param {Int32Array} is
 * @param {Int32Array} js
 * @param {Float32Array} out
 * @param {Numbers | null} after
 * @param {Numbers | null} before
 * @param {number} scale
 */
function sampleScaled(blocks, is, js, out, after, before, scale) {
  const { c, p, q2 } = blocks,
    width = js.length;
  const blockOf = new Int32Array(width),
    within = new Int32Array(width),
    weight = new Float64Array(width);
  for (let s = 0; s < width; s++) {
    blockOf[s] = Math.floor(js[s] / p) * p;
    within[s] = js[s] % p;
    weight[s] = before ? before[js[s]] : 1;
  }
  for (let r = 0; r < is.length; r++) {
    const i = is[r],
      row = Math.floor(i / p) * q2 * p,
      inside = i % p,
      factor = scale * (after ? after[i] : 1);
    for (let s = 0, at = r * width; s < width; s++, at++) {
      const turn = inside - within[s];
      out[at] = factor * weight[s] * c[row + blockOf[s] + (turn < 0 ? turn + p : turn)];
    }
  }
}

/**
 * alpha dW = alpha diag(a_{2m-1}) circ(c_{2m-2}) ... circ(c_2) diag(a_1).
 *
 * diagonals: m arrays in the order in which they are applied; circulants: m - 1 BlockCirculants.
 * For m = 2 an entry is alpha a3[i] c[(i - j) mod p] a1[j] and nothing is built; for more the matrix is, once.
 */
export class CirculantDiagonal {
  /** @type {Piecewise<Dense> | undefined} */
  #built;

  /**
   * @param {Numbers[]} diagonals
   * @param {BlockCirculant[]} circulants
   */
  constructor(diagonals, circulants, alpha = 1) {
    this.diagonals = diagonals;
    this.circulants = circulants;
    this.alpha = alpha;
    this.rows = diagonals[diagonals.length - 1].length;
    this.cols = diagonals[0].length;
  }

  get m() {
    return this.diagonals.length;
  }

  /**
   * @param {number} i
   * @param {number} j
   */
  entry(i, j) {
    if (this.m > 2) return this.dense().entry(i, j);
    return this.alpha * this.diagonals[1][i] * this.circulants[0].entry(i, j) * this.diagonals[0][j];
  }

  /**
   * @param {Int32Array} is
   * @param {Int32Array} js
   * @param {Float32Array} out
   */
  sample(is, js, out) {
    if (this.m > 2) this.dense().sample(is, js, out);
    else sampleScaled(this.circulants[0], is, js, out, this.diagonals[1], this.diagonals[0], this.alpha);
  }

  /**
   * alpha dW x through FFTs, as the layer computes it.
   * @param {Numbers} x
   */
  times(x) {
    let y = Float64Array.from(x, (value, j) => value * this.diagonals[0][j]);
    this.circulants.forEach((circulant, index) => {
      y = circulant.times(y).map((value, i) => value * this.diagonals[index + 1][i]);
    });
    return y.map((value) => value * this.alpha);
  }

  /** All entries. */
  dense() {
    this.#built ??= new Piecewise(this.#columns());
    return this.#built.result;
  }

  /**
   * Build what is needed of the entries until that moment; whether nothing is left to be built.
   * @param {number} deadline as `performance.now()` has it
   */
  ready(deadline) {
    if (this.m === 2) return true;
    this.#built ??= new Piecewise(this.#columns());
    return this.#built.until(deadline);
  }

  /** Column j is alpha dW e_j, where only what stands right of the first diagonal is transformed. */
  *#columns() {
    const { rows, cols } = this,
      values = new Float32Array(rows * cols);
    const first = new CirculantDiagonal(this.diagonals.slice(0, 2), this.circulants.slice(0, 1), this.alpha);
    for (let j = 0; j < cols; j++) {
      let column = Float64Array.from({ length: rows }, (_, i) => first.entry(i, j));
      this.circulants.slice(1).forEach((circulant, index) => {
        column = circulant.times(column).map((value, i) => value * this.diagonals[index + 2][i]);
      });
      for (let i = 0; i < rows; i++) values[i * cols + j] = column[i];
      yield;
    }
    return new Dense(values, rows, cols);
  }
}

/** A matrix whose entries are all there, row by row. */
export class Dense {
  /**
   * @param {Float32Array} values
   * @param {number} rows
   * @param {number} cols
   */
  constructor(values, rows, cols) {
    this.values = values;
    this.rows = rows;
    this.cols = cols;
  }

  /**
   * @param {number} i
   * @param {number} j
   */
  entry(i, j) {
    return this.values[i * this.cols + j];
  }

  /**
   * @param {Int32Array} is
   * @param {Int32Array} js
   * @param {Float32Array} out
   */
  sample(is, js, out) {
    const { values, cols } = this;
    for (let r = 0, at = 0; r < is.length; r++) {
      const row = is[r] * cols;
      for (let s = 0; s < js.length; s++, at++) out[at] = values[row + js[s]];
    }
  }
}

/**
 * Dense product of any matrix with x, entry by entry: what the FFT spares, to check it with.
 * @param {Matrix} matrix
 * @param {Numbers} x
 */
export function denseTimes(matrix, x) {
  const js = Int32Array.from({ length: matrix.cols }, (_, j) => j),
    y = new Float64Array(matrix.rows);
  for (let i = 0; i < matrix.rows; i++) for (const j of js) y[i] += matrix.entry(i, j) * x[j];
  return y;
}
