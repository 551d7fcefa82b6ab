// Question first: what answers a lesson's question stays veiled until somebody has answered, or asked to see.

/** @param {Element} element in a lesson */
export function lessonOf(element) {
  const lesson = element.closest(".lesson");
  if (!(lesson instanceof HTMLElement)) throw new Error("this stands in no lesson");
  return lesson;
}

const isRevealed = (/** @type {HTMLElement} */ lesson) => "revealed" in lesson.dataset;

/** @param {HTMLElement} lesson */
export function reveal(lesson) {
  if (isRevealed(lesson)) return;
  lesson.dataset.revealed = "";
  lesson.dispatchEvent(new Event("revealed"));
}

/**
 * Call when the lesson is revealed, or at once where it is.
 * @param {Element} element in the lesson
 * @param {() => void} act
 */
export function whenRevealed(element, act) {
  const lesson = lessonOf(element);
  if (isRevealed(lesson)) act();
  else lesson.addEventListener("revealed", act, { once: true });
}

/**
 * Keep a picture out of sight and reach until its lesson is revealed.
 * @param {Element} element in the lesson
 * @param {HTMLElement} picture
 */
export function veil(element, picture) {
  picture.classList.add("veiled");
  picture.inert = true;
  whenRevealed(element, () => {
    picture.classList.remove("veiled");
    picture.inert = false;
  });
}
