// Which class this browser's tab is in, kept for as long as the tab is open, and what of it has been revealed.

import { tell } from "../shared/events.js";

const KEY = "cdvft-class",
  PUPIL = "cdvft-pupil";

/** @typedef {{code: string, key?: string, followed?: number}} Membership `key`: a teacher's; `followed`: its last showing */

/** @returns {Membership | null} */
export function membership() {
  try {
    const kept = JSON.parse(sessionStorage.getItem(KEY) ?? "null");
    return typeof kept?.code === "string" ? kept : null;
  } catch {
    return null;
  }
}

/** @param {Membership | null} given */
export function join(given) {
  if (given) sessionStorage.setItem(KEY, JSON.stringify(given));
  else sessionStorage.removeItem(KEY);
}

/** A random id of this tab, by which the server counts one vote of each. */
export function pupil() {
  const known = sessionStorage.getItem(PUPIL);
  if (known) return known;
  const made = Array.from(crypto.getRandomValues(new Uint8Array(12)), (byte) =>
    byte.toString(16).padStart(2, "0"),
  ).join("");
  sessionStorage.setItem(PUPIL, made);
  return made;
}

/** @type {Set<string>} */
const revealed = new Set();

/** @type {Map<string, number>} votes that have not arrived, by question: the bar may come after the lesson */
const votes = new Map();
let current = "";

/**
 * The question that is looked at now; also where the bar comes after it.
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
  votes.delete(key); // so that it comes last, where the one before is on its way
  votes.set(key, given);
  tell("lesson-predicted", null);
}

/** Those that have not arrived, also those that are made meanwhile. */
export const waitingVotes = () => votes.entries();

/**
 * A vote has arrived, or need not; one that was made since goes on waiting.
 * @param {string} key of the question
 * @param {number} given
 */
export function voted(key, given) {
  if (votes.get(key) !== given) return;
  votes.delete(key);
  tell("lesson-voted", key);
}

/**
 * Note questions that the teacher has revealed; returns those that are new.
 * @param {string[]} keys
 */
export function noteRevealed(keys) {
  const news = keys.filter((key) => !revealed.has(key));
  news.forEach((key) => revealed.add(key));
  return news;
}

/**
 * Whether a prediction is a vote, which is answered once the teacher reveals.
 * @param {string} key of the question
 */
export function isHeld(key) {
  const member = membership();
  return member !== null && member.key === undefined && !revealed.has(key);
}
