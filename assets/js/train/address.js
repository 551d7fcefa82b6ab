// The runs that an address names.

import { keepInAddress } from "../shared/address.js";

/** What stands for the runs of the recorded race. */
export const RECORDED = /** @type {const} */ ("recorded");

/** @param {string[]} ids to be put into the address, so that a refresh or another device finds them */
export function remember(ids) {
  keepInAddress("run", ids.join(","));
}

/** @param {string[]} ids where these runs can be used */
export function useAddress(ids) {
  const address = new URL(location.href);
  address.searchParams.set("tab", "use");
  address.searchParams.set("run", ids.join(","));
  return address.href.replaceAll("%2C", ",");
}
