// While the server fills Train's form it cannot be used: what is done to it before the answer would be overwritten.

import { forget } from "../shared/router.js";

let visited = false; // what the form holds before a visit's answer is nobody's choice
let asked = 0; // how often the server is asked: by a visit or a link, for a race's settings, for what was found
let address = ""; // its parameters when the server was asked last

/** @param {DragEvent} event */
function refuseDrop(event) {
  event.preventDefault(); // the browser would open the file in place of the page
  if (event.dataTransfer) event.dataTransfer.dropEffect = "none";
}

function letFormWait() {
  const tab = document.getElementById("train"); // null until another tab is left
  if (!tab) return;
  const waits = !visited || asked > 0;
  tab.ariaBusy = String(waits);
  tab.ondragover = waits ? refuseDrop : null;
  for (const part of tab.querySelectorAll(":scope > :is(.begin, .choose)"))
    part.toggleAttribute("inert", waits);
}

/** @param {boolean} answered whether a visit's answer is there */
export function formVisited(answered) {
  visited = answered;
  letFormWait();
}

export function formAsked() {
  asked += 1;
  address = location.search;
  letFormWait();
}

/**
 * The server has answered, or refused.
 * @param {string[]} [filled] parameters of the address that the form holds now: it is the visitor's, and a reload must
 * not undo what they change
 */
export function formAnswered(filled = []) {
  asked -= 1;
  if (!asked) forget(filled, address);
  letFormWait();
}
