// Which entries of a matrix, or rows of a table, are looked at, where all would be too many.

/**
 * Every n-th of so many entries.
 * @param {number} n
 * @param {number} first
 * @param {number} count
 */
export function every(n, first, count) {
  const found = new Int32Array(Math.ceil(count / n - 1e-9));
  for (let k = 0; k < found.length; k++) found[k] = first + Math.floor(k * n);
  return found;
}

/**
 * Every n-th of these rows, and the last.
 * @template Row
 * @param {Row[]} rows
 * @param {number} n
 */
export const everyAndLast = (rows, n) => rows.filter((_, at) => at % n === 0 || at === rows.length - 1);
