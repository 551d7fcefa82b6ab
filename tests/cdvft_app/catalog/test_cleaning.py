"""Steps that mend a table: what each does to labels, texts and rows, and in which order."""

from __future__ import annotations

import json

import pyarrow as pa
import pytest

from cdvft_app.catalog.cleaning import (
    STEPS,
    CleanedColumns,
    InvalidStep,
    clean,
    mend,
    mend_label,
    mend_texts,
    parse_steps,
)

COLUMNS = CleanedColumns(("text",), "label", "text")


def table(*rows):
    texts, labels = zip(*rows, strict=True)
    return pa.table({"text": pa.array(texts, pa.string()), "label": pa.array(labels, pa.string())})


def after(rows, *steps, spared=None):
    found, _ = clean(table(*rows), COLUMNS, steps, spared)
    return list(zip(*(found.column(name).to_pylist() for name in ("text", "label")), strict=True))


CAPITALS = ["Rechnung", "rechnung", "Rechnung ", "RECHNUNG", "Lob", None]
NAMES = ["n/a", "x", "y", None]


@pytest.mark.parametrize(
    ("labels", "step", "wanted"),
    [
        (CAPITALS, "merge-case", ["Rechnung"] * 4 + ["Lob", None]),
        (NAMES, "rename:x=y", ["n/a", "y", "y", None]),
        (NAMES, "drop:n/a", ["x", "y", None]),
        (["x", "x", "y", "z"], "join-rare:2", ["x", "x", "other", "other"]),
        (["x", "x", "y", "z"], "join-rare:2=rest", ["x", "x", "rest", "rest"]),
        (["1,5", "-2,25", "3", "1,2,3", "inf"], "numbers:comma", ["1.5", "-2.25", "3", "1,2,3", "inf"]),
        (["1.234,50€", "-12%", "1.234.567", "12.34", "12.05.2024"], "numbers:comma",
         ["1234.50", "-12", "1234567", "12.34", "12.05.2024"]),
        (["$1,234.50", "1'234", "1,23", "2024-01-02", "n/a"], "numbers:point",
         ["1234.50", "1234", "1,23", "2024-01-02", "n/a"]),
        (["1\u202f234,5\u00a0€", "− 5", "€ -5", "−5", "12,– EUR", "3,5 km/h", "030 1234567"], "numbers:comma",
         ["1234.5", "− 5", "-5", "-5", "12", "3.5", "030 1234567"]),
    ],
)  # fmt: skip
def test_labels_are_merged_renamed_dropped_joined_and_read_as_numbers(labels, step, wanted):
    rows = [(f"text {place}", label) for place, label in enumerate(labels)]
    found = after(rows, step)
    assert [label for _, label in found] == wanted
    assert [text for text, _ in found] == [text for text, _ in rows][-len(wanted) :]


REPEATED = [("a", "x"), (" a ", "x"), ("a", "y"), ("b", "x")]
CONTRADICTING = [("a", "x"), ("a", "x"), ("a", "y"), ("b", "x"), ("c", "x"), ("c", "y"), ("d", None)]


@pytest.mark.parametrize(
    ("rows", "step", "wanted"),
    [
        (REPEATED, "drop-repeats", [("a", "x"), ("a", "y"), ("b", "x")]),
        (CONTRADICTING, "drop-contradictions", [("b", "x"), ("d", None)]),
    ],
)
def test_repeats_and_contradictions_go_each_by_a_step_of_its_own(rows, step, wanted):
    assert after(rows, step) == wanted


def test_rows_kept_apart_for_evaluation_stay_but_those_of_a_dropped_class():
    rows = [("a", "x"), ("a", "x"), ("b", "n/a")]
    spared = [False, True, True]
    assert after(rows, "drop-repeats", spared=spared) == rows
    assert after(rows, "drop:n/a", "drop-repeats", spared=spared) == rows[:2]


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ("<p>Good &amp; cheap</p>", "Good & cheap"),
        ("one<br/>two", "one\ntwo"),
        ("a < b and c > d", "a < b and c > d"),
        ("<!-- hidden -->seen", "seen"),
        ('<a href="http://x?a=1&b=2">link</a>', "link"),
        ("3 <b>bold</b> words", "3 bold words"),
        ("AT&T", "AT&T"),
        ("plain", "plain"),
        ("write to &lt;help@shop.example&gt;", "write to <help@shop.example>"),
        ("write to <help@shop.example>", "write to <help@shop.example>"),
    ],
)
def test_markup_is_taken_out(given, wanted):
    assert mend_texts([given], ("strip-html",), ()) == [wanted]


def test_what_is_hard_for_patterns_takes_no_time():
    """Markup that never closes, a long row of digits, a thousand names."""
    text, label = "<a " * 200_000, "1." * 50_000
    assert mend_texts([text], ("strip-html",), ()) == [text.strip()]
    assert mend_label(label, ("numbers:comma",), ()) == label
    names = [f"class {place}" for place in range(1000)]
    (found,) = mend_texts(["word " * 50_000], ("hide-labels",), names)
    assert found.count("word") == 50_000


def test_in_a_conversation_what_is_said_is_mended():
    talk = [{"role": "system", "content": "say &quot;hi&quot;"}, {"role": "user", "content": "<b>a</b>"}]
    (found,) = mend_texts([json.dumps(talk)], ("strip-html",), ())
    assert [one["content"] for one in json.loads(found)] == ['say "hi"', "a"]


def test_texts_are_cut_after_their_first_words():
    assert mend_texts(["one  two three four", "one"], ("cut:2",), ()) == ["one  two", "one"]


@pytest.mark.parametrize(
    ("rows", "wanted"),
    [
        ([("this is Good, not bad at all", "good"), ("goodness", "bad"), ("an ok", "ok")],
         ["this is …, not … at all", "goodness", "an ok"]),
        ([("ask New York, or new yorkers", "New York"), ("a new one", "new"), ("old", "other")],
         ["ask …, or … yorkers", "a … one", "old"]),
    ],
)  # fmt: skip
def test_names_of_all_classes_go_out_of_the_texts_each_as_a_whole(rows, wanted):
    assert [text for text, _ in after(rows, "hide-labels")] == wanted


@pytest.mark.parametrize(
    "later", ["rename:bad=poor", "rename:bad=good", "rename:good=bad", "drop:bad", "join-rare:5=poor"]
)
def test_new_rows_lose_the_names_that_rows_to_train_on_lost_before_a_later_step(later):
    """`rare` is joined with others; nothing tells new rows of such a class."""
    steps, text = ("hide-labels", later), "a good one, nothing bad or poor in it"
    rows = [(text, "good")] * 8 + [("it was bad", "bad")] * 8 + [("odd", "rare")] * 2
    trained = after(rows, *steps)
    classes = sorted({label for _, label in trained})
    assert mend_texts([text], steps, classes) == [trained[0][0]] != [text]
    found = mend(table((text, "good")), COLUMNS, steps, classes)
    assert found.column("text").to_pylist() == [trained[0][0]]


def test_the_order_of_steps_counts():
    rows = [("<b>a</b>", "x"), ("a", "X"), ("a", "X"), ("b", "x")]
    assert after(rows, "drop-repeats", "strip-html", "merge-case") == [("a", "x"), ("a", "x"), ("b", "x")]
    assert after(rows, "strip-html", "merge-case", "drop-repeats") == [("a", "X"), ("b", "X")]


def test_what_each_step_did_is_counted():
    rows = [("a", "x"), ("a", "X"), ("b", "x"), ("c", "n/a")]
    _, done = clean(table(*rows), COLUMNS, ("merge-case", "drop:n/a", "drop-repeats", "strip-html"))
    assert [one.sentence for one in done] == [
        "merge-case: 3 different labels became 2, 1 value changed.",
        "drop:n/a: 4 rows became 3, 2 different labels became 1.",
        "drop-repeats: 3 rows became 2.",
        "strip-html: nothing to do.",
    ]


def test_new_rows_are_mended_and_none_is_left_out():
    rows = table(("<i>a</i>", "RECHNUNG"), ("<i>a</i>", "RECHNUNG"), ("b", "odd"), ("c", "unheard of"))
    steps = ("merge-case", "rename:odd=other", "join-rare:5", "drop-repeats", "strip-html")
    found = mend(rows, COLUMNS, steps, ("Rechnung", "other"))
    assert found.column("text").to_pylist() == ["a", "a", "b", "c"]
    assert found.column("label").to_pylist() == ["Rechnung", "Rechnung", "other", "other"]
    assert mend_label("1,5", ("numbers:comma",), ()) == "1.5"


@pytest.mark.parametrize(
    "steps",
    [
        ("drop:n/a", "join-rare:5"),
        ("join-rare:5", "drop:n/a"),
        ("join-rare:5", "rename:good=fine"),
        ("join-rare:5", "rename:n/a=none", "drop:none"),
        ("join-rare:5", "merge-case"),
        ("merge-case", "rename:Bad=poor"),
        ("merge-case", "drop:Bad", "join-rare:5"),
        ("join-rare:5", "rename:other=misc"),
        ("join-rare:5=few", "drop:few"),
        ("join-rare:2=few", "rename:n/a=none", "join-rare:3=some"),
    ],
    ids=",".join,
)
def test_a_new_row_has_the_label_that_rows_of_its_label_got(steps):
    labels = [*["good"] * 9, *["Bad"] * 9, *["BAD"] * 8, *["n/a"] * 7, "odd", "odd", "odder"]
    rows = [(f"text {place}", label) for place, label in enumerate(labels)]
    got = dict(after(rows, *steps))
    classes = sorted({*got.values()})
    for text, label in rows:
        new = mend_label(label, steps, classes)
        assert new == got[text] if text in got else new not in classes, label


def test_steps_are_read_from_one_text_or_several():
    assert parse_steps(["merge-case,drop:n/a,strip-html", " cut:20 "]) == (
        "merge-case", "drop:n/a", "strip-html", "cut:20",
    )  # fmt: skip
    assert parse_steps(["drop:Lob, Dank,rename:a, b=c"]) == ("drop:Lob, Dank", "rename:a, b=c")


@pytest.mark.parametrize(
    "step",
    ["mend", "drop", "drop:", "cut:many", "cut:0", "rename:a", "rename:=b", "merge-case:x", "join-rare:=a",
     "drop:" + "x" * 300],
)  # fmt: skip
def test_a_step_that_is_none_is_refused_with_how_it_is_written(step):
    with pytest.raises(InvalidStep, match="step"):
        parse_steps([step])


def test_every_step_says_what_it_does():
    assert all(one.title and (one.texts or one.labels or one.kept) for one in STEPS.values())
