// What parts of the page tell each other, and what events of Gradio tell them: cdvft_app/ui/shared/component.py.

/**
 * Every event by its name, with what comes with it.
 * @typedef {{
 *   "address": null,
 *   "race-started": null,
 *   "runs-changed": null,
 *   "race-renamed": null,
 *   "slice-ended": null,
 *   "show-runs": string[],
 *   "lesson-answered": string,
 *   "lesson-asked": null,
 *   "lesson-predicted": null,
 *   "lesson-voted": string,
 *   "lesson-revealed": null,
 *   "question-predicted": {key: string, given: number | null},
 *   "task-reached": string,
 *   "class-changed": null,
 *   "class-revealed": string,
 *   "class-question": string,
 *   "class-played": string,
 *   "lab-started": null,
 *   "lab-stopped": null,
 *   "lab-ended": null,
 *   "lab-failed": null,
 *   "measure-ended": null,
 *   "measure-failed": null,
 * }} Events
 * address: it has changed by a link inside the page, or by Back or Forward. runs-changed: some were started, have ended, or
 * were read from a file. slice-ended: of a race that the page drives. show-runs: their ids. lesson-answered: the question's key. lesson-asked: another question is looked at;
 * lesson-predicted: a vote waits to be sent; lesson-voted: the key of a question whose vote has arrived, all three for
 * learn/class_state.js; lesson-revealed and question-predicted are heard at the lesson itself: more of its answers may be
 * shown; what was predicted of a question, null for nothing. task-reached: the key of the task in whose state a machine
 * is. class-changed: this tab is in another class, or in none;
 * class-revealed: the key of a question that its teacher has revealed; class-question: of the one that the teacher shows;
 * class-played: of the one that the teacher's own screen plays. lab-started and lab-stopped: somebody
 * pressed Fit, or Stop. lab-failed or lab-ended: Gradio's event of that fit has; so with measure-failed
 * or measure-ended.
 */

/**
 * @template {keyof Events} Name
 * @param {Name} name
 * @param {Events[Name]} detail
 * @param {EventTarget} where the whole page, or the lesson that alone is to hear it
 */
export function tell(name, detail, where = document) {
  where.dispatchEvent(new CustomEvent(name, { detail }));
}

/**
 * Call `act` at each such event, for as long as a part lives.
 * @template {keyof Events} Name
 * @param {Name} name
 * @param {AbortSignal} life
 * @param {(detail: Events[Name]) => void} act
 * @param {EventTarget} where
 */
export function heard(name, life, act, where = document) {
  where.addEventListener(name, (event) => act(/** @type {CustomEvent<Events[Name]>} */ (event).detail), {
    signal: life,
  });
}
