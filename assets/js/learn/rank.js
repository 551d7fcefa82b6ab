// The rank machine: three vectors of 8 numbers and c's waves to drag, and what becomes of the matrix and its rank.

import { actButton, h, prefersStill, setText } from "../shared/dom.js";
import { short } from "../shared/format.js";
import { circulantEntry } from "../shared/circulant.js";
import { Heatmap } from "../shared/heatmap.js";
import { keptState } from "./kept_state.js";
import { D, matrixOf, measure, onlyWaves, unit, wavesLeft } from "./machine.js";
import { CAPTIONS, machineBars, NAMES, twoDigits } from "./machine_bars.js";
import { ABOUT, decoded, encoded, generic, ORDER } from "./machine_states.js";
import { numbers, panel, renderLesson, setSlider, signs, slider, stage } from "./parts.js";
import { afterwards, lessonOf, onPrediction } from "./revealing.js";
import { singularView } from "./singular_view.js";
import { gliding } from "./tween.js";

/** @import { Vectors } from "./machine.js" */
/** @import { Part } from "../shared/part.js" */

const FLIGHT = 450; // milliseconds
const COLORS = { a1: "var(--factor-input)", c: "var(--factor-circulant)", a3: "var(--factor-output)" };

/** @param {Part<null>} part */
export function mount({ element, life }) {
  const kept = keptState(element, "values"),
    vectors = decoded([0, 1, 2].map(kept.at)) ?? generic();
  const ones = () => new Float64Array(D).fill(1);
  const readout = numbers(element),
    counts = numbers(),
    formula = h("p", { class: "quiet entry-formula" }),
    singular = singularView();
  const picture = new Heatmap({
    label: "The matrix diag(a₃) circ(c) diag(a₁)",
    onmove: (place) => place && point(place),
  });

  const show = () => {
    const { rank, values, nonzero } = measure(vectors);
    picture.show(matrixOf(vectors), { limit: 2 });
    readout.set([[`${rank} of ${D}`, "rank"]]);
    counts.set([
      [
        `${nonzero.a1}, ${nonzero.waves}, ${nonzero.a3}`,
        `numbers of a₁, of FFT(c) and of a₃ that are not zero, of ${D} each`,
      ],
      [
        rank === D ? short(values[D - 1] / values[0]) : "0",
        "smallest singular value, as a share of the largest",
      ],
    ]);
    singular.show(values);
    point(picture.cursor ?? { i: 3, j: 1 });
  };
  const keep = () => kept.set(0, ...encoded(vectors));
  let whole = vectors.c.slice(); // the c of which the slider silences waves
  const left = slider({
    label: "values of FFT(c) to keep",
    min: 0,
    max: D,
    value: D,
    valueText: (many) => `${many} of ${D}`,
    oninput: (many) => {
      vectors.c.set(onlyWaves(whole, wavesLeft(many)));
      draw();
      show();
    },
    onchange: keep,
  });
  /** Let the slider begin anew, from the c that stands. */
  const begin = () => {
    whole = vectors.c.slice();
    setSlider(left, D);
  };
  const { bars, size, angle, draw, mark } = machineBars({
    vectors,
    onchange: show,
    onsettle: (name, k) => {
      if (name === undefined || name === "c") begin();
      keep();
      if (name !== undefined && k !== undefined) scale(name, k);
    },
  });

  /**
   * Let a number fly into the entries that it scales.
   * @param {keyof Vectors} name
   * @param {number} k
   */
  function scale(name, k) {
    const others = Array.from({ length: D }, (_, at) => at);
    /** @type {Record<keyof Vectors, (at: number) => {i: number, j: number}>} */
    const entries = {
      a1: (i) => ({ i, j: k }),
      c: (j) => ({ i: (j + k) % D, j }),
      a3: (j) => ({ i: k, j }),
    };
    fly(lessonOf(element), bars[name].tracks[k], picture, others.map(entries[name]), COLORS[name]);
  }

  /** @param {{i: number, j: number}} place */
  function point(place) {
    const { i, j } = place,
      k = (i - j + D) % D,
      entry = vectors.a3[i] * circulantEntry(vectors.c, i, j) * vectors.a1[j];
    mark(place);
    setText(
      formula,
      `The entry in row ${i}, column ${j}: ${NAMES.a3}[${i}] · c[${k}] · ${NAMES.a1}[${j}] = ` +
        `${twoDigits(vectors.a3[i])} · ${twoDigits(vectors.c[k])} · ${twoDigits(vectors.a1[j])} = ${twoDigits(entry)}`,
    );
  }

  const glide = gliding(element);
  /**
   * Move to other vectors.
   * @param {Partial<Vectors>} to
   */
  const go = (to) =>
    glide(
      ORDER.filter((name) => to[name]).map((name) => [vectors[name], to[name] ?? []]),
      (ended) => {
        draw();
        show();
        if (!ended) return;
        if (to.c) begin();
        keep();
      },
    );
  onPrediction(element, life, (key) => {
    const about = ABOUT[key]?.();
    if (!about) return;
    go(about);
    for (const name of ORDER) {
      const zero = about[name].indexOf(0);
      if (zero >= 0) scale(name, zero);
    }
  });
  /**
   * @param {string} text
   * @param {() => Partial<Vectors>} to
   */
  const preset = (text, to) => actButton(text, () => go(to()));

  const rest = afterwards(element, [
    h(
      "div",
      { class: "act-row presets" },
      preset("As at first", generic),
      preset("c all ones: rank 1", () => ({ c: ones() })),
      preset("Diagonals all ones", () => ({ a1: ones(), a3: ones() })),
      preset("One entry alone", () => ({ a1: unit(2), a3: unit(5) })),
    ),
    formula,
    counts.node,
    singular.node,
    h(
      "div",
      { class: "two spectrum" },
      panel("FFT(c): how much each wave is scaled. c is real, so k and 8 − k go together.", size.node).node,
      panel("… and by what angle the pairs are moved", angle.node).node,
    ),
    left,
  ]);
  renderLesson(
    element,
    h(
      "div",
      { class: "machine-vectors" },
      ORDER.map((name) => panel(CAPTIONS[name], bars[name].node).node),
    ),
    h("p", { class: "quiet machine-hint" }, "Drag a bar. Double click, or 0: zero."),
    stage(
      h(
        "div",
        { class: "machine-matrix" },
        panel("ΔW = diag(a₃) circ(c) diag(a₁)", picture.node).node,
        readout.node,
      ),
    ),
    signs(),
    rest,
  );
  show();
}

/**
 * Let a number of a vector fly to the entries of the matrix that it scales.
 * @param {HTMLElement} around in which it flies
 * @param {Element} bar
 * @param {Heatmap} picture
 * @param {{i: number, j: number}[]} entries
 * @param {string} color
 */
function fly(around, bar, picture, entries, color) {
  if (prefersStill()) return;
  const from = bar.getBoundingClientRect(),
    canvas = picture.canvas.getBoundingClientRect(),
    { x, y, unit } = picture.frame;
  for (const { i, j } of entries) {
    const left = canvas.left + x + j * unit,
      top = canvas.top + y + i * unit;
    const piece = h("span", { class: "flying", "aria-hidden": "true" });
    Object.assign(piece.style, {
      left: `${left}px`,
      top: `${top}px`,
      width: `${unit}px`,
      height: `${unit}px`,
      background: color,
    });
    around.append(piece);
    const begin = `translate(${from.left - left}px, ${from.top - top}px) scale(${from.width / unit}, ${from.height / unit})`;
    const flight = piece.animate(
      [
        { transform: begin, opacity: 0.9 },
        { transform: "none", opacity: 0.75, offset: 0.8 },
        { transform: "none", opacity: 0 },
      ],
      { duration: FLIGHT, easing: "ease-in-out" },
    );
    flight.finished.then(
      () => piece.remove(),
      () => piece.remove(),
    );
  }
}
