// The sentence on how much a run changed which layers.

import { alignedPercent, count, short } from "../shared/format.js";

/** @import { Effects, Layer, OpenedRun } from "../payloads.js" */

/**
 * A layer's numbers after the last step: the norm of the change, in parts of the weights' own where that is known,
 * and its effective rank.
 * @typedef {Layer & {norm: number | null, ratio: number | null, rank: number | null}} Changed
 */

/**
 * The middle value; of an even number of values the mean of the two in the middle.
 * @param {number[]} values
 */
function median(values) {
  const sorted = [...values].sort((one, other) => one - other),
    middle = values.length >> 1;
  return values.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/** @param {Changed} layer */
const size = ({ ratio, norm }) => ratio ?? norm ?? 0;

/** @param {Layer} layer */
const name = ({ depth, kind }) => (depth === null ? `${kind} weights` : `${kind} weights of layer ${depth}`);

/**
 * What the size of a change means, beside that of another run of the race.
 * @param {(number | null)[]} ratios of all its layers: the change's norm over the weights'
 * @param {{label: string, ratios: (number | null)[]} | null} other
 */
export function meaning(ratios, other) {
  const own = middle(ratios),
    theirs = other && middle(other.ratios);
  if (!own) return ""; // unknown, or nothing has changed
  const rival =
    other && typeof theirs === "number"
      ? ` (${other.label} of the same race: ${alignedPercent(theirs)})`
      : "";
  return (
    `In the median layer ‖ΔW‖ is ${alignedPercent(own)} of ‖W‖${rival}, Frobenius norms. How far that moves what the layer ` +
    "puts out depends on its inputs."
  );
}

/**
 * How much of what a run learned one shift a layer does, which needs no matrix.
 * @param {Effects} effects
 */
export function shiftSentence({ rows, trained, off, shifts }) {
  const text =
    "With each layer's change replaced by its mean over the tokens, one vector that is added to what it gives, ";
  if (trained.right === null || off.right === null || shifts.right === null)
    return `${text}the loss is ${short(shifts.loss)}; as trained ${short(trained.loss)}, with everything off ${short(off.loss)}.`;
  return `${text}${shifts.right} of ${rows} held-out rows are right; as trained ${trained.right}, with everything off ${off.right}.`;
}

/** @param {(number | null)[]} ratios */
function middle(ratios) {
  const known = ratios.filter((ratio) => ratio !== null);
  return known.length && known.length === ratios.length ? median(known) : null;
}

/**
 * @param {OpenedRun} run
 * @param {Changed[]} layers all of them
 * @param {boolean} relative whether the norms of all weights are known
 */
export function changes(run, layers, relative) {
  const sorted = [...layers].sort((one, other) => size(other) - size(one)),
    most = sorted[0],
    least = sorted[sorted.length - 1],
    by = relative ? `${alignedPercent(size(most))} of their norm` : `a norm of ${short(most.norm)}`;
  const made = run.steps.at(-1) ?? 0,
    after = `${count(made)} ${made === 1 ? "step" : "steps"}`;
  if (size(most) === 0) return `Nothing has changed yet, after ${after} of ${run.label}.`;
  const parts = [`After ${after} ${run.label} changed the ${name(most)} most, by ${by}`];
  if (layers.length > 1)
    parts[0] +=
      size(least) > 0
        ? `, ${short(Number((size(most) / size(least)).toPrecision(2)))} times as much as the ${name(least)}, which changed least`
        : `, and the ${name(least)} not at all`;
  const kinds = [...new Set(layers.map(({ kind }) => kind))];
  if (kinds.length > 1 && kinds.length < 5) {
    const medians = kinds
      .map((kind) => ({ kind, value: median(layers.filter((layer) => layer.kind === kind).map(size)) }))
      .sort((one, other) => other.value - one.value)
      .map(({ kind, value }) => `${relative ? alignedPercent(value) : short(value)} for its ${kind} weights`);
    parts.push(`The median change of a layer is ${medians.join(" and ")}`);
  }
  const ranks = layers.map(({ rank }) => rank).filter((rank) => rank !== null);
  if (ranks.length) {
    const low = short(Math.min(...ranks)),
      high = short(Math.max(...ranks)),
      full = short(Math.min(...layers.map(({ d_out, d_in }) => Math.min(d_out, d_in))));
    parts.push(
      `The changes have an effective rank of ${low === high ? low : `${low} to ${high}`} out of ${full}` +
        (run.method === "lora"
          ? `; ${run.rank} is the most that r = ${run.rank} allows`
          : "; LoRA with r = 8 reaches 8 at most"),
    );
  }
  return `${parts.join(". ")}.`;
}
