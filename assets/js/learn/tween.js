// From one state to another in half a second, or at once for who prefers reduced motion.

export const prefersStill = () => matchMedia("(prefers-reduced-motion: reduce)").matches;

const SECONDS = 0.5;

/**
 * Call `draw` with 0 to 1, eased, once a frame; the last call has 1 exactly.
 * @param {(part: number) => void} draw
 */
export function tween(draw) {
  if (prefersStill()) {
    draw(1);
    return;
  }
  const start = performance.now();
  const step = (/** @type {number} */ now) => {
    const part = Math.min(1, Math.max(0, (now - start) / (1000 * SECONDS)));
    draw(part * part * (3 - 2 * part));
    if (part < 1) requestAnimationFrame(step);
  };
  requestAnimationFrame(step);
}
