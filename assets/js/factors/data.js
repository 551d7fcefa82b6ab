// One layer of one run over its snapshots, as the server sent it, and the matrices that follow. No drawing here.

import { BlockCirculant, CirculantDiagonal, Dense } from "../shared/circulant.js";
import { subscript } from "../shared/format.js";
import { Piecewise } from "../shared/piecewise.js";
import { every } from "../shared/sampling.js";
import { blockKernel, lowRank, sparseSpectrum } from "./updates.js";

/** @import { Matrix } from "../shared/circulant.js" */
/** @import { Layer, KeptVectors, OpenedRun } from "../payloads.js" */

const KEPT = 8; // matrices that are built entry by entry (LoRA, FourierFT) and may be looked at again

/** @param {string} base64 */
function bytes(base64) {
  const text = atob(base64),
    found = new Uint8Array(text.length);
  for (let at = 0; at < text.length; at++) found[at] = text.charCodeAt(at);
  return found.buffer;
}

/** @param {string} base64 of float32 */
export const decode = (base64) => new Float32Array(bytes(base64));

/** @typedef {CirculantDiagonal | Dense | BlockCirculant} Update */
/** @typedef {{shape: number[], size: number, stack: Float32Array | Int32Array}} Stack a vector at all snapshots */

/**
 * The index of the number that is nearest to a value.
 * @param {number[]} numbers
 * @param {number} value
 */
export const nearestIndex = (numbers, value) =>
  numbers.reduce((best, one, at) => (Math.abs(one - value) < Math.abs(numbers[best] - value) ? at : best), 0);

/**
 * @param {ArrayLike<number>} one
 * @param {ArrayLike<number>} other
 * @param {number} part of the way from one to the other
 */
function blend(one, other, part) {
  const found = new Float32Array(one.length);
  for (let k = 0; k < found.length; k++) found[k] = one[k] + part * (other[k] - one[k]);
  return found;
}

/**
 * All entries of a matrix, row by row.
 * @param {Update} matrix
 */
function entries(matrix) {
  if (matrix instanceof CirculantDiagonal) return matrix.dense().values;
  if (matrix instanceof Dense) return matrix.values;
  const out = new Float32Array(matrix.rows * matrix.cols);
  matrix.sample(every(1, 0, matrix.rows), every(1, 0, matrix.cols), out);
  return out;
}

export class LayerData {
  /**
   * `answer` is the server's `layer`; `facts` the layer's own of `open`.
   * @param {KeptVectors} answer
   * @param {Layer} facts
   * @param {OpenedRun} run
   */
  constructor(answer, facts, run) {
    this.module = facts.module;
    this.depth = facts.depth;
    this.kind = facts.kind;
    this.d_out = facts.d_out;
    this.d_in = facts.d_in;
    this.scale = facts.scale;
    this.run = run;
    this.method = run.method;
    this.steps = answer.steps;
    this.bytes = answer.bytes;
    this.parameters = answer.trained;
    /** @type {Record<string, Stack>} */
    this.vectors = Object.fromEntries(
      Object.entries(answer.vectors).map(([name, { shape, type, data }]) => [
        name,
        {
          shape,
          size: shape.reduce((product, side) => product * side, 1),
          stack: type === "int32" ? new Int32Array(bytes(data)) : decode(data),
        },
      ]),
    );
    /** @type {Map<number, Piecewise<Update>>} */
    this.built = new Map();
  }

  /**
   * The vector's numbers at the snapshot t; between two snapshots on the line from one to the other.
   * @param {string} name
   * @param {number} t
   */
  at(name, t) {
    const { stack, size } = this.vectors[name],
      place = Math.min(t, stack.length / size - 1),
      before = Math.floor(place);
    const now = stack.subarray(before * size, (before + 1) * size);
    if (place === before) return now;
    return blend(now, stack.subarray((before + 1) * size, (before + 2) * size), place - before);
  }

  /**
   * As `at`, of a vector that holds no indices.
   * @param {string} name
   * @param {number} t
   */
  floats(name, t) {
    return /** @type {Float32Array} */ (this.at(name, t));
  }

  /** Names of CDVFT's vectors in the order in which they apply to the input: diagonal.0, circulant.0, diagonal.1, ... */
  get order() {
    if (this.method !== "cdvft") return [];
    const m = Object.keys(this.vectors).filter((name) => name.startsWith("diagonal.")).length;
    return Array.from(
      { length: 2 * m - 1 },
      (_, place) => `${place % 2 ? "circulant" : "diagonal"}.${place >> 1}`,
    );
  }

  /**
   * The circulant of that number at t, blocks and all.
   * @param {number} number
   * @param {number} t
   */
  circulant(number, t) {
    const [q1, q2, p] = this.vectors[`circulant.${number}`].shape;
    return new BlockCirculant(
      this.floats(`circulant.${number}`, t),
      q1,
      q2,
      p,
      this.d_out,
      number === 0 ? this.d_in : this.d_out,
    );
  }

  /**
   * The layer's weight update at t.
   * @param {number} t
   * @returns {Update}
   */
  update(t) {
    return Number.isInteger(t) ? this.#building(t).result : this.#between(t);
  }

  /**
   * Build what `update(t)` takes until that moment; whether it takes no time any more.
   * @param {number} t
   * @param {number} deadline as `performance.now()` has it
   */
  ready(t, deadline) {
    if (this.order.length === 3) return true;
    return [Math.floor(t), Math.ceil(t)].every((at) => {
      const matrix = this.#building(at);
      if (!matrix.until(deadline)) return false;
      return matrix.result instanceof CirculantDiagonal ? matrix.result.ready(deadline) : true;
    });
  }

  /** @param {number} t a snapshot */
  #building(t) {
    let matrix = this.built.get(t);
    if (!matrix) {
      matrix = new Piecewise(this.#build(t));
      this.built.set(t, matrix);
      for (const [oldest] of this.built) if (this.built.size > KEPT) this.built.delete(oldest);
    }
    return matrix;
  }

  /**
   * Of what is rebuilt in no time the update of the vectors between two snapshots, else between both updates.
   * @param {number} t
   * @returns {Update}
   */
  #between(t) {
    if (this.order.length === 3) return new Piecewise(this.#build(t)).result;
    const [before, after] = [Math.floor(t), Math.ceil(t)].map((at) => entries(this.update(at)));
    return new Dense(blend(before, after, t - Math.floor(t)), this.d_out, this.d_in);
  }

  /**
   * @param {number} t
   * @returns {Generator<void, Update>}
   */
  *#build(t) {
    const { method, d_out, d_in, scale } = this;
    if (this.vectors.update) return new Dense(this.floats("update", t), d_out, d_in); // as the server computed it
    if (method === "cdvft") {
      const order = this.order;
      return new CirculantDiagonal(
        order.filter((name) => name.startsWith("d")).map((name) => this.floats(name, t)),
        order.filter((name) => name.startsWith("c")).map((_, number) => this.circulant(number, t)),
        scale,
      );
    }
    if (method === "lora")
      return yield* lowRank(this.at("A", t), this.at("B", t), d_out, d_in, this.vectors.A.shape[0], scale);
    if (method === "c3a")
      return blockKernel(this.floats("kernel", t), this.vectors.kernel.shape[2], d_out, d_in, scale);
    return yield* sparseSpectrum(this.at("spectrum", t), this.at("indices", t), d_out, d_in, scale);
  }

  /** Side of the blocks of a matrix that has any, else null. */
  get block() {
    const vector = this.vectors["circulant.0"] ?? this.vectors.kernel;
    return vector && vector.shape[0] * vector.shape[1] > 1 ? vector.shape[2] : null;
  }

  /**
   * The training step at t, which may lie between two snapshots.
   * @param {number} t
   */
  stepAt(t) {
    const before = this.steps[Math.floor(t)],
      after = this.steps[Math.ceil(t)];
    return Math.round(before + (t - Math.floor(t)) * (after - before));
  }

  /**
   * The snapshot nearest to a step.
   * @param {number} step
   */
  nearest(step) {
    return nearestIndex(this.steps, step);
  }
}

/**
 * Root mean square and largest size of a matrix's entries; of every n-th where there are very many.
 * @param {Matrix} matrix
 */
export function sizeOf(matrix, most = 512) {
  /** @param {number} n */
  const some = (n) => every(Math.max(1, Math.ceil(n / most)), 0, n);
  const is = some(matrix.rows),
    js = some(matrix.cols),
    out = new Float32Array(is.length * js.length);
  matrix.sample(is, js, out);
  let squares = 0,
    largest = 0;
  for (const value of out) {
    squares += value * value;
    largest = Math.max(largest, Math.abs(value));
  }
  return { rms: Math.sqrt(squares / out.length), largest };
}

/**
 * The colour scale's end: three times the root mean square, or the largest entry where that is less.
 * @param {Matrix} matrix
 */
export const colorLimit = (matrix, most = 512) => {
  const { rms, largest } = sizeOf(matrix, most);
  return Math.min(largest, 3 * rms);
};

/**
 * Names as the page writes them: a₁, c₂, a₃, ... in the order in which the vectors apply to the input.
 * @param {number} place
 */
export const symbol = (place) => `${place % 2 ? "c" : "a"}${subscript(place + 1)}`;
