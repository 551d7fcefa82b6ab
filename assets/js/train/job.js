// Links of runs that train as HF Jobs.

import { h } from "../shared/dom.js";
import { titleOf } from "./run_model.js";

/** @import { Run } from "./run_model.js" */

/** @param {string} href @param {string} text */
const link = (href, text) => h("a", { href, target: "_blank", rel: "noopener" }, text);

/**
 * A line for each run that is a Job: the Job, and the repository that takes what it learns.
 * @param {Run[]} runs
 */
export function jobLines(runs) {
  return runs.flatMap((run) => {
    const job = run.job;
    if (!job) return [];
    const name = runs.length > 1 ? `${titleOf(run)}: ` : "";
    return [
      h(
        "p",
        { class: "job" },
        name,
        job.address ? link(job.address, "HF Job") : "HF Job",
        ", saves to ",
        job.address ? link(job.repository_address, job.repository) : job.repository,
      ),
    ];
  });
}
