// The class that this browser tab is in, for as long as the tab is open, and the questions that its teacher has revealed.

import { tell } from "../shared/events.js";

const KEY = "cdvft-class",
  STUDENT = "cdvft-student";

/** @typedef {{code: string, key?: string, followed?: number}} Membership `key`: a teacher's; `followed`: its last showing */

/** @returns {Membership | null} */
export function membership() {
  try {
    const stored = JSON.parse(sessionStorage.getItem(KEY) ?? "null");
    return typeof stored?.code === "string" ? stored : null;
  } catch {
    return null;
  }
}

/** @param {Membership | null} member */
export function join(member) {
  if (member) sessionStorage.setItem(KEY, JSON.stringify(member));
  else sessionStorage.removeItem(KEY);
}

/** A random id of this tab. The server counts one vote of each. */
export function student() {
  const known = sessionStorage.getItem(STUDENT);
  if (known) return known;
  const id = crypto.randomUUID?.() ?? String(crypto.getRandomValues(new Uint32Array(3)).join("-"));
  sessionStorage.setItem(STUDENT, id);
  return id;
}

/** @type {Set<string>} */
const revealed = new Set();
/** @type {Map<string, number>} votes that have not arrived, by question */
const votes = new Map();
let current = "";

/**
 * Another question is on the screen.
 * @param {string} key
 */
export function ask(key) {
  current = key;
  tell("lesson-asked", null);
}

export const askedNow = () => current;

/**
 * @param {string} key of the question
 * @param {number} given
 */
export function vote(key, given) {
  votes.set(key, given);
  tell("lesson-predicted", null);
}

export const waitingVotes = () => votes.entries();

/**
 * A vote has arrived. One that was made since then is still waiting.
 * @param {string} key of the question
 * @param {number} given
 */
export function voted(key, given) {
  if (votes.get(key) !== given) return;
  votes.delete(key);
  tell("lesson-voted", key);
}

/**
 * Note revealed questions; returns the new ones.
 * @param {string[]} keys
 */
export function noteRevealed(keys) {
  const news = keys.filter((key) => !revealed.has(key));
  news.forEach((key) => revealed.add(key));
  return news;
}

/**
 * Whether a prediction is a vote, which is answered once the teacher reveals the question.
 * @param {string} key of the question
 */
export function isHeld(key) {
  const member = membership();
  return member !== null && member.key === undefined && !revealed.has(key);
}
