// A curve's running average.

/**
 * Exponential moving average that starts unbiased.
 * @template {number | null} Value
 * @param {Value[]} values
 * @param {number} weight of what came before, 0..1
 * @returns {Value[]}
 */
export function smoothed(values, weight) {
  let sum = 0,
    norm = 0;
  return values.map((value) => {
    if (value === null) return value;
    sum = weight * sum + (1 - weight) * value;
    norm = weight * norm + (1 - weight);
    return /** @type {Value} */ (sum / norm);
  });
}
