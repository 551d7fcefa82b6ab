// The address of what Factors shows: ?tab=factors&factors=<run>&layer=<name>&step=<step>&entry=<i>,<j>&show=<part>.

/** @import { Place } from "../shared/heatmap.js" */

const SETTLED = 400; // milliseconds without a change: browsers count how often an address is changed
/** @type {number | undefined} */
let timer;

/** What the address asks for; null where it says nothing. */
export function asked() {
  const { searchParams } = new URL(location.href);
  const [i, j] = (searchParams.get("entry") ?? "").split(",").map(Number),
    step = Number(searchParams.get("step"));
  return {
    run: searchParams.get("factors"),
    step: searchParams.has("step") && Number.isFinite(step) ? step : null,
    entry: Number.isInteger(i) && Number.isInteger(j) && i >= 0 && j >= 0 ? { i, j } : null,
    layer: searchParams.get("layer"),
    part: searchParams.get("show"),
  };
}

/**
 * Let the address lead back to a run and a layer.
 * @param {string} run
 * @param {string} layer
 */
export function keep(run, layer) {
  const address = new URL(location.href);
  address.searchParams.set("factors", run);
  address.searchParams.set("layer", layer);
  history.replaceState(history.state, "", address.href.replaceAll("%2C", ","));
}

/**
 * Let the address lead back to a step, null the last one, and to an entry of the update, null none.
 * @param {number | null} step
 * @param {Place | null} entry
 */
export function point(step, entry) {
  clearTimeout(timer);
  timer = setTimeout(() => {
    const address = new URL(location.href),
      { searchParams } = address;
    if (searchParams.get("tab") !== "factors") return; // another tab was chosen meanwhile
    step === null ? searchParams.delete("step") : searchParams.set("step", String(step));
    entry ? searchParams.set("entry", `${entry.i},${entry.j}`) : searchParams.delete("entry");
    history.replaceState(history.state, "", address.href.replaceAll("%2C", ","));
  }, SETTLED);
}

/**
 * Scroll to the part that a link names, if there is one of that name.
 * @param {string | null} part
 * @param {Record<string, {node: HTMLElement} | undefined>} parts
 */
export const goTo = (part, parts) => parts[part ?? ""]?.node.scrollIntoView();
