// Written by cdvft_app/ui/typescript.py of store/states.py and metrics, do not edit.

/** @type {readonly string[]} states of a run */
export const FINAL = ["finished", "stopped", "failed", "interrupted"];

/** @type {readonly string[]} states of a run */
export const ACTIVE = ["preparing", "running", "stopping"];

/** @type {readonly string[]} states of a run */
export const USABLE = ["finished", "stopped"];

/** @type {readonly string[]} states of a run */
export const STATES = ["queued", "preparing", "running", "stopping", "finished", "stopped", "failed", "interrupted"];

/** @type {readonly string[]} metrics that are shown as per cent */
export const SHARES = ["accuracy", "exact_match"];

/** @type {readonly string[]} metrics of numbers */
export const REGRESSIONS = ["pearson"];
