// Pseudo-random numbers with a seed, the same on every visit.

/**
 * A function that gives uniform numbers in [0, 1): mulberry32.
 * @param {number} seed
 */
export function uniform(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}

/**
 * n standard normal numbers (Box and Muller).
 * @param {number} n
 * @param {number} seed
 */
export function normals(n, seed) {
  const next = uniform(seed);
  return Float64Array.from(
    { length: n },
    () => Math.sqrt(-2 * Math.log(1 - next())) * Math.cos(2 * Math.PI * next()),
  );
}
