"""Classes: what a teacher shows, votes before a reveal, questions that the server draws and grades, homework.

All of it lies in an SQLite file of its own, under codes that are drawn at random: a restart keeps it, and
after a day it is deleted, also from the file's free pages. Nobody gives a name: a browser makes up a random
id, which the table shows as a code of four letters.
"""

from __future__ import annotations

import csv
import hashlib
import io
import os
import secrets
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import parse_qs

from itsdangerous import BadData, URLSafeTimedSerializer

from cdvft_app.data.csv_file import escaped_formula
from cdvft_app.errors import UserError
from cdvft_app.lessons import sealed
from cdvft_app.payloads.learn import ClassSeen, ClassStarted, HomeworkProof, SealedGrade, SealedQuestion

FILE = "classes.sqlite"
LIFETIME = 24 * 3600  # seconds
MAX_CLASSES, MAX_OF_ONE = 500, 20  # that live, of all and of one who starts them
MAX_PUPILS, MAX_ROWS, MAX_DRAWN = 300, 6000, 50  # of a class; drawn questions of one pupil
MAX_STATE, MAX_ID = 2000, 64  # characters
LETTERS = "ABCDEFGHJKLMNPQRSTUVWXYZ"  # none that is taken for a number
CODE_LENGTH, PUPIL_LENGTH = 5, 4
COLUMNS = ("pupil", "when", "what", "question", "answer", "right")
UNSIGNED = "This server signs no homework: whoever runs it sets CDVFT_CLASS_KEY."
TABLES = """
CREATE TABLE IF NOT EXISTS classes (
    code TEXT PRIMARY KEY,
    key_hash TEXT NOT NULL,                    -- of the teacher's key
    began REAL NOT NULL,
    address TEXT NOT NULL DEFAULT '',          -- what is shown: the query of a lesson's address
    shown INTEGER NOT NULL DEFAULT 0           -- how often something was: the same again, too
);
CREATE TABLE IF NOT EXISTS pupils (
    class TEXT NOT NULL REFERENCES classes ON DELETE CASCADE,
    id TEXT NOT NULL,                          -- that the browser made up
    pupil TEXT NOT NULL,                       -- the code in the table
    drawn INTEGER NOT NULL DEFAULT 0,          -- how many sealed questions so far
    PRIMARY KEY (class, id)
);
CREATE TABLE IF NOT EXISTS revealed (
    class TEXT NOT NULL REFERENCES classes ON DELETE CASCADE,
    question TEXT NOT NULL,
    PRIMARY KEY (class, question)
);
CREATE TABLE IF NOT EXISTS votes (
    class TEXT NOT NULL REFERENCES classes ON DELETE CASCADE,
    question TEXT NOT NULL,
    pupil TEXT NOT NULL,
    given INTEGER NOT NULL,
    PRIMARY KEY (class, question, pupil)
);
CREATE TABLE IF NOT EXISTS sealed_questions (  -- drawn, and not answered yet
    class TEXT NOT NULL REFERENCES classes ON DELETE CASCADE,
    pupil TEXT NOT NULL,
    number INTEGER NOT NULL,
    prompt TEXT NOT NULL,
    answer INTEGER NOT NULL,
    PRIMARY KEY (class, pupil, number)
);
CREATE TABLE IF NOT EXISTS table_rows (
    number INTEGER PRIMARY KEY,
    class TEXT NOT NULL REFERENCES classes ON DELETE CASCADE,
    pupil TEXT NOT NULL,
    time TEXT NOT NULL,
    what TEXT NOT NULL,
    question TEXT NOT NULL,
    answer TEXT NOT NULL,
    correct TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS rows_of_a_class ON table_rows (class);
"""


class ClassError(UserError):
    """A class refuses what was asked; the text is a sentence for whoever asked."""


class GoneError(ClassError):
    """The class is not there, or takes nobody else: who asks is in none, and need not ask again."""


class Classes:
    """All classes of a server.

    Args:
        questions: how many answers each of the lessons' questions has, by its key
        signing_key: with which homework is signed; empty: none is taken
        folder: where the file lies that keeps them
    """

    def __init__(
        self,
        questions: Mapping[str, int],
        signing_key: str,
        folder: Path,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._questions = questions
        self._signer = URLSafeTimedSerializer(signing_key, salt="homework") if signing_key else None
        self._clock = clock
        self._file = folder / FILE
        self._starters: dict[str, str] = {}  # by code; they may be addresses, so that no file has them
        self._connection: sqlite3.Connection | None = None
        self._lock = threading.Lock()
        if self._file.exists():
            with suppress(ClassError), self._transaction():  # forgets what is too old
                pass

    def start(self, starter: str) -> ClassStarted:
        """Return a new class's code, which pupils get, and the teacher's key.

        Raises:
            ClassError: too many live, of all or of whoever asks.
        """
        with self._transaction() as rows:
            live = {code for (code,) in rows.execute("SELECT code FROM classes")}
            self._starters = {code: one for code, one in self._starters.items() if code in live}
            mine = sum(one == starter for one in self._starters.values())
            if len(live) >= MAX_CLASSES or mine >= MAX_OF_ONE:
                raise ClassError(
                    f"At most {MAX_OF_ONE} classes are started from one place a day, and "
                    f"{MAX_CLASSES} in all; "
                    "go on with one of them, or try again tomorrow."
                )
            code, key = _fresh(CODE_LENGTH, live), secrets.token_urlsafe(16)
            rows.execute(
                "INSERT INTO classes (code, key_hash, began) VALUES (?, ?, ?)",
                (code, _hash(key), self._clock()),
            )
            self._starters[code] = starter
            return {"code": code, "key": key}

    def show(self, code: object, key: object, address: object) -> None:
        """Let everybody follow to this state: the query of a lesson's address."""
        with self._transaction() as rows:
            own = self._taught(rows, code, key)
            shown = _text(address, "address", MAX_STATE)
            if not shown.startswith("?"):  # pupils' browsers follow it
                raise ClassError("Show the query of a lesson's address, which begins with a question mark.")
            if "class" in parse_qs(shown[1:], keep_blank_values=True):  # they would leave this one
                raise ClassError("Show an address that joins no class.")
            rows.execute("UPDATE classes SET address = ?, shown = shown + 1 WHERE code = ?", (shown, own))

    def reveal(self, code: object, key: object, question: object) -> None:
        with self._transaction() as rows:
            own = self._taught(rows, code, key)
            rows.execute("INSERT OR IGNORE INTO revealed VALUES (?, ?)", (own, self._question(question)))

    def seen(self, code: object, pupil: object = None, key: object = None) -> ClassSeen:
        """What is shown now. Votes of a question are told once it is revealed, to the teacher at once."""
        with self._transaction() as rows:
            own, key_hash, address, shown = _found(rows, code)
            you = _pupil(rows, own, pupil) if pupil is not None else ""
            known = "SELECT question FROM revealed WHERE class = ? ORDER BY question"
            revealed = [name for (name,) in rows.execute(known, (own,))]
            votes: dict[str, dict[str, int]] = {name: {} for name in revealed}
            counted = (
                "SELECT question, given, count(*) FROM votes WHERE class = ? "
                "GROUP BY question, given ORDER BY question, given"
            )
            for name, given, many in rows.execute(counted, (own,)):
                if name in votes or _is_key(key, key_hash):
                    votes.setdefault(name, {})[str(given)] = many
            (pupils,) = rows.execute("SELECT count(*) FROM pupils WHERE class = ?", (own,)).fetchone()
            return {
                "address": address,
                "shown": shown,
                "revealed": revealed,
                "votes": votes,
                "pupils": pupils,
                "you": you,
            }

    def vote(self, code: object, pupil: object, question: object, given: object) -> None:
        """A prediction, a number from 1 on; the last one before the reveal counts."""
        with self._transaction() as rows:
            own, *_ = _found(rows, code)
            name = self._question(question)
            who = _pupil(rows, own, pupil)
            most = self._questions[name]
            if isinstance(given, bool) or not isinstance(given, int) or not 1 <= given <= most:
                raise ClassError(f"The vote is {str(given)[:40]!r}; this question takes 1 to {most}.")
            if rows.execute(
                "SELECT 1 FROM revealed WHERE class = ? AND question = ?", (own, name)
            ).fetchone():
                raise ClassError("This question has been revealed; votes count before.")
            rows.execute("INSERT OR REPLACE INTO votes VALUES (?, ?, ?, ?)", (own, name, who, given))

    def draw(self, code: object, pupil: object, kind: object) -> SealedQuestion:
        """Return a question with fresh numbers; its answer stays here."""
        with self._transaction() as rows:
            own, *_ = _found(rows, code)
            who = _pupil(rows, own, pupil)
            if not isinstance(kind, str) or kind not in sealed.KINDS:
                raise ClassError(f"There are sealed questions on {', '.join(sealed.KINDS)}; choose one.")
            (number,) = rows.execute(
                "UPDATE pupils SET drawn = drawn + 1 WHERE class = ? AND pupil = ? RETURNING drawn",
                (own, who),
            ).fetchone()
            if number > MAX_DRAWN:
                raise ClassError(f"You have drawn {MAX_DRAWN} questions today; that is all there are.")
            made = sealed.draw(kind)
            rows.execute(
                "INSERT INTO sealed_questions VALUES (?, ?, ?, ?, ?)",
                (own, who, number, made.prompt, made.answer),
            )
            return {"number": str(number), "prompt": made.prompt}

    def answer(self, code: object, pupil: object, number: object, given: object) -> SealedGrade:
        """Grade the answer to a drawn question, once; it goes into the table."""
        with self._transaction() as rows:
            own, *_ = _found(rows, code)
            who = _pupil(rows, own, pupil)
            # As text: what is no number is then no question's.
            asked = rows.execute(
                "DELETE FROM sealed_questions WHERE class = ? AND pupil = ? AND CAST(number AS TEXT) = ? "
                "RETURNING prompt, answer",
                (own, who, _ascii(number)),
            ).fetchone()
            if asked is None:
                raise ClassError("This question was answered already, or never drawn; draw another.")
            if isinstance(given, bool) or not isinstance(given, int) or abs(given) > 10**12:
                raise ClassError("Answer with a whole number.")
            prompt, answer = asked
            right = given == answer
            self._note(rows, own, who, "sealed question", prompt, str(given), str(right).lower())
            return {"right": right, "answer": answer}

    def hand_in(self, code: object, pupil: object, state: object) -> str:
        """Take a state, the query of a lesson's address, as homework.

        Returns:
            a signed receipt of when it was handed in, to which class, and what: not of who did the work.
        """
        if self._signer is None:
            raise ClassError(UNSIGNED)
        with self._transaction() as rows:
            own, *_ = _found(rows, code)
            who = _pupil(rows, own, pupil)
            handed = _text(state, "state", MAX_STATE)
            receipt = self._signer.dumps({"class": own, "pupil": who, "state": handed})
            self._note(rows, own, who, "homework", "", handed, "")
            return str(receipt)

    def check(self, receipt: object) -> HomeworkProof:
        """Return the contents of a receipt that this server signed, also after the class is forgotten.

        Raises:
            ClassError: it was not signed here, or changed since.
        """
        if self._signer is None:
            raise ClassError(UNSIGNED)
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
        """All sealed answers and homework as CSV, by the pupils' codes; no cell is taken for a formula."""
        with self._transaction() as rows:
            own = self._taught(rows, code, key)
            query = (
                "SELECT pupil, time, what, question, answer, correct FROM table_rows "
                "WHERE class = ? ORDER BY number"
            )
            found = rows.execute(query, (own,)).fetchall()
        out = io.StringIO()
        writer = csv.writer(out)
        writer.writerow(COLUMNS)
        writer.writerows(map(escaped_formula, row) for row in found)
        return out.getvalue()

    def close(self) -> None:
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        """All of it is kept, or nothing; classes of more than a day ago are deleted before it."""
        with self._lock:
            try:
                rows = self._connection = self._connection or _connect(self._file)
                oldest = self._clock() - LIFETIME
                if rows.execute("DELETE FROM classes WHERE began <= ?", (oldest,)).rowcount:
                    rows.execute("PRAGMA wal_checkpoint(TRUNCATE)")  # the log had it, too
                with rows:
                    rows.execute("BEGIN IMMEDIATE")
                    yield rows
            except (sqlite3.Error, OSError) as error:
                raise ClassError(
                    f"The server cannot keep classes now ({error}); tell whoever runs it."
                ) from error

    def _note(self, rows: sqlite3.Connection, own: str, who: str, *what: str) -> None:
        (many,) = rows.execute("SELECT count(*) FROM table_rows WHERE class = ?", (own,)).fetchone()
        if many >= MAX_ROWS:
            raise ClassError(f"The table of this class is full, at {MAX_ROWS} rows.")
        rows.execute(
            "INSERT INTO table_rows (class, pupil, time, what, question, answer, correct) "
            "VALUES (?, ?, ?, ?, ?, ?, ?)",
            (own, who, _written(self._clock()), *what),
        )

    def _taught(self, rows: sqlite3.Connection, code: object, key: object) -> str:
        own, key_hash, *_ = _found(rows, code)
        if not _is_key(key, key_hash):
            raise ClassError("Only who started this class, in the same browser, may do that.")
        return own

    def _question(self, name: object) -> str:
        if not isinstance(name, str) or name not in self._questions:
            raise ClassError("No lesson has this question; reload the page.")
        return name


def _connect(file: Path) -> sqlite3.Connection:
    os.close(os.open(file, os.O_CREAT | os.O_RDWR, 0o600))  # nobody else on this machine reads it
    rows = sqlite3.connect(file, timeout=10, isolation_level=None, check_same_thread=False)
    try:
        for setting in (
            "journal_mode = WAL",
            "synchronous = NORMAL",
            "foreign_keys = ON",
            "secure_delete = ON",
        ):
            rows.execute(f"PRAGMA {setting}")
        rows.executescript(TABLES)
        if "shown" not in [name for _, name, *_ in rows.execute("PRAGMA table_info(classes)")]:
            rows.execute("ALTER TABLE classes ADD COLUMN shown INTEGER NOT NULL DEFAULT 0")
    except sqlite3.Error:
        rows.close()
        raise
    return rows


def _found(rows: sqlite3.Connection, code: object) -> tuple[str, str, str, int]:
    """Code, the hash of the teacher's key, the address that is shown, and how often one was."""
    query = "SELECT code, key_hash, address, shown FROM classes WHERE code = ?"
    found = rows.execute(query, (_ascii(code).upper(),)).fetchone()
    if found is None:
        raise GoneError("There is no class of this code; classes are forgotten after a day.")
    return found


def _pupil(rows: sqlite3.Connection, own: str, made_up: object) -> str:
    """Return the code of who comes with this id; one who comes first gets a new one."""
    name = _text(made_up, "id", MAX_ID)
    known = dict(rows.execute("SELECT id, pupil FROM pupils WHERE class = ?", (own,)))
    if name not in known:
        if len(known) >= MAX_PUPILS:
            raise GoneError(f"This class is full, at {MAX_PUPILS}.")
        known[name] = _fresh(PUPIL_LENGTH, known.values())
        rows.execute("INSERT INTO pupils (class, id, pupil) VALUES (?, ?, ?)", (own, name, known[name]))
    return known[name]


def _hash(key: str) -> str:
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()


def _is_key(given: object, key_hash: str) -> bool:
    return secrets.compare_digest(_hash(given) if isinstance(given, str) else "", key_hash)


def _ascii(given: object) -> str:
    """Return the code or number that was sent; empty for anything that can be neither."""
    return given if isinstance(given, str) and given.isascii() else ""


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
    """Return whether the text can be encoded: no half of a surrogate pair stands alone in it."""
    return given.encode("utf-8", "replace").decode() == given


def _written(when: float) -> str:
    return datetime.fromtimestamp(when, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
