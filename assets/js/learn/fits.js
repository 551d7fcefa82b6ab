// What fits a small matrix: circulant blocks, alone or between two diagonals, and plane waves; and changes to be fitted.

import { BlockCirculant, CirculantDiagonal, Dense } from "../shared/circulant.js";
import { normals } from "./random.js";
import { D } from "./shape_budgets.js";
import { bestOfRank } from "./singular.js";

/** @import { Matrix } from "../shared/circulant.js" */
/** @import { Entries } from "./singular.js" */

const ROUNDS = 60;

/**
 * All entries, row by row.
 * @param {Entries} matrix
 */
export function entriesOf(matrix) {
  const values = new Float64Array(matrix.rows * matrix.cols);
  for (let i = 0; i < matrix.rows; i++)
    for (let j = 0; j < matrix.cols; j++) values[i * matrix.cols + j] = matrix.entry(i, j);
  return values;
}

/**
 * ||target - fit|| / ||target||, Frobenius norms.
 * @param {Entries} target
 * @param {Entries} fit
 */
export function relativeError(target, fit) {
  const wanted = entriesOf(target),
    found = entriesOf(fit);
  return Math.hypot(...wanted.map((value, at) => value - found[at])) / Math.hypot(...wanted);
}

/**
 * The p x p circulant blocks C, cut to the target's shape, that are nearest to it between the diagonals a and b: each number
 * of C is the best multiple of its wrapped diagonal.
 * @param {Entries} target
 * @param {number} p
 * @param {Float64Array} a
 * @param {Float64Array} b
 */
function blocksBetween(target, p, a, b) {
  const { rows, cols } = target,
    q1 = Math.ceil(rows / p),
    q2 = Math.ceil(cols / p);
  const blocks = new BlockCirculant(new Float64Array(q1 * q2 * p), q1, q2, p, rows, cols),
    squares = new Float64Array(q1 * q2 * p);
  for (let i = 0; i < rows; i++)
    for (let j = 0; j < cols; j++) {
      const place = blocks.place(i, j),
        weight = a[i] * b[j];
      blocks.c[place] += target.entry(i, j) * weight;
      squares[place] += weight * weight;
    }
  squares.forEach((sum, place) => {
    if (sum) blocks.c[place] /= sum;
  });
  return blocks;
}

/** @param {number} n */
const ones = (n) => new Float64Array(n).fill(1);

/**
 * The nearest circulant blocks of p x p.
 * @param {Entries} target
 * @param {number} p
 */
export const nearestBlocks = (target, p) => blocksBetween(target, p, ones(target.rows), ones(target.cols));

/**
 * A good approximation diag(a) C diag(b), C of p x p circulant blocks, by alternating least squares from two starts: unit
 * diagonals, and those of the nearest matrix of rank one.
 * @param {Entries} target
 * @param {number} p
 */
export function scaledBlocks(target, p) {
  const { rows, cols } = target,
    low = bestOfRank(target, 1).matrix;
  const column = largest(low);
  const starts = [
    { a: ones(rows), b: ones(cols) },
    {
      a: Float64Array.from({ length: rows }, (_, i) => low.entry(i, column.j)),
      b: Float64Array.from(
        { length: cols },
        (_, j) => low.entry(column.i, j) / low.entry(column.i, column.j),
      ),
    },
  ];
  const found = starts.map(({ a, b }) => {
    for (let round = 0; round < ROUNDS; round++) {
      const c = blocksBetween(target, p, a, b);
      for (let i = 0; i < rows; i++) {
        a[i] = nearestScale(
          cols,
          (j) => target.entry(i, j),
          (j) => c.entry(i, j) * b[j],
        );
      }
      for (let j = 0; j < cols; j++) {
        b[j] = nearestScale(
          rows,
          (i) => target.entry(i, j),
          (i) => c.entry(i, j) * a[i],
        );
      }
    }
    return new CirculantDiagonal([b, a], [blocksBetween(target, p, a, b)]);
  });
  return found.reduce((best, one) => (relativeError(target, one) < relativeError(target, best) ? one : best));
}

/**
 * Where the largest entry stands.
 * @param {Entries} matrix
 */
function largest(matrix) {
  const values = entriesOf(matrix);
  let at = 0;
  values.forEach((value, place) => {
    if (Math.abs(value) > Math.abs(values[at])) at = place;
  });
  return { i: Math.floor(at / matrix.cols), j: at % matrix.cols };
}

const circulant = (/** @type {number} */ seed) => new BlockCirculant(normals(D, seed), 1, 1, D, D, D);

/**
 * Circulant blocks whose rows and columns have sizes of their own.
 * @param {number} rows
 * @param {number} cols
 * @param {number} p
 * @param {number} seed
 */
export function scaledExample(rows, cols, p, seed) {
  const q1 = Math.ceil(rows / p),
    q2 = Math.ceil(cols / p);
  const sizes = (/** @type {number} */ n, /** @type {number} */ own) =>
    normals(n, own).map((value) => Math.exp(0.6 * value));
  const blocks = new BlockCirculant(normals(q1 * q2 * p, seed), q1, q2, p, rows, cols);
  return new CirculantDiagonal([sizes(cols, seed + 1), sizes(rows, seed + 2)], [blocks]);
}

/** @type {Record<string, {title: string, matrix: Matrix}>} */
export const TASKS = {
  scaled: { title: "Scaled circulant", matrix: scaledExample(D, D, D, 82) },
  circulant: { title: "Circulant", matrix: circulant(81) },
  low: { title: "Rank 2", matrix: ofRank(2) },
  wave: { title: "One plane wave", matrix: planeWave() },
  random: { title: "Random", matrix: new Dense(Float32Array.from(normals(D * D, 85)), D, D) },
};

/** @param {number} r */
function ofRank(r) {
  const [b, a] = [86, 87].map((seed) => normals(D * r, seed)),
    values = new Float32Array(D * D);
  for (let i = 0; i < D; i++)
    for (let j = 0; j < D; j++) for (let k = 0; k < r; k++) values[i * D + j] += b[i * r + k] * a[k * D + j];
  return new Dense(values, D, D);
}

function planeWave() {
  const values = Float32Array.from({ length: D * D }, (_, at) =>
    Math.cos((2 * Math.PI * (3 * Math.floor(at / D) + 5 * (at % D))) / D),
  );
  return new Dense(values, D, D);
}

/**
 * The nearest sum of the cosine waves at these places of the spectrum, as FourierFT has them: the waves of one place and of
 * its opposite are the same, and all others are perpendicular.
 * @param {Matrix} target
 * @param {number[]} places u D + v
 */
export function nearestWaves(target, places) {
  const wanted = entriesOf(target),
    values = new Float32Array(D * D),
    seen = new Set();
  const cos = Float64Array.from({ length: D }, (_, k) => Math.cos((2 * Math.PI * k) / D));
  for (const place of places) {
    const u = Math.floor(place / D),
      v = place % D,
      opposite = ((D - u) % D) * D + ((D - v) % D);
    if (seen.has(Math.min(place, opposite))) continue;
    seen.add(Math.min(place, opposite));
    let held = 0,
      squares = 0;
    for (let i = 0; i < D; i++)
      for (let j = 0; j < D; j++) {
        const wave = cos[(u * i + v * j) % D];
        held += wanted[i * D + j] * wave;
        squares += wave * wave;
      }
    for (let i = 0; i < D; i++)
      for (let j = 0; j < D; j++) values[i * D + j] += (held / squares) * cos[(u * i + v * j) % D];
  }
  return new Dense(values, D, D);
}

/**
 * The number times which the weights come nearest to the values, in the sum of squares; 0 for weights of 0.
 * @param {number} count
 * @param {(place: number) => number} value
 * @param {(place: number) => number} weight
 */
function nearestScale(count, value, weight) {
  let held = 0,
    squares = 0;
  for (let place = 0; place < count; place++) {
    const one = weight(place);
    held += value(place) * one;
    squares += one * one;
  }
  return squares ? held / squares : 0;
}
