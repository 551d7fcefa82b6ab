"""Classes: what a teacher shows, votes before a reveal, questions that the server draws and grades, homework.

All of it lies in memory, under codes that are drawn at random, and is forgotten after a day. Nobody gives a
name: a browser makes up a random id, which the table shows as a code of four letters.
"""

from __future__ import annotations

import csv
import io
import secrets
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone

from itsdangerous import BadData, URLSafeTimedSerializer

from cdvft_app.lessons import sealed
from cdvft_app.payloads.learn import ClassSeen, ClassStarted, HomeworkProof, SealedGrade, SealedQuestion

LIFETIME = 24 * 3600  # seconds
MAX_CLASSES, MAX_OF_ONE = 500, 20  # that live, of all and of one who starts them
MAX_PUPILS, MAX_ROWS, MAX_DRAWN = 300, 6000, 50  # of a class; drawn questions of one pupil
MAX_STATE, MAX_ID = 2000, 64  # characters
LETTERS = "ABCDEFGHJKLMNPQRSTUVWXYZ"  # none that is taken for a number
CODE_LENGTH, PUPIL_LENGTH = 5, 4
FORMULA = ("=", "+", "-", "@", "\t", "\r")  # what begins a cell that a spreadsheet calculates
COLUMNS = ("pupil", "when", "what", "question", "answer", "right")


class ClassError(ValueError):
    """What a class refuses, in a sentence for whoever asked."""


@dataclass
class _Class:
    key: str
    starter: str
    began: float
    address: str = ""
    revealed: set[str] = field(default_factory=set)
    votes: dict[str, dict[str, int]] = field(default_factory=dict)  # by question and pupil
    pupils: dict[str, str] = field(default_factory=dict)  # codes by the ids that browsers made up
    drawn: dict[str, dict[str, sealed.Sealed]] = field(default_factory=dict)  # by pupil and number
    asked: Counter[str] = field(default_factory=Counter)  # how many each pupil has drawn
    rows: list[tuple[str, ...]] = field(default_factory=list)


class Classes:
    """All classes of a server.

    Args:
        questions: how many answers each of the lessons' questions has, by its key
        signing_key: with which homework is signed; empty: none is taken
    """

    def __init__(
        self, questions: Mapping[str, int], signing_key: str, clock: Callable[[], float] = time.time
    ) -> None:
        self._questions = questions
        self._signer = URLSafeTimedSerializer(signing_key, salt="homework") if signing_key else None
        self._clock = clock
        self._classes: dict[str, _Class] = {}
        self._lock = threading.Lock()

    def start(self, starter: str) -> ClassStarted:
        """A new class's code, which pupils get, and the teacher's key.

        Raises:
            ClassError: too many live, of all or of whoever asks.
        """
        with self._lock:
            self._forget()
            mine = sum(one.starter == starter for one in self._classes.values())
            if len(self._classes) >= MAX_CLASSES or mine >= MAX_OF_ONE:
                raise ClassError(
                    f"At most {MAX_OF_ONE} classes are started from one place a day, and "
                    f"{MAX_CLASSES} in all; "
                    "go on with one of them, or try again tomorrow."
                )
            code = _fresh(CODE_LENGTH, self._classes)
            self._classes[code] = made = _Class(secrets.token_urlsafe(16), starter, self._clock())
            return {"code": code, "key": made.key}

    def show(self, code: object, key: object, address: object) -> None:
        """Let everybody follow to this state: the query of a lesson's address."""
        with self._lock:
            found = self._taught(code, key)
            shown = _text(address, "address", MAX_STATE)
            if not shown.startswith("?"):  # pupils' browsers follow it
                raise ClassError("Show the query of a lesson's address, which begins with a question mark.")
            found.address = shown

    def reveal(self, code: object, key: object, question: object) -> None:
        with self._lock:
            self._taught(code, key).revealed.add(self._question(question))

    def seen(self, code: object, pupil: object = None, key: object = None) -> ClassSeen:
        """What is shown now. Votes of a question are told once it is revealed, to the teacher at once."""
        with self._lock:
            found = self._found(code)
            teaches = _is_key(key, found)
            you = self._pupil(found, pupil) if pupil is not None else ""
            told = found.votes if teaches else {name: found.votes.get(name, {}) for name in found.revealed}
            return {
                "address": found.address,
                "revealed": sorted(found.revealed),
                "votes": {
                    name: {str(value): many for value, many in sorted(Counter(given.values()).items())}
                    for name, given in told.items()
                },
                "pupils": len(found.pupils),
                "you": you,
            }

    def vote(self, code: object, pupil: object, question: object, given: object) -> None:
        """A prediction, a number from 1 on; the last one before the reveal counts."""
        with self._lock:
            found, name = self._found(code), self._question(question)
            who = self._pupil(found, pupil)
            most = self._questions[name]
            if isinstance(given, bool) or not isinstance(given, int) or not 1 <= given <= most:
                raise ClassError(f"The vote is {str(given)[:40]!r}; this question takes 1 to {most}.")
            if name in found.revealed:
                raise ClassError("This question has been revealed; votes count before.")
            found.votes.setdefault(name, {})[who] = given

    def draw(self, code: object, pupil: object, kind: object) -> SealedQuestion:
        """A question with fresh numbers; its answer stays here."""
        with self._lock:
            found = self._found(code)
            who = self._pupil(found, pupil)
            if not isinstance(kind, str) or kind not in sealed.KINDS:
                raise ClassError(f"There are sealed questions on {', '.join(sealed.KINDS)}; choose one.")
            if found.asked[who] >= MAX_DRAWN:
                raise ClassError(f"You have drawn {MAX_DRAWN} questions today; that is all there are.")
            found.asked[who] += 1
            number = str(found.asked[who])
            found.drawn.setdefault(who, {})[number] = made = sealed.draw(kind)
            return {"number": number, "prompt": made.prompt}

    def answer(self, code: object, pupil: object, number: object, given: object) -> SealedGrade:
        """Grade the answer to a drawn question, once; it goes into the table."""
        with self._lock:
            found = self._found(code)
            who = self._pupil(found, pupil)
            asked = found.drawn.get(who, {}).get(str(number)[:8])
            if asked is None:
                raise ClassError("This question was answered already, or never drawn; draw another.")
            if isinstance(given, bool) or not isinstance(given, int) or abs(given) > 10**12:
                raise ClassError("Answer with a whole number.")
            del found.drawn[who][str(number)[:8]]
            right = given == asked.answer
            self._note(found, who, "sealed question", asked.prompt, str(given), str(right).lower())
            return {"right": right, "answer": asked.answer}

    def hand_in(self, code: object, pupil: object, state: object) -> str:
        """Take a state, the query of a lesson's address, as homework.

        Returns:
            a signed receipt of when it was handed in, to which class, and what: not of who did the work.
        """
        if self._signer is None:
            raise ClassError("This server signs no homework: whoever runs it sets CDVFT_CLASS_KEY.")
        with self._lock:
            found = self._found(code)
            who = self._pupil(found, pupil)
            handed = _text(state, "state", MAX_STATE)
            receipt = self._signer.dumps({"class": str(code).upper(), "pupil": who, "state": handed})
            self._note(found, who, "homework", "", handed, "")
            return str(receipt)

    def check(self, receipt: object) -> HomeworkProof:
        """What a receipt proves, also after the class is forgotten and the server was restarted.

        Raises:
            ClassError: it was not signed here, or changed since.
        """
        if self._signer is None:
            raise ClassError("This server signs no homework: whoever runs it sets CDVFT_CLASS_KEY.")
        try:
            said, when = self._signer.loads(_text(receipt, "receipt", 2 * MAX_STATE), return_timestamp=True)
        except BadData:
            raise ClassError("This receipt was not signed by this server, or was changed since.") from None
        return {
            "class": said["class"],
            "pupil": said["pupil"],
            "when": _written(when.timestamp()),
            "state": said["state"],
        }

    def table(self, code: object, key: object) -> str:
        """All sealed answers and homework as CSV, by the pupils' codes."""
        with self._lock:
            rows = self._taught(code, key).rows
            return as_csv(COLUMNS, rows)

    def _note(self, found: _Class, who: str, *what: str) -> None:
        if len(found.rows) >= MAX_ROWS:
            raise ClassError(f"The table of this class is full, at {MAX_ROWS} rows.")
        found.rows.append((who, _written(self._clock()), *what))

    def _forget(self) -> None:
        oldest = self._clock() - LIFETIME
        self._classes = {code: one for code, one in self._classes.items() if one.began > oldest}

    def _found(self, code: object) -> _Class:
        self._forget()
        found = self._classes.get(code.upper()) if isinstance(code, str) else None
        if found is None:
            raise ClassError("There is no class of this code; classes are forgotten after a day.")
        return found

    def _taught(self, code: object, key: object) -> _Class:
        found = self._found(code)
        if not _is_key(key, found):
            raise ClassError("Only who started this class, in the same browser, may do that.")
        return found

    def _question(self, name: object) -> str:
        if not isinstance(name, str) or name not in self._questions:
            raise ClassError("No lesson has this question; reload the page.")
        return name

    @staticmethod
    def _pupil(found: _Class, made_up: object) -> str:
        name = _text(made_up, "id", MAX_ID)
        if name not in found.pupils:
            if len(found.pupils) >= MAX_PUPILS:
                raise ClassError(f"This class is full, at {MAX_PUPILS}.")
            found.pupils[name] = _fresh(PUPIL_LENGTH, found.pupils.values())
        return found.pupils[name]


def _is_key(given: object, found: _Class) -> bool:
    sent = given.encode("utf-8", "surrogatepass") if isinstance(given, str) else b""
    return secrets.compare_digest(sent, found.key.encode())


def as_csv(columns: Iterable[str], rows: Iterable[tuple[str, ...]]) -> str:
    """A table for a spreadsheet, in which no cell is taken for a formula."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(columns)
    writer.writerows([f"'{cell}" if cell.startswith(FORMULA) else cell for cell in row] for row in rows)
    return out.getvalue()


def _fresh(length: int, taken: Iterable[str]) -> str:
    known = {*taken}
    while (code := "".join(secrets.choice(LETTERS) for _ in range(length))) in known:
        pass
    return code


def _text(given: object, what: str, most: int) -> str:
    if not isinstance(given, str) or not given.strip() or len(given) > most or not _is_unicode(given):
        raise ClassError(f"The {what} is {str(given)[:40]!r}; send a text of 1 to {most:,} characters.")
    return given


def _is_unicode(given: str) -> bool:
    """Whether no half of a surrogate pair stands alone, which nothing could be written with."""
    return given.encode("utf-8", "replace").decode() == given


def _written(when: float) -> str:
    return datetime.fromtimestamp(when, timezone.utc).strftime("%Y-%m-%d %H:%M:%S UTC")
