// Singular values of a small matrix, and what they say.

/** @import { Matrix } from "../shared/circulant.js" */

/**
 * Singular values in descending order, by one-sided Jacobi rotations (Hestenes, 1958): fine up to about 64 x 64.
 * @param {Pick<Matrix, "rows" | "cols" | "entry">} matrix
 */
export function singularValues(matrix) {
  const { rows, cols } = matrix;
  const columns = Array.from({ length: cols }, (_, j) =>
    Float64Array.from({ length: rows }, (_, i) => matrix.entry(i, j)),
  );
  for (let sweep = 0; sweep < 30; sweep++) {
    let turned = false;
    for (let p = 0; p < cols - 1; p++)
      for (let q = p + 1; q < cols; q++) {
        const a = columns[p],
          b = columns[q];
        let aa = 0,
          bb = 0,
          ab = 0;
        for (let i = 0; i < rows; i++) {
          aa += a[i] * a[i];
          bb += b[i] * b[i];
          ab += a[i] * b[i];
        }
        if (Math.abs(ab) <= 1e-14 * Math.sqrt(aa * bb) || ab === 0) continue;
        turned = true;
        const zeta = (bb - aa) / (2 * ab),
          t = (zeta < 0 ? -1 : 1) / (Math.abs(zeta) + Math.hypot(1, zeta));
        const c = 1 / Math.hypot(1, t),
          s = c * t;
        for (let i = 0; i < rows; i++) {
          const x = a[i];
          a[i] = c * x - s * b[i];
          b[i] = s * x + c * b[i];
        }
      }
    if (!turned) break;
  }
  return Float64Array.from(columns, (column) => Math.hypot(...column))
    .sort((x, y) => y - x)
    .slice(0, Math.min(rows, cols));
}

/**
 * How many singular values are not zero up to rounding.
 * @param {Float64Array} values
 */
export const rank = (values) => values.filter((value) => value > 1e-9 * values[0]).length;

/**
 * exp of the entropy of sigma / sum(sigma) (Roy and Vetterli, 2007): about how many directions carry weight.
 * @param {Float64Array} values
 */
export function effectiveRank(values) {
  const total = values.reduce((a, b) => a + b, 0);
  return total
    ? Math.exp(
        -values.reduce((sum, value) => sum + (value > 0 ? (value / total) * Math.log(value / total) : 0), 0),
      )
    : 0;
}
