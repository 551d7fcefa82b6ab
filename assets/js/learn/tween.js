// From one state to another in half a second, or at once for who prefers reduced motion.

import { prefersStill } from "../shared/dom.js";

const SECONDS = 0.5;

/**
 * Call `draw` with 0 to 1, eased, once a frame; the last call has 1 exactly. Returns what takes the end at once.
 * @param {(part: number) => void} draw
 */
function tween(draw) {
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
 * Move vectors to other numbers, in place; `drawn(ended)` follows each frame. A press or a key in `node`, and a next
 * move, take the end of one that goes on.
 * @param {HTMLElement} node
 */
export function gliding(node) {
  let arrive = () => {};
  // Before it is acted on, or the move would undo it.
  for (const act of ["pointerdown", "keydown"]) node.addEventListener(act, () => arrive(), true);
  return (
    /** @type {[vector: Float64Array, to: ArrayLike<number>][]} */ moves,
    /** @type {(ended: boolean) => void} */ drawn,
  ) => {
    arrive();
    const starts = moves.map(([vector]) => vector.slice());
    arrive = tween((part) => {
      moves.forEach(([vector, to], at) =>
        vector.set(starts[at].map((from, k) => (part < 1 ? from + part * (to[k] - from) : to[k]))),
      );
      drawn(part === 1);
    });
  };
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
