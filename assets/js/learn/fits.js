// What fits a small matrix: circulant blocks, alone or between two diagonals, and plane waves; and changes to be fitted.

import { BlockCirculant, CirculantDiagonal, Dense } from "../shared/circulant.js";
import { normals } from "./random.js";
import { c3aSides, cdvftSides, D } from "./shape_budgets.js";
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
 * p x p circulant blocks C to be fitted to a target, cut to its shape, and which number of C each entry is.
 * @param {Entries} target
 * @param {number} p
 */
function blocksFor({ rows, cols }, p) {
  const q1 = Math.ceil(rows / p),
    q2 = Math.ceil(cols / p),
    blocks = new BlockCirculant(new Float64Array(q1 * q2 * p), q1, q2, p, rows, cols),
    places = new Int32Array(rows * cols);
  for (let i = 0; i < rows; i++) for (let j = 0; j < cols; j++) places[i * cols + j] = blocks.place(i, j);
  return { blocks, places };
}

/**
 * Make C nearest to the target's entries between the diagonals a and b: each number of C is the best multiple of its wrapped
 * diagonal.
 * @param {Float32Array | Float64Array} c the numbers of C, which are changed
 * @param {Int32Array} places which of them each entry is
 * @param {Float64Array} wanted entries, row by row
 * @param {Float64Array} a
 * @param {Float64Array} b
 */
function fitBetween(c, places, wanted, a, b) {
  const squares = new Float64Array(c.length);
  c.fill(0);
  for (let i = 0, at = 0; i < a.length; i++)
    for (let j = 0; j < b.length; j++, at++) {
      const weight = a[i] * b[j];
      c[places[at]] += wanted[at] * weight;
      squares[places[at]] += weight * weight;
    }
  squares.forEach((sum, place) => {
    if (sum) c[place] /= sum;
  });
}

/** @param {number} n */
const ones = (n) => new Float64Array(n).fill(1);

/**
 * The nearest circulant blocks of p x p.
 * @param {Entries} target
 * @param {number} p
 */
export function nearestBlocks(target, p) {
  const { blocks, places } = blocksFor(target, p);
  fitBetween(blocks.c, places, entriesOf(target), ones(target.rows), ones(target.cols));
  return blocks;
}

/**
 * Scale the diagonals a and b so that a C b is nearest to the target's entries, first a, row by row, then b.
 * @param {Float32Array | Float64Array} c the numbers of C
 * @param {Int32Array} places which of them each entry is
 * @param {Float64Array} wanted entries, row by row
 * @param {Float64Array} a which is changed
 * @param {Float64Array} b which is changed
 */
function scaleBetween(c, places, wanted, a, b) {
  const held = new Float64Array(b.length),
    squares = new Float64Array(b.length);
  for (let i = 0, at = 0; i < a.length; i++) {
    const begin = at;
    let ofRow = 0,
      square = 0;
    for (let j = 0; j < b.length; j++, at++) {
      const value = c[places[at]] * b[j];
      ofRow += wanted[at] * value;
      square += value * value;
    }
    a[i] = square ? ofRow / square : 0;
    for (let j = 0; j < b.length; j++) {
      const value = c[places[begin + j]] * a[i];
      held[j] += wanted[begin + j] * value;
      squares[j] += value * value;
    }
  }
  for (let j = 0; j < b.length; j++) b[j] = squares[j] ? held[j] / squares[j] : 0;
}

/** @type {WeakMap<Entries, {a: Float64Array, b: Float64Array}>} a decomposition takes longer than a fit */
const rankOnes = new WeakMap();

/**
 * The nearest matrix of rank one, a b^T.
 * @param {Entries} target
 */
function nearestOfRankOne(target) {
  let known = rankOnes.get(target);
  if (!known) {
    const low = bestOfRank(target, 1).matrix,
      { i, j } = largest(low),
      most = low.entry(i, j);
    known = {
      a: Float64Array.from({ length: target.rows }, (_, row) => low.entry(row, j)),
      b: Float64Array.from({ length: target.cols }, (_, col) => low.entry(i, col) / most),
    };
    rankOnes.set(target, known);
  }
  return known;
}

/**
 * A good approximation diag(a) C diag(b), C of p x p circulant blocks, by alternating least squares from two starts: unit
 * diagonals, and those of the nearest matrix of rank one.
 * @param {Entries} target
 * @param {number} p
 */
export function scaledBlocks(target, p) {
  const low = nearestOfRankOne(target),
    wanted = entriesOf(target);
  const starts = [
    { a: ones(target.rows), b: ones(target.cols) },
    { a: low.a.slice(), b: low.b.slice() },
  ];
  const found = starts.map(({ a, b }) => {
    const { blocks, places } = blocksFor(target, p);
    for (let round = 0; round < ROUNDS; round++) {
      fitBetween(blocks.c, places, wanted, a, b);
      scaleBetween(blocks.c, places, wanted, a, b);
    }
    fitBetween(blocks.c, places, wanted, a, b);
    return new CirculantDiagonal([b, a], [blocks]);
  });
  return nearest(target, found);
}

/**
 * The one that leaves least of the target.
 * @template {Matrix} One
 * @param {Entries} target
 * @param {One[]} found
 */
const nearest = (target, found) =>
  found.reduce((best, one) => (relativeError(target, one) < relativeError(target, best) ? one : best));

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
 * Circulant blocks whose rows and columns have scales of their own.
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
  low: { title: "Rank 2", matrix: ofRank(2, [86, 87]) },
  wave: { title: "One plane wave", matrix: planeWave() },
  random: { title: "Random", matrix: new Dense(Float32Array.from(normals(D * D, 85)), D, D) },
};

/**
 * B A with random numbers.
 * @param {number} r columns of B, rows of A
 * @param {[number, number]} seeds of B and of A
 */
export function ofRank(r, seeds) {
  const [b, a] = seeds.map((seed) => normals(D * r, seed)),
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
 * Fits of every method by its key, with blocks of the size that leaves least; `places(budget)` are FourierFT's waves, which
 * are drawn before any change is known.
 * @param {(budget: number) => number[]} places
 * @returns {Record<string, (target: Matrix, budget: number) => Matrix>}
 */
export const fitsBy = (places) => ({
  cdvft: (target, budget) =>
    nearest(
      target,
      cdvftSides(budget).map((p) => scaledBlocks(target, p)),
    ),
  lora: (target, budget) => bestOfRank(target, Math.floor(budget / (2 * D))).matrix,
  fourierft: (target, budget) => nearestWaves(target, places(budget)),
  c3a: (target, budget) =>
    nearest(
      target,
      c3aSides(budget).map((b) => nearestBlocks(target, b)),
    ),
});
