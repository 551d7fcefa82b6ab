// A curve's running average.

/** Exponential moving average that starts unbiased. */
export function smoothed(values, weight) {
  let sum = 0,
    norm = 0;
  return values.map((value) => {
    if (value === null) return null;
    sum = weight * sum + (1 - weight) * value;
    norm = weight * norm + (1 - weight);
    return sum / norm;
  });
}
