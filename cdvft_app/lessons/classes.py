"""Classes: students follow what their teacher shows, and vote on questions before the answer is revealed.

Codes and votes are in a SQLite file, so that a restart keeps them. After a day they are deleted, also from
the file's free pages. Presence is kept in memory only. No one gives a name: a browser makes up a random id.
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
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from cdvft_app.data.text_file import escaped_formula
from cdvft_app.errors import UserError
from cdvft_app.payloads.learn import ClassSeen, ClassStarted

FILE = "classes.sqlite"
LIFETIME = 24 * 3600
"""Seconds until a class is deleted."""
ABSENT_AFTER = 10.0
"""Seconds without a poll until a student counts as gone."""
MAX_CLASSES, MAX_PER_STARTER = 2000, 5
MAX_STUDENTS, MAX_PER_CLIENT = 300, 100
"""Students present in a class, in all and from one address: a school may share one."""
MAX_VOTES = 20_000
MAX_ID = 64
LETTERS = "ABCDEFGHJKLMNPQRSTUVWXYZ"  # without I and O, which look like digits
CODE_LENGTH = 5
COLUMNS = ("student", "question", "answer")
TABLES = """
CREATE TABLE IF NOT EXISTS classes (
    code TEXT PRIMARY KEY,
    key_hash TEXT NOT NULL,            -- of the teacher's key
    began REAL NOT NULL,
    lesson TEXT NOT NULL DEFAULT '',   -- what the teacher shows
    question TEXT NOT NULL DEFAULT '',
    shown INTEGER NOT NULL DEFAULT 0   -- number of times that the teacher pressed Show
);
CREATE TABLE IF NOT EXISTS revealed (
    class TEXT NOT NULL REFERENCES classes ON DELETE CASCADE,
    question TEXT NOT NULL,
    PRIMARY KEY (class, question)
);
CREATE TABLE IF NOT EXISTS votes (
    class TEXT NOT NULL REFERENCES classes ON DELETE CASCADE,
    question TEXT NOT NULL,
    student TEXT NOT NULL,
    given INTEGER NOT NULL,
    PRIMARY KEY (class, question, student)
);
"""
NO_CLASS = "No class has this code. Classes are deleted after a day."
FULL = "This class is full ({limit} students)."
NOT_TEACHER = "Only the browser that started this class can do that."
TOO_MANY = "Too many classes. Continue with one of yours, or try again tomorrow."
REVEALED = "This question has been revealed. Votes count before."
UNKNOWN_QUESTION = "Question {name!r} not found. Reload the page."
INVALID_VOTE = "The vote is {given}. Use a whole number from 1 to {most}."
INVALID_ID = "The student id is {given!r}. Use 1 to {most} characters."
NOT_STORED = "The server cannot store classes ({error}). Tell its operator."


class ClassError(UserError):
    """A class rejects a request."""


class GoneError(ClassError):
    """The class does not exist or is full; the browser need not ask again."""


class Classes:
    """All classes of a server.

    Args:
        questions: number of answers of each question, by its key
        folder: where the file is stored
        clock: seconds since the epoch
    """

    def __init__(
        self, questions: Mapping[str, int], folder: Path, clock: Callable[[], float] = time.time
    ) -> None:
        self._questions = questions
        self._clock = clock
        self._file = folder / FILE
        self._starters: dict[str, str] = {}  # by code; they may be addresses, so they are not stored
        self._present: dict[str, dict[str, tuple[str, float]]] = defaultdict(dict)
        """By class and student: the client, and the time of the last poll."""
        self._connection: sqlite3.Connection | None = None
        self._lock = threading.Lock()
        if self._file.exists():
            with suppress(ClassError), self._transaction():  # deletes old classes
                pass

    def start(self, starter: str) -> ClassStarted:
        """Return a new class's code for the students, and the teacher's key.

        Raises:
            ClassError: There are too many classes, in all or of this starter.
        """
        with self._transaction() as rows:
            live = {code for (code,) in rows.execute("SELECT code FROM classes")}
            self._starters = {code: who for code, who in self._starters.items() if code in live}
            started = sum(who == starter for who in self._starters.values())
            if len(live) >= MAX_CLASSES or started >= MAX_PER_STARTER:
                raise ClassError(TOO_MANY)
            while (code := _letters(secrets.token_bytes(8))) in live:
                pass
            key = secrets.token_urlsafe(16)
            row = (code, _hash(key), self._clock())
            rows.execute("INSERT INTO classes (code, key_hash, began) VALUES (?, ?, ?)", row)
            self._starters[code] = starter
            return {"code": code, "key": key}

    def exists(self, code: object) -> bool:
        with self._transaction() as rows:
            try:
                return bool(_class(rows, code))
            except GoneError:
                return False

    def show(self, code: object, key: object, lesson: str, question: object) -> None:
        """Let the students follow to a question of a lesson."""
        with self._transaction() as rows:
            own = self._taught(rows, code, key)
            shown = (lesson, self._question(question), own)
            rows.execute(
                "UPDATE classes SET lesson = ?, question = ?, shown = shown + 1 WHERE code = ?", shown
            )

    def reveal(self, code: object, key: object, question: object) -> None:
        with self._transaction() as rows:
            own = self._taught(rows, code, key)
            rows.execute("INSERT OR IGNORE INTO revealed VALUES (?, ?)", (own, self._question(question)))

    def seen(self, code: object, student: object = None, key: object = None, client: str = "") -> ClassSeen:
        """Return what is shown now. Students get the votes of revealed questions, the teacher gets all.

        Raises:
            GoneError: There is no such class, or it is full.
        """
        with self._transaction() as rows:
            own, key_hash, lesson, question, shown = _class(rows, code)
            you = self._seat(own, student, client) if student is not None else ""
            revealed = [
                name
                for (name,) in rows.execute(
                    "SELECT question FROM revealed WHERE class = ? ORDER BY 1", (own,)
                )
            ]
            votes: dict[str, dict[str, int]] = {name: {} for name in revealed}
            counted = (
                "SELECT question, given, count(*) FROM votes WHERE class = ? GROUP BY 1, 2 ORDER BY 1, 2"
            )
            for name, given, count in rows.execute(counted, (own,)):
                if name in votes or _is_key(key, key_hash):
                    votes.setdefault(name, {})[str(given)] = count
            return {
                "lesson": lesson,
                "question": question,
                "shown": shown,
                "revealed": revealed,
                "votes": votes,
                "students": len(self._present_in(own)),
                "you": you,
            }

    def vote(self, code: object, student: object, question: object, given: object, client: str = "") -> None:
        """Store a prediction, a number from 1 on. The last one before the reveal counts."""
        with self._transaction() as rows:
            own = _class(rows, code)[0]
            name = self._question(question)
            who = self._seat(own, student, client)
            most = self._questions[name]
            if isinstance(given, bool) or not isinstance(given, int) or not 1 <= given <= most:
                raise ClassError(INVALID_VOTE.format(given=str(given)[:40], most=most))
            known = "SELECT 1 FROM revealed WHERE class = ? AND question = ?"
            if rows.execute(known, (own, name)).fetchone():
                raise ClassError(REVEALED)
            (count,) = rows.execute("SELECT count(*) FROM votes WHERE class = ?", (own,)).fetchone()
            if count >= MAX_VOTES:
                raise ClassError(FULL.format(limit=MAX_STUDENTS))
            rows.execute("INSERT OR REPLACE INTO votes VALUES (?, ?, ?, ?)", (own, name, who, given))

    def table(self, code: object, key: object) -> str:
        """Return the votes as CSV, by the students' codes. No cell is read as a formula."""
        with self._transaction() as rows:
            own = self._taught(rows, code, key)
            query = "SELECT student, question, given FROM votes WHERE class = ? ORDER BY question, student"
            votes = rows.execute(query, (own,)).fetchall()
        out = io.StringIO()
        writer = csv.writer(out)
        writer.writerow(COLUMNS)
        writer.writerows([escaped_formula(str(cell)) for cell in row] for row in votes)
        return out.getvalue()

    def close(self) -> None:
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        """Commit all or nothing, after classes that are older than a day are deleted."""
        with self._lock:
            try:
                rows = self._connection = self._connection or _connect(self._file)
                oldest = self._clock() - LIFETIME
                if rows.execute("DELETE FROM classes WHERE began <= ?", (oldest,)).rowcount:
                    rows.execute("PRAGMA wal_checkpoint(TRUNCATE)")  # the log contained them, too
                with rows:
                    rows.execute("BEGIN IMMEDIATE")
                    yield rows
            except (sqlite3.Error, OSError) as error:
                raise ClassError(NOT_STORED.format(error=error)) from error

    def _present_in(self, own: str) -> dict[str, tuple[str, float]]:
        since = self._clock() - ABSENT_AFTER
        self._present[own] = {who: seat for who, seat in self._present[own].items() if seat[1] > since}
        return self._present[own]

    def _seat(self, own: str, student: object, client: str) -> str:
        """Return the code of a student in the table, who is present from now on."""
        if not isinstance(student, str) or not 0 < len(student.strip()) <= len(student) <= MAX_ID:
            raise ClassError(INVALID_ID.format(given=str(student)[:40], most=MAX_ID))
        digest = hashlib.sha256(f"{own} {student}".encode("utf-8", "surrogatepass")).digest()
        who, present = _letters(digest), self._present_in(own)
        if who not in present:
            if len(present) >= MAX_STUDENTS:
                raise GoneError(FULL.format(limit=MAX_STUDENTS))
            if sum(seat[0] == client for seat in present.values()) >= MAX_PER_CLIENT:
                raise GoneError(FULL.format(limit=MAX_PER_CLIENT))
        present[who] = (client, self._clock())
        return who

    def _taught(self, rows: sqlite3.Connection, code: object, key: object) -> str:
        own, key_hash, *_ = _class(rows, code)
        if not _is_key(key, key_hash):
            raise ClassError(NOT_TEACHER)
        return own

    def _question(self, name: object) -> str:
        if not isinstance(name, str) or name not in self._questions:
            raise ClassError(UNKNOWN_QUESTION.format(name=str(name)[:40]))
        return name


def _connect(file: Path) -> sqlite3.Connection:
    os.close(os.open(file, os.O_CREAT | os.O_RDWR, 0o600))  # no other user of this machine reads it
    rows = sqlite3.connect(file, timeout=10, isolation_level=None, check_same_thread=False)
    try:
        settings = ("journal_mode = WAL", "synchronous = NORMAL", "foreign_keys = ON", "secure_delete = ON")
        for setting in settings:
            rows.execute(f"PRAGMA {setting}")
        rows.executescript(TABLES)
    except sqlite3.Error:
        rows.close()
        raise
    return rows


def _class(rows: sqlite3.Connection, code: object) -> tuple[str, str, str, str, int]:
    """Return code, hash of the teacher's key, lesson, question, and number of showings."""
    text = code.upper() if isinstance(code, str) and code.isascii() else ""
    query = "SELECT code, key_hash, lesson, question, shown FROM classes WHERE code = ?"
    row = rows.execute(query, (text,)).fetchone()
    if row is None:
        raise GoneError(NO_CLASS)
    return row


def _hash(key: str) -> str:
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()


def _is_key(given: object, key_hash: str) -> bool:
    return secrets.compare_digest(_hash(given) if isinstance(given, str) else "", key_hash)


def _letters(digest: bytes) -> str:
    number = int.from_bytes(digest[:8], "big")
    return "".join(LETTERS[number // len(LETTERS) ** place % len(LETTERS)] for place in range(CODE_LENGTH))
