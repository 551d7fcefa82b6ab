// The states of runs: written by cdvft_app/ui/typescript.py of store/states.py, do not edit.

/** @type {readonly string[]} */
export const FINAL = ["finished", "stopped", "failed", "interrupted"];

/** @type {readonly string[]} */
export const ACTIVE = ["preparing", "running", "stopping"];

/** @type {readonly string[]} */
export const STATES = ["queued", "preparing", "running", "stopping", "finished", "stopped", "failed", "interrupted"];
