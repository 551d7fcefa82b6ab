// The class that this tab is in, above the lessons: who follows votes, hands in and answers sealed questions; its teacher
// shows a state to all, sees the votes, and reveals.

import { actButton, find, h, setText, textButton } from "../shared/dom.js";
import { heard, tell } from "../shared/events.js";
import { count } from "../shared/format.js";
import { polling } from "../shared/polling.js";
import { outcomeOf, unanswered } from "../shared/request.js";
import { asked, forget, linkTo } from "../shared/router.js";
import {
  askedNow,
  isHeld,
  join,
  membership,
  noteRevealed,
  pupil,
  voted,
  waitingVotes,
} from "./class_state.js";
import { trackBar } from "./parts.js";

/** @import { ClassFixed, ClassGone, ClassSeen, ClassRequest, Refused, Servers } from "../payloads.js" */
/** @import { Ask, Part } from "../shared/part.js" */

const EVERY = 2000; // milliseconds between questions to the server

/** @param {Part<null, ClassFixed, Servers["learn/class_bar"]>} part */
export function mount({ element, props: { kinds, questions }, server, life }) {
  const given = asked("class");
  if (given) {
    const code = given.toUpperCase();
    if (membership()?.code !== code) join({ code }); // else a teacher would lose her key
    forget(["class"]);
  }
  const said = h("p", { class: "quiet class-said", role: "status" }),
    head = h("p", {}),
    votes = h("div", { class: "class-votes" }),
    acts = h("div", { class: "act-row presets" }),
    sealed = h("div", { class: "act-row presets class-sealed" }),
    work = h("div", { class: "class-work" });
  const node = h(
    "section",
    { class: "class-bar", "aria-label": "Class", hidden: true },
    head,
    acts,
    sealed,
    votes,
    work,
    said,
  );
  find(element, ".mount").replaceChildren(node);
  let following = true;
  /** @type {ClassSeen | null} */
  let last = null;

  /**
   * Ask the server for something of this class; what it refuses is said.
   * @template {object} Answer
   * @param {Ask<ClassRequest, Answer>} ask
   * @param {object} more
   * @returns {Promise<Exclude<Answer, { error: string }> | null>}
   */
  const request = async (ask, more) => {
    const { code, key } = membership() ?? {};
    const { answer, problem } = await outcomeOf(ask({ code, key, pupil: pupil(), ...more }));
    if (problem) setText(said, problem);
    return answer;
  };
  const drawSealed = async (/** @type {string} */ kind) => {
    const drawn = await request(server.draw, { kind });
    if (!drawn) return;
    const field = h("input", { type: "number", step: 1, "aria-label": "Your answer" });
    const reply = h("p", { role: "status" });
    const send = async () => {
      if (!field.value) return;
      const graded = await request(server.answer, {
        number: drawn.number,
        given: Math.round(Number(field.value)),
      });
      if (!graded) return;
      setText(reply, graded.right ? "Yes." : `Not quite. It is ${count(graded.answer)}.`);
      button.disabled = true;
    };
    const button = actButton("Answer", send);
    work.replaceChildren(h("p", {}, drawn.prompt), h("div", { class: "act-row" }, field, button), reply);
    field.focus();
  };
  const handIn = async () => {
    const answer = await request(server.hand_in, { state: location.search });
    if (!answer) return;
    const receipt = h("textarea", { readonly: true, rows: 3, "aria-label": "Receipt" });
    receipt.value = answer.receipt;
    work.replaceChildren(
      h("p", {}, "Handed in. This receipt proves when, to which class and what, not who did the work:"),
      receipt,
    );
  };
  const leave = () => {
    join(null);
    location.assign(linkTo({ tab: "learn" }));
  };
  const buttons = () => {
    const member = membership();
    work.replaceChildren();
    sealed.replaceChildren();
    if (member?.key !== undefined)
      acts.replaceChildren(
        actButton("Show this to all", async () => {
          forget(["class"]); // whoever follows has joined already
          if (await request(server.show, { address: location.search }))
            setText(said, "Everybody who follows is taken here.");
        }),
        actButton(
          "Reveal this question",
          () => askedNow() && request(server.reveal, { question: askedNow() }),
        ),
        textButton("Leave", leave),
      );
    else {
      const follow = h("input", {
        type: "checkbox",
        checked: following,
        onchange: ({ target }) => {
          following = target.checked;
        },
      });
      acts.replaceChildren(
        h("label", { class: "zero" }, follow, h("span", {}, "Follow along")),
        actButton("Hand in this state", handIn),
        textButton("Leave", leave),
      );
      sealed.replaceChildren(
        h("span", { "aria-hidden": "true" }, "Sealed question:"),
        ...kinds.map(([key, title]) =>
          actButton(title, () => drawSealed(key), { "aria-label": `Sealed question: ${title}` }),
        ),
      );
    }
  };
  const showVotes = () => {
    const counts = last?.votes[askedNow()],
      question = questions[askedNow()];
    votes.replaceChildren();
    if (!counts || !question) return;
    const many = Object.values(counts).reduce((sum, count) => sum + count, 0),
      most = Math.max(...Object.values(counts));
    const bars = Object.entries(counts).map(([value, count]) => {
      const bar = trackBar();
      bar.fill(count / most);
      const name = question.labels[Number(value) - 1] ?? String(Number(value) - 1 + question.low);
      return h("li", {}, h("span", {}, name), bar.node, h("b", {}, count));
    });
    votes.append(
      h("p", { class: "quiet" }, `${many} ${many === 1 ? "vote" : "votes"}: ${question.prompt}`),
      h("ul", { class: "histogram", role: "list" }, bars),
    );
  };
  /** @param {ClassSeen} seen */
  const follow = ({ address, shown }) => {
    const member = membership();
    if (!member || !following || !address.startsWith("?") || shown === member.followed) return;
    join({ ...member, followed: shown });
    if (address !== location.search) location.assign(address);
  };
  let problem = "";
  /**
   * What went wrong and is tried again stands there until it is right, where nothing else was said since.
   * @param {string} text
   */
  const sayProblem = (text) => {
    if (text || said.textContent === problem) setText(said, text);
    problem = text;
  };
  /** @param {ClassSeen | ClassGone | Refused} answer */
  const take = (answer) => {
    if ("error" in answer) {
      sayProblem(answer.error);
      return 5 * EVERY;
    }
    if ("gone" in answer) {
      setText(said, answer.gone);
      head.replaceChildren();
      acts.replaceChildren();
      sealed.replaceChildren();
      join(null);
      return null;
    }
    last = answer;
    const member = membership();
    setText(
      head,
      member?.key === undefined
        ? `Class ${member?.code}. In its table you are ${answer.you}.`
        : `Class ${member.code}: ${answer.pupils} ${answer.pupils === 1 ? "follows" : "follow"}.`,
    );
    if (member?.key === undefined) follow(answer);
    for (const key of noteRevealed(answer.revealed)) tell("class-revealed", key);
    showVotes();
    void sendVotes();
    return EVERY;
  };
  const asking = polling({
    life,
    place: element,
    ask: () => {
      const { code, key } = membership() ?? {};
      return server.seen(key === undefined ? { code, pupil: pupil() } : { code, key });
    },
    take,
    unseen: () => 5 * EVERY,
  });
  const begin = () => {
    node.hidden = membership() === null;
    if (node.hidden) return;
    buttons();
    asking.begin(0);
    void sendVotes();
  };
  let sending = false;
  /** One at a time, so that the last one on a question counts; what does not arrive is sent again after the next poll. */
  const sendVotes = async () => {
    if (sending) return;
    sending = true;
    let refused = "";
    for (const [question, given] of waitingVotes()) {
      const vote = { code: membership()?.code, pupil: pupil(), question, given };
      const answer = isHeld(question) ? await server.vote(vote).catch(unanswered) : {};
      if (answer && "error" in answer) refused = String(answer.error);
      else if (answer) voted(question, given);
    }
    sending = false;
    sayProblem(refused);
  };
  heard("class-changed", life, begin);
  heard("lesson-asked", life, showVotes);
  heard("lesson-predicted", life, () => void sendVotes());
  if (given) tell("class-changed", null);
  else begin();
}
