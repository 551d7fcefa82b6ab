"""A class: votes told once revealed, sealed answers, signed homework; kept over a restart, for a day."""

from __future__ import annotations

import csv
import io
import sqlite3
import stat
from contextlib import closing

import pytest
from clocks import Clock

from cdvft_app.lessons import classes
from cdvft_app.lessons.classes import FILE, LIFETIME, MAX_DRAWN, MAX_OF_ONE, MAX_PUPILS, ClassError, Classes

KEY = "a key of the operator's"
QUESTIONS = {"rank-zero": 9, "reach": 3}


@pytest.fixture
def program(tmp_path):
    """Each call is a server that begins, over the same folder."""

    def begin(key: str = KEY, clock: Clock | None = None) -> Classes:
        return Classes(QUESTIONS, key, tmp_path, clock or Clock())

    return begin


@pytest.fixture
def taught(program):
    made = program()
    started = made.start("address 192.0.2.1")
    return made, started["code"], started["key"]


def test_votes_are_the_teachers_until_they_are_revealed(taught):
    made, code, key = taught
    for pupil, given in (("ada", 8), ("bob", 9), ("cyd", 8), ("bob", 8)):  # the last vote of each counts
        made.vote(code.lower(), pupil, "rank-zero", given)
    assert made.seen(code, "ada")["votes"] == {}
    assert made.seen(code, key=key)["votes"] == {"rank-zero": {"8": 3}}
    assert made.seen(code, key="guessed")["votes"] == {}
    made.reveal(code, key, "rank-zero")
    seen = made.seen(code, "ada")
    assert (seen["votes"], seen["revealed"]) == ({"rank-zero": {"8": 3}}, ["rank-zero"])
    with pytest.raises(ClassError, match="has been revealed"):
        made.vote(code, "dan", "rank-zero", 1)


def test_what_the_teacher_shows_is_followed(taught):
    made, code, key = taught
    made.show(code, key, "?tab=learn&lesson=rank&values=1")
    seen = made.seen(code, "ada")
    assert seen["address"] == "?tab=learn&lesson=rank&values=1"
    assert (seen["pupils"], len(seen["you"]), made.seen(code, "ada")["you"]) == (1, 4, seen["you"])
    made.show(code, key, seen["address"])  # for those who went elsewhere
    assert (seen["shown"], made.seen(code, "ada")["shown"]) == (1, 2)


def test_a_class_of_before_shows_were_counted_goes_on(taught, program, tmp_path):
    made, code, key = taught
    made.close()
    with closing(sqlite3.connect(tmp_path / FILE)) as file:
        file.execute("ALTER TABLE classes DROP COLUMN shown")
    program().show(code, key, "?tab=learn")
    assert program().seen(code)["shown"] == 1


def test_nobody_is_led_out_of_the_page(taught):
    made, code, key = taught
    for address in ("javascript:alert(1)", "https://example.org/?tab=learn", "//example.org"):
        with pytest.raises(ClassError, match="begins with a question mark"):
            made.show(code, key, address)
    with pytest.raises(ClassError, match="an address that joins no class"):
        made.show(code, key, "?tab=learn&class=QQQQQ")
    assert made.seen(code)["address"] == ""


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda made, code: made.vote(code, "ada", "rank-zero", 10), "takes 1 to 9"),
        (lambda made, code: made.vote(code, "ada", "rank-zero", True), "takes 1 to 9"),
        (lambda made, code: made.vote(code, "ada", "no question", 1), "No lesson has this question"),
        (lambda made, code: made.vote(code, "", "reach", 1), "send a text of 1 to 64"),
        (lambda made, code: made.vote(code, "a" * 65, "reach", 1), "send a text of 1 to 64"),
        (lambda made, code: made.vote("QQQQQ", "ada", "reach", 1), "There is no class of this code"),
        (lambda made, code: made.seen(None), "There is no class of this code"),
        (lambda made, code: made.hand_in(code, "ada", "x" * 2001), "send a text of 1 to 2,000"),
        (lambda made, code: made.draw(code, "ada", "no kind"), "There are sealed questions on shift"),
        (lambda made, code: made.draw(code, "ada", [["rank"]]), "There are sealed questions on shift"),
        (lambda made, code: made.vote(code, "\ud800", "reach", 1), "send a text of 1 to 64"),
        (lambda made, code: made.table(code, "\ud800"), "Only who started this class"),
        (lambda made, code: made.table(code, 7), "Only who started this class"),
        (lambda made, code: made.show(code, "no key", "?tab=learn"), "Only who started this class"),
        (lambda made, code: made.reveal(code, None, "reach"), "Only who started this class"),
        (lambda made, code: made.check("no.receipt.atall"), "not signed by this server"),
        (lambda made, code: made.answer(code, "ada", "1", 3), "answered already, or never drawn"),
        (
            lambda made, code: made.answer(code, "ada", made.draw(code, "ada", "rank")["number"], True),
            "whole",
        ),
        (lambda made, code: [made.draw(code, "ada", "rank") for _ in range(MAX_DRAWN + 1)], "drawn 50 ques"),
    ],
)
def test_what_makes_no_sense_is_refused_in_a_sentence(taught, call, said):
    made, code, key = taught
    before = made.seen(code, "ada", key)
    with pytest.raises(ClassError, match=said):
        call(made, code)
    assert made.seen(code, "ada", key) == before


def test_a_sealed_question_keeps_its_answer_until_one_is_given(taught):
    made, code, key = taught
    drawn = made.draw(code, "ada", "rank")
    assert drawn.keys() == {"number", "prompt"}
    graded = made.answer(code, "ada", drawn["number"], -1)
    assert graded["right"] is False and graded["answer"] > 0
    with pytest.raises(ClassError, match="answered already"):
        made.answer(code, "ada", drawn["number"], graded["answer"])
    other = made.draw(code, "bob", "shift")
    with pytest.raises(ClassError, match="never drawn"):
        made.answer(code, "ada", other["number"] + "0", 1)
    rows = [*csv.DictReader(io.StringIO(made.table(code, key)))]
    assert [(row["what"], row["question"], row["answer"], row["right"]) for row in rows] == [
        ("sealed question", drawn["prompt"], "-1", "false")
    ]
    assert rows[0]["pupil"] == made.seen(code, "ada")["you"]


def test_the_table_holds_no_formula(taught):
    made, code, key = taught
    made.hand_in(code, "ada", '=HYPERLINK("http://192.0.2.1")')
    (row,) = csv.DictReader(io.StringIO(made.table(code, key)))
    assert row["answer"] == """'=HYPERLINK("http://192.0.2.1")"""


def test_a_receipt_proves_what_was_handed_in_and_survives_a_restart(taught, program):
    made, code, key = taught
    receipt = made.hand_in(code, "ada", "?tab=learn&lesson=rank&answer=8")
    proved = program().check(receipt)
    assert (proved["class"], proved["state"]) == (code, "?tab=learn&lesson=rank&answer=8")
    assert proved["pupil"] == made.seen(code, "ada")["you"] and proved["when"].endswith(" UTC")
    elsewhere = program("another key, as long").hand_in(code, "ada", "?x")
    for other in (receipt[:-2] + "xx", "nothing", elsewhere):
        with pytest.raises(ClassError, match="not signed by this server"):
            program().check(other)
    row, _ = csv.DictReader(io.StringIO(made.table(code, key)))
    assert (row["question"], row["answer"], row["right"]) == ("", "?tab=learn&lesson=rank&answer=8", "")
    with pytest.raises(ClassError, match="CDVFT_CLASS_KEY"):
        program("").hand_in(code, "ada", "?x")


def test_a_restart_forgets_nothing_of_a_class(taught, program):
    made, code, key = taught
    made.show(code, key, "?tab=learn&lesson=rank")
    made.vote(code, "ada", "rank-zero", 8)
    made.vote(code, "ada", "reach", 2)
    made.reveal(code, key, "rank-zero")
    made.hand_in(code, "ada", "?tab=learn&lesson=fft")
    drawn = made.draw(code, "bob", "rank")
    before, table = made.seen(code, "ada", key), made.table(code, key)
    assert before["votes"] == {"rank-zero": {"8": 1}, "reach": {"2": 1}}

    again = program()
    assert again.seen(code, "ada", key) == before
    assert again.table(code, key) == table
    assert again.answer(code, "bob", drawn["number"], -1)["right"] is False
    assert again.draw(code, "bob", "rank")["number"] != drawn["number"]
    with pytest.raises(ClassError, match="has been revealed"):
        again.vote(code, "bob", "rank-zero", 1)
    with pytest.raises(ClassError, match="Only who started this class"):
        again.show(code, "guessed", "?tab=learn")


@pytest.mark.parametrize("restarted", [False, True])
def test_everything_is_forgotten_after_a_day(program, tmp_path, restarted):
    clock = Clock()
    made = program(clock=clock)
    started = made.start("address 192.0.2.1")
    made.hand_in(started["code"], "ada lovelace", "?lesson=by-ada")
    made.vote(started["code"], "ada lovelace", "reach", 2)
    clock.now += LIFETIME - 1
    assert made.seen(started["code"])["pupils"] == 1
    clock.now += 2
    if restarted:
        made.close()
        program(clock=clock)
    else:
        with pytest.raises(ClassError, match="forgotten after a day"):
            made.table(started["code"], started["key"])
    on_disk = b"".join(file.read_bytes() for file in tmp_path.iterdir())
    assert not [word for word in (b"ada", started["code"].encode()) if word in on_disk]


def test_the_file_is_for_nobody_else_and_names_no_key_and_no_address(taught, tmp_path):
    _, _, key = taught
    on_disk = b"".join(file.read_bytes() for file in tmp_path.iterdir())
    assert on_disk and key.encode() not in on_disk and b"192.0.2.1" not in on_disk
    assert {stat.S_IMODE(file.stat().st_mode) for file in tmp_path.iterdir()} == {0o600}


def test_a_file_that_cannot_be_used_is_a_sentence(program, tmp_path):
    (tmp_path / FILE).write_bytes(b"no database " * 100)
    made = program()
    with pytest.raises(ClassError, match="cannot keep classes now"):
        made.start("a")


def test_classes_and_pupils_are_bounded(program):
    made = program()
    code, *_ = (made.start("one place")["code"] for _ in range(MAX_OF_ONE))
    with pytest.raises(ClassError, match="are started from one place"):
        made.start("one place")
    made.start("another place")
    for pupil in range(MAX_PUPILS):
        made.seen(code, f"pupil {pupil}")
    with pytest.raises(ClassError, match="This class is full"):
        made.seen(code, "one more")
    assert made.seen(code, "pupil 0")["pupils"] == MAX_PUPILS


def test_the_number_of_classes_and_the_rows_of_each_are_bounded(program, monkeypatch):
    monkeypatch.setattr(classes, "MAX_CLASSES", 2)
    monkeypatch.setattr(classes, "MAX_ROWS", 3)
    made = program()
    code, _ = (made.start(place)["code"] for place in ("one", "another"))
    with pytest.raises(ClassError, match="and 2 in all; "):
        made.start("a third")
    for pupil in ("ada", "bob", "cyd"):
        made.hand_in(code, pupil, "?tab=learn&lesson=rank")
    with pytest.raises(ClassError, match="is full, at 3 rows"):
        made.hand_in(code, "dan", "?tab=learn&lesson=rank")
