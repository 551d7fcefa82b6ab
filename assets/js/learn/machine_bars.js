// The rank machine's numbers as bars: a1, c and a3, and c's waves, which follow c and which c follows.

import { short } from "../shared/format.js";
import { D, fromWaves, HALF, members, waves } from "./machine.js";
import { LIMIT, ORDER } from "./machine_states.js";
import { vectorBars } from "./vector_bars.js";

/** @import { Vectors } from "./machine.js" */

export const NAMES = { a1: "a₁", c: "c", a3: "a₃" };
export const CAPTIONS = {
  a1: "a₁ scales columns",
  c: "c fills diagonals",
  a3: "a₃ scales rows",
};
export const WAVES = ["constant", "1 turn", "2 turns", "3 turns", "alternating"];

/** @param {number} value */
export const twoDigits = (value) => short(Math.round(100 * value) / 100);

/** @param {number} k */
const places = (k) => (members(k) === 1 ? `${k}` : `${k}, ${D - k}`);

/**
 * Bars that change `vectors` in place; `onchange()` follows every change, `onsettle(name, k)` the end of a drag, with the
 * number of a1, c or a3 that was dragged. `draw()` shows vectors that were changed elsewhere; `mark(place)` frames the numbers of an entry.
 * @param {{vectors: Vectors, onchange: () => void, onsettle: (name?: keyof Vectors, k?: number) => void}} options
 */
export function machineBars({ vectors, onchange, onsettle }) {
  const spectrum = waves(vectors.c);

  /** @param {keyof Vectors} name */
  const barsOf = (name) => {
    let last = 0;
    return vectorBars({
      values: vectors[name],
      label: CAPTIONS[name],
      bars: Array.from({ length: D }, (_, k) => ({
        name: `${NAMES[name]}[${k}]`,
        label: `${NAMES[name]} ${k}`,
        low: -LIMIT,
        high: LIMIT,
      })),
      text: twoDigits,
      onchange: (k) => {
        last = k;
        if (name === "c") followC();
        onchange();
      },
      onsettle: () => onsettle(name, last),
    });
  };
  const bars = { a1: barsOf("a1"), c: barsOf("c"), a3: barsOf("a3") };
  const followWaves = () => {
    vectors.c.set(fromWaves(spectrum));
    bars.c.draw();
    onchange();
  };
  const size = vectorBars({
    values: spectrum.size,
    label: "FFT(c): how much each wave is scaled",
    bars: WAVES.map((name, k) => ({
      name: places(k),
      label: `FFT(c), ${name}, ${members(k) === 1 ? "one value" : "a pair"}`,
      low: members(k) === 1 ? -D : 0,
      high: D,
    })),
    text: twoDigits,
    onchange: followWaves,
    onsettle: () => onsettle(),
  });
  const angle = vectorBars({
    values: spectrum.angle.subarray(1, HALF - 1),
    label: "FFT(c): by how many degrees each pair is moved",
    bars: Array.from({ length: HALF - 2 }, (_, at) => ({
      name: places(at + 1),
      label: `Angle of the pair ${places(at + 1)}`,
      low: -180,
      high: 180,
    })),
    text: (value) => `${twoDigits(Math.round(value))}°`,
    onchange: followWaves,
    onsettle: () => onsettle(),
  });
  function followC() {
    const now = waves(vectors.c);
    spectrum.size.set(now.size);
    spectrum.angle.set(now.angle);
    size.draw();
    angle.draw();
  }
  const draw = () => {
    ORDER.forEach((name) => bars[name].draw());
    followC();
  };
  const mark = (/** @type {{i: number, j: number} | null} */ place) => {
    bars.a1.mark(place && place.j);
    bars.c.mark(place && (place.i - place.j + D) % D);
    bars.a3.mark(place && place.i);
  };
  return { bars, size, angle, draw, mark };
}
