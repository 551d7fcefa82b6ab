"""A class: votes before and after the reveal, presence, limits, restarts, and deletion after a day."""

from __future__ import annotations

import stat
from collections.abc import Callable

import pytest
from clocks import Clock

from cdvft_app.lessons import classes
from cdvft_app.lessons.classes import (
    LIFETIME,
    MAX_PER_STARTER,
    ClassError,
    Classes,
    GoneError,
)

QUESTIONS = {"rank-zero": 9, "reach": 3}


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def server(tmp_path, clock: Clock) -> Callable[[], Classes]:
    """Each call starts a server over the same folder."""
    return lambda: Classes(QUESTIONS, tmp_path, clock)


@pytest.fixture
def taught(server: Callable[[], Classes]) -> tuple[Classes, str, str]:
    made = server()
    started = made.start("address 192.0.2.1")
    return made, started["code"], started["key"]


def test_votes_are_hidden_from_students_until_revealed(taught) -> None:
    made, code, key = taught
    for student, given in (("ada", 8), ("bob", 9), ("cyd", 8), ("bob", 8)):  # the last vote of each counts
        made.vote(code.lower(), student, "rank-zero", given)
    assert made.seen(code, "ada")["votes"] == {}
    assert made.seen(code, key=key)["votes"] == {"rank-zero": {"8": 3}}
    assert made.seen(code, key="guessed")["votes"] == {}
    made.reveal(code, key, "rank-zero")
    seen = made.seen(code, "ada")
    assert (seen["votes"], seen["revealed"]) == ({"rank-zero": {"8": 3}}, ["rank-zero"])
    with pytest.raises(ClassError) as caught:
        made.vote(code, "dan", "rank-zero", 1)
    assert str(caught.value) == classes.REVEALED


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (
            lambda made, code: made.vote(code, "ada", "rank-zero", 10),
            classes.INVALID_VOTE.format(given=10, most=9),
        ),
        (lambda made, code: made.vote(code, "ada", "no", 1), classes.UNKNOWN_QUESTION.format(name="no")),
        (lambda made, code: made.vote(code, "", "reach", 1), classes.INVALID_ID.format(given="", most=64)),
        (lambda made, code: made.vote("QQQQQ", "ada", "reach", 1), classes.NO_CLASS),
        (lambda made, code: made.table(code, "\ud800"), classes.NOT_TEACHER),
        (lambda made, code: made.show(code, "no key", "rank", "reach"), classes.NOT_TEACHER),
        (lambda made, code: made.reveal(code, None, "reach"), classes.NOT_TEACHER),
    ],
)
def test_class_rejects_invalid_requests(taught, call, error: str) -> None:
    made, code, key = taught
    before = made.seen(code, "ada", key)
    with pytest.raises(ClassError) as caught:
        call(made, code)
    assert str(caught.value) == error
    assert made.seen(code, "ada", key) == before


def test_restart_keeps_class_and_votes(taught, server) -> None:
    made, code, key = taught
    made.show(code, key, "rank", "rank-zero")
    made.vote(code, "ada", "rank-zero", 8)
    made.reveal(code, key, "rank-zero")
    before, table = made.seen(code, "ada", key), made.table(code, key)
    again = server()
    assert again.seen(code, "ada", key) == before
    assert again.table(code, key) == table


@pytest.mark.parametrize("restarted", [False, True])
def test_class_is_deleted_after_a_day(taught, server, clock: Clock, tmp_path, restarted: bool) -> None:
    made, code, key = taught
    made.vote(code, "ada lovelace", "reach", 2)
    clock.now += LIFETIME - 1
    assert made.exists(code)
    clock.now += 2
    if restarted:
        made.close()
        server()
    else:
        with pytest.raises(GoneError):
            made.table(code, key)
    on_disk = b"".join(file.read_bytes() for file in tmp_path.iterdir())
    assert not [word for word in (b"ada", code.encode()) if word in on_disk]


def test_file_is_private_and_holds_no_key_or_address(taught, tmp_path) -> None:
    _, _, key = taught
    on_disk = b"".join(file.read_bytes() for file in tmp_path.iterdir())
    assert on_disk and key.encode() not in on_disk and b"192.0.2.1" not in on_disk
    assert {stat.S_IMODE(file.stat().st_mode) for file in tmp_path.iterdir()} == {0o600}


def test_starter_has_a_share_of_classes(server, monkeypatch) -> None:
    monkeypatch.setattr(classes, "MAX_CLASSES", MAX_PER_STARTER + 1)
    made = server()
    for _ in range(MAX_PER_STARTER):
        made.start("one place")
    with pytest.raises(ClassError):
        made.start("one place")
    made.start("another place")
    with pytest.raises(ClassError):
        made.start("a third place")
