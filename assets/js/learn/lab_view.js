// The lab's results: error against parameters, and heatmaps of the residuals.

import { dashes, find, h, legend, setText } from "../shared/dom.js";
import { heard } from "../shared/events.js";
import { count, percent, unbroken } from "../shared/format.js";
import { Dense } from "../shared/circulant.js";
import { Heatmap } from "../shared/heatmap.js";
import { link } from "../shared/heatmap_controls.js";
import { LinePlot } from "../shared/line_plot.js";
import { tableUnder } from "../shared/table.js";
import { panel } from "./parts.js";

/** @import { LabFixed, LabView } from "../payloads.js" */
/** @import { Part } from "../shared/part.js" */
/** @import { Styles } from "../shared/plotly_types.js" */

const LEAST = 1e-4; // errors below are drawn here
const BAND = 12; // pixels wide
const BAND_COLOR = "color-mix(in srgb, var(--method-cdvft) 30%, transparent)";

/**
 * Each family's line: that of the method which it belongs to.
 * @param {Styles} styles
 * @returns {Record<string, {color: string, dash: number[]}>}
 */
function linesOf(styles) {
  /** @param {string} method */
  const of = (method, { color, dash } = styles[method].line) => ({ color, dash: dashes(dash) });
  return {
    circulant_diagonal: of("cdvft"),
    low_rank: of("lora"),
  };
}

/** @param {number} error */
const leftOver = (error) => (error < 1e-6 ? "0%" : percent(error));

/**
 * Signed bytes in base64 as the matrix that they stand for.
 * @param {string} text
 * @param {number} n
 * @param {number} limit
 */
function decoded(text, n, limit) {
  const bytes = Int8Array.from(atob(text), (letter) => (letter.charCodeAt(0) << 24) >> 24);
  return new Dense(
    Float32Array.from(bytes, (level) => (level / 127) * limit),
    n,
    n,
  );
}

/**
 * Where the random starts of each search ended, from the lowest error to the highest, behind its point.
 * @param {ReturnType<typeof linesOf>} lines
 * @param {LabView["fits"]} fits
 */
function bands(lines, fits = []) {
  return fits
    .filter(({ spread }) => spread.length)
    .map(({ family, parameters, spread: [lowest, , highest] }) => ({
      x: [parameters, parameters],
      y: [lowest, highest].map((error) => 100 * Math.max(LEAST, error)),
      color: lines[family].color,
      width: BAND,
      opacity: 0.3,
    }));
}

/** @param {Part<LabView | null, LabFixed>} part */
export function mount({ element, props, life }) {
  const { families } = props;
  const lines = linesOf(props.lines);
  const status = h("p", { class: "status", role: "status" }),
    sentence = h("p", { class: "verdict" });
  const chart = new LinePlot({
    label: "Relative error against parameters, by method",
    height: 300,
    axes: {
      x: { title: "parameters", log: true },
      y: { title: "relative error, %", log: true, high: 130 },
    },
  });
  const table = tableUnder(
    () => ({
      columns: ["method", "m or r", "parameters", "error, %", "lowest start, %", "highest start, %"],
      rows: (props.value?.fits ?? []).map((fit) => [
        families[fit.family],
        fit.size,
        fit.parameters,
        100 * fit.error,
        fit.spread.length ? 100 * fit.spread[0] : "",
        fit.spread.length ? 100 * fit.spread[2] : "",
      ]),
    }),
    "Fits of the matrix",
  );
  const pictures = new Map(
    ["target", ...Object.keys(families)].map((key) => {
      const title = key === "target" ? "Target" : `Residual of ${families[key]}`,
        picture = new Heatmap({ label: title });
      const frame = panel(title, picture.node);
      frame.node.hidden = true;
      return [key, { picture, title, ...frame }];
    }),
  );
  link(...Array.from(pictures.values(), ({ picture }) => picture));
  const keys = legend("Methods");
  keys.show([
    ...Object.entries(families).map(([family, text]) => ({
      style: { line: { ...lines[family], width: 2 } },
      text,
    })),
    { style: { line: { color: BAND_COLOR, width: BAND } }, text: "random starts" },
  ]);
  const result = h(
    "div",
    { class: "lab-result", hidden: true },
    panel("Relative error against parameters", keys.node, chart.node, table.details).node,
    h(
      "div",
      { class: "residuals" },
      Array.from(pictures.values(), ({ node }) => node),
    ),
  );
  find(element, ".mount").replaceChildren(status, sentence, result);

  /** @type {"idle" | "starting" | "running" | "stopping"} until Gradio has ended the event, no other can begin */
  let state = "idle";
  const show = () => {
    if (state === "stopping" && props.value?.running) return; // what was on its way at Stop
    if (state === "starting" && props.value?.running) become("running");
    const {
      status: message,
      sentence: verdict,
      fits,
      pictures: seen = {},
      n = 1,
      limit = 1,
    } = props.value ?? {};
    setText(status, unbroken(message ?? ""));
    setText(sentence, unbroken(verdict ?? ""));
    result.hidden = !fits?.length;
    if (!fits?.length) return;
    chart.show(
      [
        ...bands(lines, fits),
        ...Object.keys(families).map((family) => {
          const mine = fits
            .filter((fit) => fit.family === family)
            .sort((a, b) => a.parameters - b.parameters);
          return {
            x: mine.map((fit) => fit.parameters),
            y: mine.map((fit) => 100 * Math.max(LEAST, fit.error)),
            ...lines[family],
            points: true,
            width: family === "circulant_diagonal" ? 2.6 : 1.6,
          };
        }),
      ].filter(({ x }) => x.length),
    );
    table.refresh();
    for (const [key, { picture, title, node, retitle }] of pictures) {
      node.hidden = !(key in seen);
      if (node.hidden) continue;
      const fit = fits.findLast(({ family }) => family === key);
      if (fit) retitle(unbroken(`${title}: ${leftOver(fit.error)}, ${count(fit.parameters)} parameters`));
      picture.show(decoded(seen[key], n, limit), { limit });
    }
  };
  /**
   * @param {typeof state} next
   * @param {string} [text]
   */
  function become(next, text) {
    state = next;
    document.querySelector("#lab-stop")?.toggleAttribute("disabled", state !== "running");
    document.querySelector("#lab-fit")?.toggleAttribute("disabled", state !== "idle");
    if (text) setText(status, text);
  }
  heard("lab-started", life, () => become("starting", "Starting …"));
  heard("lab-stopped", life, () => become("stopping", "Stopping …"));
  heard("lab-failed", life, () => become("idle", "The fit failed. Press Fit to try again."));
  heard("lab-ended", life, () => {
    become("idle");
    show(); // a fit that is shown already comes as no other value
  });
  show();
  return { update: show };
}
