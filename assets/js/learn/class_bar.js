// The class that this tab is in, one line above the lessons: students follow and vote, the teacher shows and reveals.

import { actButton, find, h, setText, textButton } from "../shared/dom.js";
import { heard, tell } from "../shared/events.js";
import { polling } from "../shared/polling.js";
import { outcomeOf, unanswered } from "../shared/request.js";
import { asked, followAddress, forget, linkTo } from "../shared/router.js";
import {
  askedNow,
  isHeld,
  join,
  membership,
  noteRevealed,
  student,
  voted,
  waitingVotes,
} from "./class_state.js";
import { trackBar } from "./parts.js";

/** @import { ClassFixed, ClassGone, ClassSeen, Refused, Servers } from "../payloads.js" */
/** @import { Part } from "../shared/part.js" */

const EVERY = 2000; // milliseconds between polls

/** @param {Part<null, ClassFixed, Servers["learn/class_bar"]>} part */
export function mount({ element, props: { questions }, server, life }) {
  const code = asked("class")?.toUpperCase();
  if (code) {
    if (membership()?.code !== code) join({ code }); // a teacher would lose the key
    forget(["class"]);
  }
  const message = h("span", { class: "quiet", role: "status" }),
    head = h("b", {}),
    buttons = h("span", { class: "act-row presets" }),
    votes = h("div", { class: "class-votes" });
  const line = h("div", { class: "class-line" }, head, buttons, message);
  const node = h("section", { class: "class-bar", "aria-label": "Class", hidden: true }, line, votes);
  find(element, ".mount").replaceChildren(node);
  let following = true;
  /** @type {ClassSeen | null} */
  let last = null;

  const me = () => {
    const { code: mine, key } = membership() ?? {};
    return key === undefined ? { code: mine, student: student() } : { code: mine, key };
  };
  /** @param {Promise<object>} answered */
  const teach = async (answered) => {
    const { problem } = await outcomeOf(answered);
    setText(message, problem);
  };
  const leave = () => {
    join(null);
    begin();
  };
  const showButtons = () => {
    if (membership()?.key !== undefined)
      buttons.replaceChildren(
        actButton("Show", () => teach(server.show({ ...me(), question: askedNow() }))),
        actButton("Reveal", () => {
          tell("class-played", askedNow());
          return teach(server.reveal({ ...me(), question: askedNow() }));
        }),
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
      buttons.replaceChildren(h("label", { class: "zero" }, follow, "Follow"), textButton("Leave", leave));
    }
  };
  const showVotes = () => {
    const counts = last?.votes[askedNow()],
      question = questions[askedNow()];
    votes.replaceChildren();
    if (!counts || !question) return;
    const most = Math.max(1, ...Object.values(counts));
    const bars = question.labels.map((label, at) => {
      const bar = trackBar(),
        count = counts[at + 1] ?? 0;
      bar.fill(count / most);
      const isRight = at + 1 === question.right;
      return h("li", { class: isRight ? "right" : null }, h("span", {}, label), bar.node, h("b", {}, count));
    });
    votes.append(h("ul", { class: "histogram", role: "list" }, bars));
  };
  /** @param {ClassSeen} seen */
  const follow = ({ lesson, question, shown }) => {
    const member = membership();
    if (!member || !following || !lesson || shown === member.followed) return;
    join({ ...member, followed: shown });
    followAddress(linkTo({ tab: "learn", lesson }));
    tell("class-question", question);
  };
  /** @param {ClassSeen | ClassGone | Refused} answer */
  const take = (answer) => {
    if ("error" in answer) {
      setText(message, answer.error);
      return 5 * EVERY;
    }
    if ("gone" in answer) {
      leave();
      node.hidden = false;
      setText(message, answer.gone);
      return null;
    }
    last = answer;
    const member = membership(),
      isTeacher = member?.key !== undefined;
    setText(head, `Class ${member?.code} · ${isTeacher ? `${answer.students} present` : answer.you}`);
    setText(message, "");
    if (!isTeacher) follow(answer);
    for (const key of noteRevealed(answer.revealed)) tell("class-revealed", key);
    showVotes();
    void sendVotes();
    return EVERY;
  };
  const poll = polling({
    life,
    place: element,
    ask: () => server.seen(me()),
    take,
    unseen: () => 5 * EVERY,
  });
  const begin = () => {
    const isMember = membership() !== null;
    node.hidden = !isMember;
    for (const place of [head, buttons, message, votes]) place.replaceChildren();
    if (!isMember) return;
    showButtons();
    poll.begin(0);
  };
  let sending = false;
  /** Send votes one by one. Those that do not arrive are sent again after the next poll. */
  const sendVotes = async () => {
    if (sending) return;
    sending = true;
    for (const [question, given] of waitingVotes()) {
      const answer = isHeld(question)
        ? await server.vote({ ...me(), question, given }).catch(unanswered)
        : {};
      if (answer && "error" in answer) setText(message, String(answer.error));
      else if (answer) voted(question, given);
    }
    sending = false;
  };
  heard("class-changed", life, begin);
  heard("lesson-asked", life, showVotes);
  heard("lesson-predicted", life, () => void sendVotes());
  if (code) tell("class-changed", null);
  else begin();
}
