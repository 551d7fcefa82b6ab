// Runs that train as Jobs of the hub: where they are, and the way from a shown race to the form that sends it.

import { h, scrollUpTo } from "../shared/dom.js";
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
        job.address ? link(job.address, "a Job of the hub") : "a Job of the hub",
        ", which puts what it learns into ",
        job.address ? link(job.repository_address, job.repository) : job.repository,
      ),
    ];
  });
}

/** Open the form's fold that sends the race, below 900 px with the settings around it. */
export function openJobForm() {
  const settings = document.querySelector('#choose .fold-settings[aria-expanded="false"]');
  if (settings instanceof HTMLElement) settings.click();
  const fold = document.getElementById("as-job");
  const button = fold?.querySelector("button");
  if (!fold || !button) return;
  if (!button.classList.contains("open")) button.click();
  scrollUpTo(fold);
  button.focus();
}
