// Work that would hold the page's thread too long at once: it is done in pieces, between frames.

/** @template T */
export class Piecewise {
  /** @type {{value: T} | undefined} */
  #done;

  /** @param {Iterator<void, T>} work which pauses after each piece, and gives the result in the end */
  constructor(work) {
    this.work = work;
  }

  /**
   * Go on until that moment, as `performance.now()` has it, with a piece at least. Returns whether it is done.
   * @param {number} deadline
   */
  until(deadline) {
    while (!this.#done) {
      const { done, value } = this.work.next();
      if (done) this.#done = { value };
      else if (performance.now() >= deadline) return false;
    }
    return true;
  }

  /** The result; what is left is done now. */
  get result() {
    this.until(Infinity);
    return /** @type {{value: T}} */ (this.#done).value;
  }
}
