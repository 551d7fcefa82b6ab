// The dialog about this server: a visitor's remaining time, the code of a class, and the operator's panel.

import { button, h, textButton } from "../shared/dom.js";
import { drawn, newest } from "../shared/part.js";
import { polling } from "../shared/polling.js";
import { unanswered } from "../shared/request.js";
import { table } from "../shared/table.js";

/** @import { OperatorRequest, ServerMode, ServerOverview, ServerRun, Servers } from "../payloads.js" */

const REFRESH_MILLISECONDS = 30_000;
const NAMES = "The names that you give to runs are shown to you and to the operator alone.";

/**
 * A cookie for all requests of this page; inside another site's frame only on a Space, whose page says so.
 * @param {string} name
 * @param {string} value
 */
export function setCookie(name, value) {
  const framed = document.querySelector('meta[name="cdvft-page"]') && location.protocol === "https:";
  const frame = framed ? "SameSite=None; Secure; Partitioned" : "SameSite=Lax";
  document.cookie = `${name}=${value}; Path=/; Max-Age=31536000; ${frame}`;
}

/**
 * Replace the word in `place` by a button that opens the dialog; a private server without an operator's key has none.
 * @param {HTMLElement} place
 * @param {ServerMode} mode
 * @param {Servers["page/header"]} server
 * @param {AbortSignal} life
 */
export function showServerMode(place, mode, server, life) {
  if (!mode.public && !mode.operator) return;
  const word = mode.public ? "Public" : "Private";
  const open = button(
    word,
    () => {
      void ask();
      dialog.showModal();
    },
    { class: "chip", "aria-haspopup": "dialog" },
  );
  const left = h("p", {}, mode.public ? "" : "This server is private: nothing is limited.");
  const dialog = h(
    "dialog",
    { class: "server", "aria-label": "This server" },
    h("h2", {}, mode.public ? "This server is public" : "This server"),
    left,
    mode.public ? h("p", { class: "quiet" }, NAMES) : null,
    mode.codes ? codeForm(ask) : null,
    mode.operator ? operatorPart(server, life) : null,
    button("Close", () => void dialog.close(), { class: "close" }),
  );
  place.replaceChildren(open);
  document.querySelector(".gradio-container")?.append(dialog);

  const poll = polling({
    life,
    place,
    ask: () => server.standing({}),
    take: (standing) => {
      if (standing) {
        open.textContent = `${word} · ${standing.short}`;
        left.textContent = `${standing.text} They are counted for ${standing.visitor}.`;
      }
      return REFRESH_MILLISECONDS;
    },
  });
  async function ask() {
    if (mode.public) await poll.now();
  }
  void ask();
}

/** @param {() => Promise<void>} ask */
function codeForm(ask) {
  const field = h("input", { type: "text", autocomplete: "off", maxlength: 64 });
  const submitted = (/** @type {SubmitEvent} */ event) => {
    event.preventDefault();
    setCookie("cdvft-code", encodeURIComponent(field.value.trim()));
    void ask();
  };
  return h(
    "form",
    { onsubmit: submitted },
    h("label", {}, "Code of your class ", field),
    h("button", { type: "submit" }, "Use"),
  );
}

/**
 * @param {Servers["page/header"]} server
 * @param {AbortSignal} life
 */
function operatorPart(server, life) {
  const latest = newest(life);
  const field = h("input", { type: "password", autocomplete: "off" });
  const answer = h("div", { class: "overview", role: "status" });
  let key = ""; // kept in memory alone: in no cookie, in no address

  /** @param {Omit<OperatorRequest, "key">} [request] */
  const operate = (request = {}) =>
    drawn(answer, async () => {
      const found = await latest(server.operate({ key, ...request }).catch(unanswered));
      answer.replaceChildren(
        ...(found ? overview(found, operate) : [h("p", { class: "problem" }, "The server does not answer.")]),
      );
    });
  const submitted = (/** @type {SubmitEvent} */ event) => {
    event.preventDefault();
    key = field.value;
    field.value = "";
    operate();
  };
  return h(
    "details",
    {},
    h("summary", {}, "For the operator"),
    h(
      "form",
      { onsubmit: submitted },
      h("label", {}, "Operator's key ", field),
      h("button", { type: "submit" }, "Open"),
    ),
    answer,
  );
}

/**
 * @param {ServerOverview} found
 * @param {(asked: Omit<OperatorRequest, "key">) => void} operate
 */
function overview(found, operate) {
  const problem = found.error ? h("p", { class: "problem", role: "alert" }, found.error) : null;
  if (found.error && !found.runs.length && !found.visitors.length)
    return [problem].filter((one) => one !== null);
  const waiting = found.runs.filter((run) => run.state === "queued").length;
  const visitors = found.visitors.map((one) => [one.visitor, one.spent, one.training, one.runs]);
  const nodes = found.nodes.map((one) => [one.name, one.has, one.runs, one.problem ?? ""]);
  return [
    ...(problem ? [problem] : []),
    numbers("Who uses this server", ["Visitor", "Time", "Training", "Runs now"], visitors),
    ...(nodes.length ? [numbers("Nodes", ["Node", "Has", "Runs now", ""], nodes)] : []),
    numbers(
      "Runs",
      ["Run", "Visitor", "State", ...(nodes.length ? ["Where"] : []), ""],
      found.runs.map((run) => [
        `${run.name}, ${run.method}`,
        run.visitor,
        stateOf(run),
        ...(nodes.length ? [run.where] : []),
        actionButtons(run, operate),
      ]),
    ),
    button(`Clear the queue (${waiting})`, () => operate({ act: "clear" }), { disabled: !waiting }),
  ];
}

/** @param {ServerRun} run */
const stateOf = (run) => run.state + (run.hidden ? ", hidden" : "") + (run.private ? ", private" : "");

/**
 * @param {ServerRun} run
 * @param {(asked: Omit<OperatorRequest, "key">) => void} operate
 */
function actionButtons(run, operate) {
  /** @type {("stop" | "delete" | "show" | "hide")[]} */
  const able = [run.goes_on ? "stop" : "delete", run.hidden ? "show" : "hide"];
  const buttons = able.map((act) => {
    const name = `${act} ${run.name}, ${run.method}`;
    let sure = act !== "delete"; // which cannot be undone, so it takes a second press
    const press = () => {
      if (sure) return operate({ act, run: run.id });
      sure = true;
      made.textContent = "delete for good";
      made.setAttribute("aria-label", `${name} for good`);
    };
    const made = textButton(act, press, { "aria-label": name });
    return made;
  });
  return h("span", { class: "acts" }, ...buttons);
}

/**
 * @param {string} caption
 * @param {string[]} heads
 * @param {(string | number | Node)[][]} rows
 */
function numbers(caption, heads, rows) {
  const made = table({ label: caption, tall: false });
  made.fill(heads, rows, caption);
  return made.node;
}
