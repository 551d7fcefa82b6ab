// A small layer of m diagonals and m - 1 circulants trained by gradient descent, and the watch that ends a run that goes
// wrong, as that of a race does.

import { normals } from "./random.js";

const D = 64;
export const STEPS = 200;
/** From the least loss that a rate of the lesson's reaches to where it has run away. */
export const LOSSES = { low: 1e-10, high: 1e8 };
const BATCH = 32;
/** As cdvft_app/training/callbacks.py has it: LossWatch. */
const WINDOW = 20,
  FACTOR = 3;

/**
 * Why a run with these losses is over, or null.
 * @param {number[]} losses
 */
export function goingWrong(losses) {
  const last = losses[losses.length - 1];
  if (!Number.isFinite(last)) return "the loss is no longer a number";
  if (losses.length < 3 * WINDOW) return null;
  const mean = (/** @type {number} */ from) =>
    losses.slice(from, from + WINDOW).reduce((sum, loss) => sum + loss, 0) / WINDOW;
  const first = mean(0),
    now = mean(losses.length - WINDOW);
  return now > FACTOR * first && now > mean(losses.length - 2 * WINDOW) ? "the loss keeps rising" : null;
}

/**
 * circ(c) x, or circ(c)^T x: for 64 numbers entry by entry is as fast as any other way.
 * @param {Float64Array} c
 * @param {Float64Array} x
 * @param {boolean} transposed
 */
function circulant(c, x, transposed = false) {
  const y = new Float64Array(D);
  for (let j = 0; j < D; j++) {
    const value = x[j];
    for (let i = 0; i < D; i++) y[i] += value * c[(transposed ? j - i + D : i - j + D) % D];
  }
  return y;
}

/**
 * What goes into each factor, and what comes out of the last: a diagonal, a circulant, a diagonal, and so on.
 * @param {Float64Array[]} vectors
 * @param {Float64Array} x
 */
function through(vectors, x) {
  const seen = [x];
  vectors.forEach((vector, place) => {
    const into = seen[place];
    seen.push(place % 2 ? circulant(vector, into) : into.map((value, k) => value * vector[k]));
  });
  return seen;
}

/**
 * The gradients of |out - wanted|^2 in each vector, added to `sums`; returns that square.
 * @param {Float64Array[]} vectors
 * @param {Float64Array} x
 * @param {Float64Array} wanted
 * @param {Float64Array[]} sums
 */
function learnFrom(vectors, x, wanted, sums) {
  const seen = through(vectors, x);
  let error = seen[vectors.length].map((value, k) => value - wanted[k]);
  const loss = error.reduce((sum, value) => sum + value * value, 0);
  for (let place = vectors.length - 1; place >= 0; place--) {
    const into = seen[place],
      sum = sums[place];
    if (place % 2) {
      const change = circulant(into, error, true); // of c: sum over i of error[i] into[i - k]
      for (let k = 0; k < D; k++) sum[k] += 2 * change[k];
      error = circulant(vectors[place], error, true);
    } else {
      for (let k = 0; k < D; k++) sum[k] += 2 * error[k] * into[k];
      error = error.map((value, k) => value * vectors[place][k]);
    }
  }
  return loss;
}

/**
 * A training that is made step by step, to imitate a layer of the same form from normal inputs. Its last diagonal starts at
 * zero, its others at ones; circulants are random. The loss is |dW x - target x|^2, averaged over a batch.
 * @param {{m: number, rate: number}} settings
 */
export function training({ m, rate }) {
  const scale = D ** -0.5,
    many = 2 * m - 1;
  const target = Array.from({ length: many }, (_, place) =>
    normals(D, 700 + place).map((value) => (place % 2 ? scale * value : 1 + 0.5 * value)),
  );
  const vectors = Array.from({ length: many }, (_, place) =>
    place % 2
      ? normals(D, 800 + place).map((value) => scale * value)
      : new Float64Array(D).fill(place === many - 1 ? 0 : 1),
  );
  /** @type {number[]} */
  const losses = [];
  /** @returns {boolean} whether it goes on */
  const step = () => {
    const sums = vectors.map(() => new Float64Array(D));
    let loss = 0;
    for (let sample = 0; sample < BATCH; sample++) {
      const x = normals(D, 1000 + BATCH * losses.length + sample);
      loss += learnFrom(vectors, x, through(target, x)[many], sums) / BATCH;
    }
    losses.push(loss);
    vectors.forEach((vector, place) => {
      for (let k = 0; k < D; k++) vector[k] -= (rate * sums[place][k]) / BATCH;
    });
    return losses.length < STEPS && goingWrong(losses) === null;
  };
  return { losses, step };
}
