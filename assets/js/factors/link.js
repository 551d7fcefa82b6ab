// The address of what Factors shows: ?tab=factors&factors=<run>&layer=<name>&show=<part>.

/** What the address asks for; null where it says nothing. */
export function asked() {
  const { searchParams } = new URL(location.href);
  return {
    run: searchParams.get("factors"),
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
 * Scroll to the part that a link names, if there is one of that name.
 * @param {string | null} part
 * @param {Record<string, {node: HTMLElement} | undefined>} parts
 */
export const goTo = (part, parts) => parts[part ?? ""]?.node.scrollIntoView();
