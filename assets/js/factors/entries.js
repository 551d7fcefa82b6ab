// One entry of a matrix in words: its value, and the numbers it is made of.

import { short } from "../shared/format.js";
import { modulo } from "../shared/circulant.js";
import { symbol } from "./data.js";

const factor = (value) => short(value).replace(/.*×.*/, "($&)");

/** ΔW[i, j] of a layer at snapshot t. */
export function explainUpdate(layer, t, i, j) {
  const value = layer.update(t).entry(i, j),
    start = `ΔW[${i}, ${j}]`;
  if (layer.method === "cdvft" && layer.order.length === 3) {
    const {
        alpha,
        diagonals: [before, after],
        circulants: [c],
      } = layer.update(t),
      k = modulo((i % c.p) - (j % c.p), c.p);
    return (
      `${start} = α · ${symbol(2)}[${i}] · ${blockName(c, i, j)}[${k}] · ${symbol(0)}[${j}] = ` +
      `${factor(alpha)} × ${factor(after[i])} × ${factor(c.entry(i, j))} × ${factor(before[j])} = ${short(value)}`
    );
  }
  const how = {
    cdvft: `, from the product of ${layer.order.length} factors`,
    lora: `, the sum of ${layer.vectors.A?.shape[0]} products B[${i}, k] · A[k, ${j}]`,
    fourierft: `, from ${layer.vectors.spectrum?.size} learned entries of its 2-D spectrum`,
    c3a: `, one learned number over ${layer.d_in}`,
  }[layer.method];
  return `${start} = ${short(value)}${how}`;
}

/** circ(c)[i, j]. */
export function explainCirculant(layer, number_, t, i, j) {
  const c = layer.circulant(number_, t),
    k = modulo((i % c.p) - (j % c.p), c.p);
  return (
    `circ(${symbol(2 * number_ + 1)})[${i}, ${j}] = ${blockName(c, i, j, number_)}[(${i % c.p} − ${j % c.p}) mod ${c.p}] = ` +
    `${symbol(2 * number_ + 1)}[${k}] = ${short(c.entry(i, j))}`
  );
}

function blockName(c, i, j, place = 0) {
  const name = symbol(2 * place + 1);
  return c.q1 * c.q2 === 1 ? name : `${name} of block (${Math.floor(i / c.p)}, ${Math.floor(j / c.p)})`;
}
