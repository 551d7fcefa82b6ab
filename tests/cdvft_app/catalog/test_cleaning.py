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


def test_labels_that_differ_in_capitals_and_spaces_become_the_commonest():
    rows = [
        ("a", "Rechnung"),
        ("b", "rechnung"),
        ("c", "Rechnung "),
        ("d", "RECHNUNG"),
        ("e", "Lob"),
        ("f", None),
    ]
    assert after(rows, "merge-case") == [
        ("a", "Rechnung"), ("b", "Rechnung"), ("c", "Rechnung"), ("d", "Rechnung"), ("e", "Lob"), ("f", None),
    ]  # fmt: skip


def test_a_class_gets_another_name_or_goes():
    rows = [("a", "n/a"), ("b", "x"), ("c", "y"), ("d", None)]
    assert after(rows, "rename:x=y") == [("a", "n/a"), ("b", "y"), ("c", "y"), ("d", None)]
    assert after(rows, "drop:n/a") == [("b", "x"), ("c", "y"), ("d", None)]


def test_rare_classes_are_joined():
    rows = [("a", "x"), ("b", "x"), ("c", "y"), ("d", "z")]
    assert [label for _, label in after(rows, "join-rare:2")] == ["x", "x", "other", "other"]
    assert [label for _, label in after(rows, "join-rare:2=rest")] == ["x", "x", "rest", "rest"]


def test_repeats_go_and_contradictions_stay_where_only_repeats_are_dropped():
    rows = [("a", "x"), (" a ", "x"), ("a", "y"), ("b", "x")]
    assert after(rows, "drop-repeats") == [("a", "x"), ("a", "y"), ("b", "x")]


def test_contradictions_go_or_the_majority_stays():
    rows = [("a", "x"), ("a", "x"), ("a", "y"), ("b", "x"), ("c", "x"), ("c", "y"), ("d", None)]
    assert after(rows, "drop-contradictions") == [("b", "x"), ("d", None)]
    assert after(rows, "keep-majority") == [("a", "x"), ("a", "x"), ("b", "x"), ("d", None)]


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
    ],
)
def test_markup_is_taken_out(given, wanted):
    assert mend_texts([given], ("strip-html",), ()) == [wanted]


def test_markup_that_never_closes_takes_no_time():
    text = "<a " * 200_000
    assert mend_texts([text], ("strip-html",), ()) == [text.strip()]


def test_in_a_conversation_what_is_said_is_mended():
    talk = [{"role": "system", "content": "say &quot;hi&quot;"}, {"role": "user", "content": "<b>a</b>"}]
    (found,) = mend_texts([json.dumps(talk)], ("strip-html",), ())
    assert [one["content"] for one in json.loads(found)] == ['say "hi"', "a"]


def test_texts_are_cut_after_their_first_words():
    assert mend_texts(["one  two three four", "one"], ("cut:2",), ()) == ["one  two", "one"]


def test_names_of_all_classes_go_out_of_the_texts():
    rows = [("this is Good, not bad at all", "good"), ("goodness", "bad"), ("an ok", "ok")]
    assert [text for text, _ in after(rows, "hide-labels")] == [
        "this is …, not … at all",
        "goodness",
        "an ok",
    ]


def test_a_name_of_several_words_goes_as_a_whole():
    rows = [("ask New York, or new yorkers", "New York"), ("a new one", "new"), ("old", "other")]
    found = [text for text, _ in after(rows, "hide-labels")]
    assert found == ["ask …, or … yorkers", "a … one", "old"]


def test_a_thousand_names_take_no_time():
    names = [f"class {place}" for place in range(1000)]
    (found,) = mend_texts(["word " * 50_000], ("hide-labels",), names)
    assert found.count("word") == 50_000


@pytest.mark.parametrize(
    ("step", "written", "read"),
    [
        ("decimal-point", "1,5 -2,25 3 1,2,3 inf", "1.5 -2.25 3 1,2,3 inf"),  # its name in earlier versions
        (
            "numbers:comma",
            "1.234,50€ -12% 1.234.567 12.34 12.05.2024",
            "1234.50 -12 1234567 12.34 12.05.2024",
        ),
        ("numbers:point", "$1,234.50 1'234 1,23 2024-01-02 n/a", "1234.50 1234 1,23 2024-01-02 n/a"),
    ],
)
def test_numbers_as_people_write_them_are_read(step, written, read):
    rows = [("a", label) for label in written.split()]
    assert [label for _, label in after(rows, step)] == read.split()


def test_spaces_and_signs_of_printed_numbers_are_read():
    labels = ["1\u202f234,5\u00a0€", "− 5", "€ -5", "−5", "12,– EUR", "3,5 km/h", "030 1234567"]
    rows = [("a", label) for label in labels]
    read = ["1234.5", "− 5", "-5", "-5", "12", "3.5", "030 1234567"]
    assert [label for _, label in after(rows, "numbers:comma")] == read


def test_a_long_row_of_digits_takes_no_time():
    label = "1." * 50_000
    assert mend_label(label, ("numbers:comma",), ()) == label


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
    steps, classes = (
        ("merge-case", "rename:odd=other", "join-rare:5", "drop-repeats", "strip-html"),
        ("Rechnung", "other"),
    )
    found = mend(rows, COLUMNS, steps, classes)
    assert found.column("text").to_pylist() == ["a", "a", "b", "c"]
    assert found.column("label").to_pylist() == ["Rechnung", "Rechnung", "other", "other"]
    assert mend_label("1,5", ("decimal-point",), ()) == "1.5"


def test_steps_are_read_from_one_text_or_several():
    assert parse_steps(["merge-case,drop:n/a,strip-html", " cut:20 "]) == (
        "merge-case", "drop:n/a", "strip-html", "cut:20",
    )  # fmt: skip
    assert parse_steps(["drop:Lob, Dank,rename:a, b=c"]) == ("drop:Lob, Dank", "rename:a, b=c")


@pytest.mark.parametrize(
    "step",
    [
        "mend",
        "drop",
        "drop:",
        "cut:many",
        "cut:0",
        "rename:a",
        "rename:=b",
        "merge-case:x",
        "join-rare:=a",
        "drop:" + "x" * 300,
    ],
)
def test_a_step_that_is_none_is_refused_with_how_it_is_written(step):
    with pytest.raises(InvalidStep, match="step"):
        parse_steps([step])


def test_every_step_says_what_it_does():
    assert all(one.title and (one.texts or one.labels or one.kept) for one in STEPS.values())
