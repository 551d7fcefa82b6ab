// The forward pass of one layer of CDVFT's or LoRA's, stage by stage, in float64. No drawing here.

import { count, subscript } from "../shared/format.js";
import { irfft, plus, rfft, times } from "../shared/fft.js";
import { CirculantDiagonal, denseTimes } from "../shared/circulant.js";
import { symbol } from "./data.js";
import { polar } from "./waves.js";

/** @import { Matrix } from "../shared/circulant.js" */
/** @import { Complex, Numbers } from "../shared/fft.js" */
/** @import { LayerData } from "./data.js" */
/** @import { Polar } from "./waves.js" */

/**
 * @param {Numbers} one
 * @param {Numbers} other
 */
const product = (one, other) => Float64Array.from(one, (value, k) => value * other[k]);
/**
 * @param {Float64Array[]} pieces
 * @param {number} length
 */
const join = (pieces, length) =>
  Float64Array.from(pieces.flatMap((piece) => Array.from(piece))).slice(0, length);

/** @typedef {{numbers?: Float64Array, spectrum?: Polar}} Signal one of the two */

/**
 * @typedef {object} Stage
 * @property {string} title
 * @property {string} formula
 * @property {string} text
 * @property {string} shape in words
 * @property {Float64Array} [numbers] either these,
 * @property {Polar} [spectrum] or this
 * @property {Signal} [input] what came in
 * @property {Signal & {title: string}} [factor] what it was multiplied by, number by number
 * @property {Float64Array} [before] of the last one: the same by the stages before
 * @property {number | null} [block] the length of a piece, where there are several
 * @property {boolean} [check] the last but one: `numbers` were found entry by entry
 * @property {boolean} [answer] the last one: what the whole model answers, which the server computes
 */

/**
 * Every stage of alpha dW x, the dense product last; `word` is what x belongs to, "token" or "patch".
 * @param {LayerData} layer
 * @param {number} t
 * @param {Numbers} x
 * @param {string} word
 */
export function stages(layer, t, x, word) {
  const matrix = layer.update(t);
  if (layer.method === "lora") return lowRankStages(layer, t, x, word);
  if (!(matrix instanceof CirculantDiagonal)) throw new Error(`${layer.method} has no circulants`);
  const { diagonals, circulants, alpha } = matrix,
    input = Float64Array.from(x),
    found = [given(x, word)];
  /** @param {Numbers} vector */
  const float64 = (vector) => Float64Array.from(vector);
  let y = product(diagonals[0], x);
  found.push({
    title: `${symbol(0)} ⊙ x`,
    formula: `y₁ = ${symbol(0)} ⊙ x`,
    text: "The input diagonal scales each number by its own.",
    numbers: y,
    input: { numbers: input },
    factor: { title: symbol(0), numbers: float64(diagonals[0]) },
    shape: `${count(y.length)} numbers`,
  });
  circulants.forEach((circulant, number) => {
    const { p, q1, q2 } = circulant,
      blocks = q1 * q2 > 1,
      c = symbol(2 * number + 1),
      a = symbol(2 * number + 2),
      previous = y;
    const pieces = circulant.pieces(previous),
      inputs = pieces.map(rfft),
      half = (p >> 1) + 1;
    if (q2 > 1)
      found.push({
        title: "cut",
        formula: `y = (y₁, …, y${subscript(q2)})`,
        text: `The ${count(previous.length)} numbers are cut into ${q2} pieces of ${count(p)}${q2 * p > previous.length ? ", the last filled up with zeros" : ""}.`,
        numbers: join(pieces, q2 * p),
        input: { numbers: previous },
        block: p,
        shape: `${q2} × ${count(p)} numbers`,
      });
    found.push({
      title: "FFT",
      formula: q2 > 1 ? "Yⱼ = FFT(yⱼ)" : "Y = FFT(y)",
      text: `The Fourier transform ${q2 > 1 ? "of each piece " : ""}takes the numbers to frequencies, in about p log₂ p steps in place of p², where p = ${count(p)}.`,
      spectrum: polar(inputs),
      input: { numbers: join(pieces, q2 * p) },
      shape: `${q2 > 1 ? `${q2} × ` : ""}${count(half)} complex numbers`,
    });
    const spectra = circulant.spectra();
    const products = Array.from({ length: q1 }, (_, i) =>
      plus(inputs.map((one, j) => times(spectra[i * q2 + j], one))),
    );
    found.push({
      title: `× FFT(${c})`,
      formula: blocks ? `Zᵢ = Σⱼ FFT(${c}ᵢⱼ) ⊙ Yⱼ` : `Z = FFT(${c}) ⊙ Y`,
      text: blocks
        ? `Each of the ${q1} × ${q2} blocks multiplies frequency by frequency, and the ${q2} products of a row of blocks are added: ${q1} ${q1 > 1 ? "spectra" : "spectrum"} instead of ${q1 * q2} small matrices.`
        : "In frequencies a circulant is a diagonal: one complex multiplication for each replaces the whole matrix.",
      spectrum: polar(products),
      input: { spectrum: polar(inputs) },
      factor: { title: `FFT(${c})`, spectrum: polar(spectra) },
      shape: `${q1 > 1 ? `${q1} × ` : ""}${count(half)} complex numbers`,
    });
    const back = join(
      products.map((one) => irfft(one, p)),
      circulant.rows,
    );
    found.push({
      title: "IFFT",
      formula: blocks ? "yᵢ = IFFT(Zᵢ)" : "y = IFFT(Z)",
      text: `Back to numbers: this is circ(${c}) y, and no matrix was built.${q1 > 1 ? ` The ${q1} pieces stand one under the other${q1 * p > circulant.rows ? ", cut to the layer's size" : ""}.` : ""}`,
      numbers: back,
      input: { spectrum: polar(products) },
      block: q1 > 1 ? p : null,
      shape: q1 > 1 ? `${q1} × ${count(p)} numbers` : `${count(p)} numbers`,
    });
    y = product(diagonals[number + 1], back);
    found.push({
      title: `${a} ⊙ y`,
      formula: `y = ${a} ⊙ y`,
      text:
        number === circulants.length - 1
          ? "The output diagonal scales each output."
          : "A diagonal in between, before the next circulant.",
      numbers: y,
      input: { numbers: back },
      factor: { title: a, numbers: float64(diagonals[number + 1]) },
      shape: `${count(y.length)} numbers`,
    });
  });
  const scaled = y.map((value) => value * alpha);
  found.push({
    title: "× α",
    formula: `α ΔW x, α = ${alpha}`,
    text: "The scale, and the layer adds this to W x.",
    numbers: scaled,
    input: { numbers: y },
    shape: `${count(scaled.length)} numbers`,
  });
  return [...found, ...last(matrix, x, scaled)];
}

/**
 * The stages of B A x.
 * @param {LayerData} layer
 * @param {number} t
 * @param {Numbers} x
 * @param {string} word
 */
function lowRankStages(layer, t, x, word) {
  const [a, b] = ["A", "B"].map((name) => layer.at(name, t)),
    [rank] = layer.vectors.A.shape,
    { scale, d_out } = layer;
  const inner = Float64Array.from({ length: rank }, (_, k) =>
    sum(x.length, (j) => a[k * x.length + j] * x[j]),
  );
  const changed = Float64Array.from(
    { length: d_out },
    (_, i) => scale * sum(rank, (k) => b[i * rank + k] * inner[k]),
  );
  return [
    given(x, word),
    {
      title: "A x",
      formula: "z = A x",
      text: `${rank} inner products: whatever x is, no more than these ${rank} numbers of it go on.`,
      numbers: inner,
      input: { numbers: Float64Array.from(x) },
      shape: `${rank} numbers`,
    },
    {
      title: "B z",
      formula: "y = B z",
      text: `The ${rank} columns of B, each as often as its number says. The layer adds this to W x.`,
      numbers: changed,
      input: { numbers: inner },
      shape: `${count(d_out)} numbers`,
    },
    ...last(layer.update(t), x, changed),
  ];
}

/**
 * @param {number} length
 * @param {(place: number) => number} term
 */
function sum(length, term) {
  let total = 0;
  for (let place = 0; place < length; place++) total += term(place);
  return total;
}

/**
 * The first stage.
 * @param {Numbers} x
 * @param {string} word
 * @returns {Stage}
 */
const given = (x, word) => ({
  title: "x",
  formula: "x",
  text: `What reaches this layer for the ${word}, from the pretrained model.`,
  numbers: Float64Array.from(x),
  shape: `${count(x.length)} numbers`,
});

/**
 * The last stages: the change that the stages before found, by the whole matrix, and the model's answer.
 * @param {Matrix} matrix
 * @param {Numbers} x
 * @param {Float64Array} before
 * @returns {Stage[]}
 */
function last(matrix, x, before) {
  /** @type {Float64Array | undefined} made when it is looked at */
  let dense;
  return [
    {
      title: "check",
      formula: "ΔW x, entry by entry",
      text: `The same by the whole ${matrix.rows} × ${matrix.cols} matrix: ${count(matrix.rows * matrix.cols)} multiplications.`,
      get numbers() {
        dense ??= denseTimes(matrix, x);
        return dense;
      },
      before,
      check: true,
      shape: `${count(matrix.rows)} numbers`,
    },
    {
      title: "answer",
      formula: "What the model answers",
      text: "This layer's sum goes on through the rest of the trained model, with those of all other layers.",
      shape: "",
      answer: true,
    },
  ];
}

/**
 * The largest difference between two vectors, and the largest size in the first.
 * @param {Float64Array} one
 * @param {Float64Array} other
 */
export function difference(one, other) {
  let error = 0,
    largest = 0;
  one.forEach((value, k) => {
    error = Math.max(error, Math.abs(value - other[k]));
    largest = Math.max(largest, Math.abs(value));
  });
  return { error, largest };
}
