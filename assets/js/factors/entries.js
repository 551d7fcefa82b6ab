// One entry of a matrix in words: its value, and the numbers it is made of.

import { short } from "../shared/format.js";
import { CirculantDiagonal } from "../shared/circulant.js";
import { symbol } from "./data.js";

/** @import { BlockCirculant } from "../shared/circulant.js" */
/** @import { LayerData } from "./data.js" */

/** @param {number} value */
const factor = (value) => short(value).replace(/.*×.*/, "($&)");

/**
 * ΔW[i, j] of a layer at snapshot t.
 * @param {LayerData} layer
 * @param {number} t
 * @param {number} i
 * @param {number} j
 */
export function explainUpdate(layer, t, i, j) {
  const value = layer.update(t).entry(i, j),
    start = `ΔW[${i}, ${j}]`;
  const update = layer.update(t);
  if (update instanceof CirculantDiagonal && update.m === 2) {
    const {
      alpha,
      diagonals: [before, after],
      circulants: [c],
    } = update;
    return (
      `${start} = α · ${symbol(2)}[${i}] · ${blockName(c, i, j)}[${c.within(i, j)}] · ${symbol(0)}[${j}] = ` +
      `${factor(alpha)} × ${factor(after[i])} × ${factor(c.entry(i, j))} × ${factor(before[j])} = ${short(value)}`
    );
  }
  /** @type {Record<string, string>} */
  const how = {
    cdvft: `, from the product of ${layer.order.length} factors`,
    lora: `, the sum of ${layer.vectors.A?.shape[0]} products B[${i}, k] · A[k, ${j}]`,
    fourierft: `, from ${layer.vectors.spectrum?.size} learned entries of its 2-D spectrum`,
    c3a: `, one learned number over ${layer.d_in}`,
  };
  return `${start} = ${short(value)}${how[layer.method] ?? ""}`;
}

/**
 * Which number of each vector goes into the entry (i, j): the column's of the first diagonal, the row's of the last,
 * and the one of the shown circulant. Of more than two diagonals every number between takes part: none is named.
 * @param {LayerData} layer
 * @param {number} number_ of the circulant that is shown
 * @param {number} i
 * @param {number} j
 * @returns {Record<string, number>}
 */
export function partsOfEntry(layer, number_, i, j) {
  const { order } = layer;
  if (!order.length) return {};
  const ends = { [order[0]]: j, [order[order.length - 1]]: i };
  return order.length > 3
    ? ends
    : { ...ends, [`circulant.${number_}`]: layer.circulant(number_, 0).place(i, j) };
}

/**
 * circ(c)[i, j].
 * @param {LayerData} layer
 * @param {number} number_
 * @param {number} t
 * @param {number} i
 * @param {number} j
 */
export function explainCirculant(layer, number_, t, i, j) {
  const c = layer.circulant(number_, t);
  return (
    `circ(${symbol(2 * number_ + 1)})[${i}, ${j}] = ${blockName(c, i, j, number_)}[(${i % c.p} − ${j % c.p}) mod ${c.p}] = ` +
    `${symbol(2 * number_ + 1)}[${c.within(i, j)}] = ${short(c.entry(i, j))}`
  );
}

/**
 * @param {BlockCirculant} c
 * @param {number} i
 * @param {number} j
 */
function blockName(c, i, j, place = 0) {
  const name = symbol(2 * place + 1);
  return c.q1 * c.q2 === 1 ? name : `${name} of block (${Math.floor(i / c.p)}, ${Math.floor(j / c.p)})`;
}
