// One-line captions of a run, a layer, and the loading of a layer.

import { count, when } from "../shared/format.js";
import { isTraining } from "./live.js";

/** @import { InspectedRun, OpenedRun } from "../payloads.js" */
/** @import { LayerData } from "./data.js" */

export const GONE = "The run in the address has no factors, or it was deleted. Another run is shown.";

/** @param {InspectedRun} run */
export const runTitle = (run) =>
  [run.name, run.label, run.targets, run.recorded ? "recorded" : when(run.created ?? 0)]
    .filter(Boolean)
    .join(" · ");

/**
 * Where a run comes from; of one that trains, how far it is.
 * @param {OpenedRun} run
 */
export const originCaption = (run) =>
  run.recorded
    ? `Recorded ${run.recorded} · not run here`
    : [
        isTraining(run) ? `Training, followed live: step ${run.steps.at(-1)}` : "",
        run.summary,
        when(run.created ?? 0),
      ]
        .filter(Boolean)
        .join(" · ");

/** @param {LayerData} layer */
export function layerCaption({ module, d_out, d_in, vectors, parameters }) {
  const shape = vectors["circulant.0"]?.shape;
  const blocks = !shape
    ? ""
    : shape[0] * shape[1] === 1
      ? `, one circulant of ${shape[2]}`
      : `, ${shape[0]} × ${shape[1]} circulant blocks of ${shape[2]}`;
  return `${module} · ${d_out} × ${d_in}${blocks} · ${count(parameters)} trainable parameters instead of ${count(d_out * d_in)}`;
}
