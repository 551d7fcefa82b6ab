// From one state to another in half a second, or at once for who prefers reduced motion.

import { prefersStill } from "../shared/dom.js";

const SECONDS = 0.5;

/**
 * Call `draw` with 0 to 1, eased, once a frame; the last call has 1 exactly. Returns what takes the end at once.
 * @param {(part: number) => void} draw
 */
export function tween(draw) {
  let over = false;
  const end = () => {
    if (!over) {
      over = true;
      draw(1);
    }
  };
  if (prefersStill()) {
    end();
    return end;
  }
  const start = performance.now();
  const step = (/** @type {number} */ now) => {
    const part = Math.min(1, Math.max(0, (now - start) / (1000 * SECONDS)));
    if (over) return;
    if (part === 1) {
      end();
      return;
    }
    draw(part * part * (3 - 2 * part));
    requestAnimationFrame(step);
  };
  requestAnimationFrame(step);
  return end;
}

/**
 * Act on one after the other, one a frame, so that dragging stays smooth; where `act` gives false, it ends.
 * @template T
 * @param {T[]} all
 * @param {(one: T) => boolean} act
 */
export function oneAFrame(all, act) {
  const waiting = [...all];
  const step = () => {
    const next = waiting.shift();
    if (next !== undefined && act(next)) requestAnimationFrame(step);
  };
  requestAnimationFrame(step);
}
