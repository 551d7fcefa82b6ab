// As much of a page as an error needs to be said in, and a server that hears of it.

/** @type {string[]} what the server's log is told */
export const logged = [];

/** An element, and the messages that stand before it. */
export class Place extends EventTarget {
  /** @type {any[]} */
  said = [];
  /** @type {any[]} */
  children = [];
  textContent = "";
  hidden = false;
  isConnected = true;

  constructor(tag = "") {
    super();
    this.tag = tag;
  }
  setAttribute() {}
  querySelector() {
    return null;
  }
  append(/** @type {any[]} */ ...children) {
    this.children.push(...children);
  }
  replaceChildren(/** @type {any[]} */ ...children) {
    this.children = children;
  }
  before(/** @type {any} */ message) {
    message.remove();
    message.at = this;
    this.said.push(message);
  }
  remove() {
    const at = /** @type {any} */ (this).at;
    if (at) at.said = at.said.filter((/** @type {any} */ one) => one !== this);
  }
  /** @returns {Place[]} it and all that it holds */
  get all() {
    return [this, ...this.children.flatMap((child) => (child instanceof Place ? child.all : []))];
  }
  get texts() {
    return this.said.map((message) => message.textContent);
  }
}

/** Let `answer` answer requests: it gets the function's name, and may throw as a server that is away. */
export function makePage(/** @type {(name: string) => any} */ answer = () => ({})) {
  console.error = () => {};
  Object.assign(globalThis, {
    Node: Place,
    document: Object.assign(new EventTarget(), {
      baseURI: "http://studio/",
      hidden: false,
      createElement: (/** @type {string} */ tag) => new Place(tag),
    }),
    async fetch(/** @type {URL} */ { pathname }, /** @type {{body: string}} */ { body }) {
      if (pathname.endsWith("/failed")) logged.push(JSON.parse(body).error);
      return answer(pathname);
    },
  });
}

/** Until promises that wait for one another are through. */
export const settled = () => new Promise((done) => setTimeout(done, 5));
