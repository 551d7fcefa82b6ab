// A layer's vectors at one snapshot as a file.

import { h, textButton } from "../shared/dom.js";
import { download, fileName } from "../shared/download.js";

/** @import { LayerData } from "./data.js" */

/**
 * `kind`: "csv" or "json".
 * @param {LayerData} layer
 * @param {number} t
 * @param {"csv" | "json"} kind
 */
export function saveVectors(layer, t, kind) {
  const names = Object.keys(layer.vectors),
    step = layer.steps[t];
  const file = fileName(`${layer.run.label}_${layer.module}_step_${step}`);
  if (kind === "json") {
    const vectors = Object.fromEntries(
      names.map((name) => [
        name,
        { shape: layer.vectors[name].shape, values: Array.from(layer.at(name, t)) },
      ]),
    );
    const contents = {
      run: layer.run.id,
      method: layer.method,
      module: layer.module,
      step,
      d_out: layer.d_out,
      d_in: layer.d_in,
      scale: layer.scale,
      vectors,
    };
    download(new Blob([JSON.stringify(contents)], { type: "application/json" }), `${file}.json`);
    return;
  }
  const lines = names.flatMap((name) => Array.from(layer.at(name, t), (value, k) => `${name},${k},${value}`));
  download(new Blob([["vector,place,value", ...lines].join("\n")], { type: "text/csv" }), `${file}.csv`);
}

/**
 * "Vectors at this step as CSV", "as JSON".
 * @param {(kind: "csv" | "json") => void} onsave
 */
export function saveButtons(onsave) {
  const button = (/** @type {"csv" | "json"} */ kind, /** @type {string} */ text) =>
    textButton(text, () => onsave(kind));
  return h(
    "span",
    { class: "actions" },
    button("csv", "Vectors at this step as CSV"),
    button("json", "as JSON"),
  );
}
