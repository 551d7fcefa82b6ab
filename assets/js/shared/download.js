// Handing a file to the browser's downloads.

import { h } from "./dom.js";

/**
 * @param {Blob} blob
 * @param {string} name
 */
export function download(blob, name) {
  const link = h("a", { href: URL.createObjectURL(blob), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000); // a busy browser reads it seconds after the click
}

/**
 * A file's name of what it is about: anything but letters, digits, points and dashes becomes "_".
 * @param {string} text
 */
export const fileName = (text) => text.replace(/[^\w.-]+/g, "_");
