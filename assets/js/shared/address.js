// What the page keeps in its address, so that a refresh, a link or another device finds it.

/**
 * @param {string} name of the parameter
 * @param {string | null} value null takes it out
 */
export function keepInAddress(name, value) {
  const address = new URL(location.href);
  value ? address.searchParams.set(name, value) : address.searchParams.delete(name);
  history.replaceState(history.state, "", address.href.replaceAll("%2C", ","));
}
