// One column becomes a matrix: it slides right, a place down at each step, and leaves itself behind. Its numbers are
// dragged, and the matrix and its product with x follow.

import { actButton, h, isShortcut, prefersStill, setText } from "../shared/dom.js";
import { tell } from "../shared/events.js";
import { circulantTimes } from "../shared/circulant.js";
import { CanvasView } from "../shared/canvas_view.js";
import { at, ramp } from "../shared/colors.js";
import { whenFirstInView } from "../shared/shown.js";
import { keptState } from "./kept_state.js";
import { D, unit } from "./machine.js";
import { twoDigits } from "./machine_bars.js";
import { fromHundredths, hundredths } from "./machine_states.js";
import { renderLesson, signs, stage } from "./parts.js";
import { afterwards, onPrediction, whenRevealed } from "./revealing.js";
import { gliding } from "./tween.js";
import { vectorBars } from "./vector_bars.js";

/** @import { Part } from "../shared/part.js" */

const LAST = D - 1;
const X = [0.3, 0.9, 1, 0.5, -0.2, -0.8, -0.6, 0.1];
const FIRST = [1, 0.7, 0.3, 0, -0.3, -0.7, -0.4, 0.2];
const SHIFT = 2; // places that the task asks for
const MOVED = X.map((_, i) => X[(i - SHIFT + D) % D]);
const SECONDS_A_COLUMN = 0.55;
// In cells: the picture's width, where y stands in it, and what lies above the matrix.
const WIDE = 11.4,
  RIGHT = 8.4,
  TOP = 1.7;
const MAX_Y = 3; // what fills half of y's room

/** @param {ArrayLike<number>} c */
const isShift = (c) => unit(SHIFT).every((value, k) => Math.abs(c[k] - value) < 1e-9);

class Assembly extends CanvasView {
  /** @type {Float64Array} */
  c = new Float64Array(D);
  column = 0; // where the sliding one is, 0 ... 7
  /** @type {number | null} the number of c whose places are framed */
  marked = null;
  wanted = true; // whether the product that is asked for is drawn
  ramp = new Uint32Array(1);

  /** @param {(cell: number) => void} onfit */
  constructor(onfit) {
    super({
      label: "The column that slides",
      height: (width) => (width / WIDE) * (D + TOP) + 1,
    });
    this.onfit = onfit;
    this.node.classList.add("assembly-picture");
  }

  get cell() {
    return this.width / WIDE;
  }

  fit() {
    super.fit();
    this.onfit(this.cell);
  }

  recolor() {
    super.recolor();
    this.ramp = ramp(this.node, "diverging");
  }

  /** @param {CanvasRenderingContext2D} context */
  draw(context) {
    const { cell, column, c } = this,
      top = TOP * cell;
    this.font(context, 13);
    context.textBaseline = "middle";
    context.textAlign = "left";
    const line = 15; // pixels between the two names, which stand close on a phone
    context.fillText("x", D * cell + 6, Math.min((TOP / 2) * cell, top - 9 - line));
    context.textAlign = "right";
    context.fillText("circ(c) x", this.width, top - 9);
    X.forEach((value, j) => {
      context.globalAlpha = j <= column ? 1 : 0.35;
      this.#bar(context, (j + 0.2) * cell, (TOP / 2) * cell, 0.6 * cell, -0.7 * cell * value, value);
    });
    context.globalAlpha = 1;
    context.fillStyle = this.color("var(--wash)");
    context.fillRect(0, top, D * cell, D * cell);
    for (let j = 0; j <= Math.floor(column); j++)
      for (let k = 0; k < D; k++) this.#entry(context, j, (j + k) % D, c[k]);
    if (column % 1) this.#sliding(context);
    context.strokeStyle = this.color("var(--rule)");
    context.strokeRect(0.5, top + 0.5, D * cell - 1, D * cell - 1);
    const y = circulantTimes(c, X),
      middle = (RIGHT + 1.5) * cell,
      scale = (1.45 * cell) / MAX_Y;
    if (column < LAST) return;
    for (let i = 0; i < D; i++) {
      const long = Math.sign(y[i]) * Math.min(MAX_Y, Math.abs(y[i])) * scale;
      this.#bar(context, middle, top + (i + 0.2) * cell, long, 0.6 * cell, y[i]);
      if (!this.wanted) continue;
      context.strokeStyle = this.color("var(--ink)");
      context.setLineDash([3, 3]);
      context.strokeRect(middle, top + (i + 0.12) * cell, scale * MOVED[i], 0.76 * cell);
      context.setLineDash([]);
    }
  }

  /** The sliding column between two places: what leaves it below comes in above. */
  #sliding(/** @type {CanvasRenderingContext2D} */ context) {
    const { cell, column } = this,
      top = TOP * cell;
    context.save();
    context.beginPath();
    context.rect(0, top, D * cell, D * cell);
    context.clip();
    this.c.forEach((value, k) => {
      const row = (k + column) % D;
      this.#entry(context, column, row, value);
      if (row > LAST) this.#entry(context, column, row - D, value);
    });
    context.restore();
    context.strokeStyle = this.color("var(--ink)");
    context.lineWidth = 2;
    context.strokeRect(column * cell + 1, top + 1, cell - 2, D * cell - 2);
    context.lineWidth = 1;
  }

  /**
   * @param {CanvasRenderingContext2D} context
   * @param {number} column
   * @param {number} row
   * @param {number} value
   */
  #entry(context, column, row, value) {
    const { cell } = this;
    context.fillStyle = at(this.ramp, 0.5 + value / 2);
    context.fillRect(column * cell, (TOP + row) * cell, cell + 0.5, cell + 0.5);
  }

  /**
   * @param {CanvasRenderingContext2D} context
   * @param {number} x
   * @param {number} y
   * @param {number} width
   * @param {number} height
   * @param {number} value
   */
  #bar(context, x, y, width, height, value) {
    context.fillStyle = this.color(value < 0 ? "var(--negative)" : "var(--positive)");
    context.fillRect(x, y, width, height);
  }

  /** @param {CanvasRenderingContext2D} context */
  drawOver(context) {
    const { cell, marked } = this;
    if (marked === null) return;
    context.strokeStyle = this.color("var(--ink)");
    context.lineWidth = 1.5;
    for (let j = 0; j <= Math.floor(this.column); j++)
      context.strokeRect(
        j * cell + 1,
        (TOP + ((marked + j) % D)) * cell + 1,
        Math.max(1, cell - 2),
        Math.max(1, cell - 2),
      );
  }
}

/** @param {Part<null>} part */
export function mount({ element, life }) {
  const kept = keptState(element, "values");
  const given = fromHundredths(kept.at(0), D, 1),
    c = Float64Array.from(given ?? FIRST);
  const picture = new Assembly((cell) => frame.style.setProperty("--cell", `${cell}px`));
  const said = h("p", { class: "hidden-text", role: "status" });

  const show = () => {
    picture.c = c;
    picture.redraw();
    setText(said, `circ(c) x is ${Array.from(circulantTimes(c, X), twoDigits).join(", ")}`);
    if (isShift(c)) tell("task-reached", "circulant-shift");
  };
  const keep = () => kept.set(0, hundredths(c));
  const bars = vectorBars({
    values: c,
    label: "c, the column",
    bars: Array.from({ length: D }, (_, k) => ({ name: `c[${k}]`, label: `c ${k}`, low: -1, high: 1 })),
    text: twoDigits,
    onchange: show,
    onsettle: keep,
    onpoint: (k) => {
      picture.marked = k;
      bars.mark(k);
      picture.redrawOver();
    },
  });

  /** @param {number} column */
  const slideTo = (column) => {
    picture.column = Math.min(LAST, Math.max(0, column));
    node.setAttribute("aria-valuenow", String(Math.floor(picture.column) + 1));
    picture.redraw();
  };
  let playing = 0; // which play goes on; 0: none
  const play = () => {
    if (prefersStill()) return slideTo(LAST);
    const begun = performance.now(),
      mine = (playing = begun);
    const step = (/** @type {number} */ now) => {
      if (playing !== mine || !node.isConnected) return;
      const passed = Math.max(0, now - begun) / 1000 / SECONDS_A_COLUMN,
        part = Math.min(1, 1.4 * (passed % 1)); // it rests a little at each place
      slideTo(Math.floor(passed) + part * part * (3 - 2 * part));
      if (passed < LAST) requestAnimationFrame(step);
      else playing = 0;
    };
    requestAnimationFrame(step);
  };

  const { node } = picture;
  node.setAttribute("role", "slider");
  node.setAttribute("aria-valuemin", "1");
  node.setAttribute("aria-valuemax", String(D));
  const drag = (/** @type {PointerEvent} */ event) => {
    playing = 0;
    slideTo((event.clientX - node.getBoundingClientRect().left) / picture.cell - 0.5);
  };
  node.addEventListener("pointerdown", (event) => {
    if (event.button) return;
    node.setPointerCapture(event.pointerId);
    drag(event);
  });
  node.addEventListener("pointermove", (event) => node.hasPointerCapture(event.pointerId) && drag(event));
  node.addEventListener("pointerup", () => slideTo(Math.round(picture.column)));
  node.addEventListener("keydown", (event) => {
    /** @type {Record<string, number | undefined>} */
    const places = { ArrowRight: 1, ArrowLeft: -1, Home: -D, End: D };
    const by = places[event.key];
    if (by === undefined || isShortcut(event)) return;
    playing = 0;
    slideTo(Math.round(picture.column) + by);
    event.preventDefault();
  });

  const glide = gliding(element);
  const go = (/** @type {ArrayLike<number>} */ to) =>
    glide([[c, to]], (ended) => {
      bars.draw();
      show();
      if (ended) keep();
    });
  onPrediction(element, life, (key) => {
    if (key === "circulant-shift") go(unit(SHIFT));
    if (key !== "circulant-entry") return;
    picture.marked = 3;
    bars.mark(3);
    go(c.map((value, k) => (k === 3 ? (value > 0 ? -1 : 1) : value)));
  });
  const goal = h("b", {}, h("span", { class: "dashed" }), "goal");
  whenRevealed(element, () => {
    goal.hidden = true;
    picture.wanted = false;
    picture.redraw();
  });

  /**
   * @param {string} text
   * @param {ArrayLike<number>} to
   */
  const preset = (text, to) => actButton(text, () => go(to));
  const frame = h("div", { class: "assembly" }, bars.node, node);
  renderLesson(
    element,
    stage(frame),
    signs(goal),
    said,
    h("div", { class: "act-row presets" }, actButton("Slide again", play)),
    afterwards(element, [
      h(
        "div",
        { class: "act-row presets" },
        preset("As at first", FIRST),
        preset("Zero", new Float64Array(D)),
        preset("c = (1, 0, …, 0)", unit(0)),
        preset("All ones", new Float64Array(D).fill(1)),
      ),
    ]),
  );
  if (given) slideTo(LAST);
  else whenFirstInView(node, play);
  show();
}
