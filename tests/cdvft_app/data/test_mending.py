"""Data that is learned from after steps: what is found, what helps, and what a run then gets."""

from __future__ import annotations

import random

import made
import pytest
from given_tables import looked, table_of

from cdvft_app.catalog.dataset_readers import read_uploaded
from cdvft_app.catalog.uploaded import train_test_split
from cdvft_app.commands.data import lines
from cdvft_app.data.inspect import as_dict
from cdvft_app.data.library import read_steps
from cdvft_app.data.source import DataRefused


@pytest.fixture
def dirty(tmp_path):
    """A CSV with spellings of a class, no answers, repeats, contradictions, HTML."""
    drawn = random.Random(0)
    rows = []
    for place in range(200):
        label = ("Rechnung", "Lob", "Frage")[place % 3] if place % 17 else "n/a"
        label = label.lower() if place % 10 == 1 else label
        text = f"{drawn.choice(made.GOOD)} text {place}"
        text = f"<b>{text}</b>" if place % 4 == 0 else text
        rows.append((f"{text} {label}" if place % 3 else text, label))
    rows += [rows[0]] * 5 + [(rows[1][0], "Frage"), *((f"rare {place}", "Selten") for place in range(3))]
    return made.clean_csv(tmp_path / "tickets.csv", rows)


def steps_of(found):
    return {step for one in found.warnings for step in one.steps}


def test_each_finding_names_the_steps_that_mend_it(dirty):
    found = looked(dirty)
    wanted = {"merge-case", "join-rare:8", "hide-labels", "strip-html", "drop-repeats"}
    assert wanted | {"drop-contradictions"} <= steps_of(found)
    said = as_dict(found)
    mended = {one["step"]: one for one in said["mended_by"]}
    assert mended["strip-html"]["warning"] in said["warnings"] and mended.keys() == steps_of(found)
    assert any("--clean merge-case" in line for line in lines(found))


def test_after_the_steps_nothing_of_it_is_found_and_the_numbers_are_told(dirty):
    steps = read_steps(
        ["strip-html,merge-case,drop:n/a,join-rare:8,hide-labels,drop-contradictions,drop-repeats"]
    )
    found = looked(dirty, steps)
    assert steps_of(found) <= {"join-rare:8"}
    assert [name for name, _, _ in found.classes] == ["Frage", "Lob", "Rechnung", "other"]
    assert found.cleaned[0].startswith("strip-html: ") and "values changed" in found.cleaned[0]
    assert "8 different labels became 5" in found.cleaned[1]
    assert "evaluation set is drawn from the cleaned rows" in found.cleaned[-1]
    assert found.data.clean == steps and as_dict(found)["clean"] == list(steps)


def test_a_run_learns_from_the_mended_rows(dirty):
    data = looked(dirty, ("strip-html", "merge-case", "drop:n/a")).data
    splits = read_uploaded(data)
    assert splits.labels == ("Frage", "Lob", "Rechnung", "Selten")
    every = [*splits.train.select(range(len(splits.train.labels)))]
    assert every and not any("<b>" in text for text in every)
    assert len(splits.train.labels) == data.train_rows


def test_rows_to_evaluate_on_are_mended_and_kept(dirty, tmp_path):
    evaluation = made.clean_csv(
        tmp_path / "test.csv", [("<i>new</i>", "RECHNUNG"), ("<i>new</i>", "RECHNUNG"), ("odd", "n/a")]
    )
    steps = ("strip-html", "merge-case", "drop:n/a", "drop-repeats")
    found = looked(dirty, steps, evaluation)
    splits = read_uploaded(found.data)
    assert splits.evaluation.select([0, 1]) == ["new", "new"]
    assert [splits.labels[one] for one in splits.evaluation.labels] == ["Rechnung", "Rechnung"]
    assert "The same steps change texts and labels" in found.cleaned[-1]


def test_rows_to_evaluate_on_without_a_column_are_refused_in_a_sentence_with_steps_too(dirty, tmp_path):
    other = table_of(tmp_path, "review,kind", [f"new {place},Lob" for place in range(9)], "test.csv")
    for steps in ((), ("merge-case",)):
        with pytest.raises(DataRefused, match="The rows to evaluate on have no column “verdict”"):
            looked(dirty, steps, other)


def test_a_column_of_folds_is_no_split_of_which_the_steps_spare_anything(tmp_path):
    rows = [f"text {place},{'yn'[place % 2]},{place % 5}" for place in range(60)]
    found = looked(table_of(tmp_path, "text,label,fold", rows), ("merge-case",))
    assert found.roles.split is None and "drawn from the cleaned rows" in found.cleaned[-1]


def prices(tmp_path, written):
    """A table of 60 texts and prices, each `written(place)`."""
    rows = (f'flat {place} in town,"{written(place)}"' for place in range(60))
    return table_of(tmp_path, "text,price", rows, "flats.csv")


@pytest.mark.parametrize(
    ("written", "step", "first"),
    [
        (lambda place: f"{place},5", "numbers:comma", 0.5),
        (lambda place: f"1.{place + 100},50 €", "numbers:comma", 1100.5),
        (lambda place: f"EUR {place + 100},{['05', '-'][place % 2]}", "numbers:comma", 100.05),
        (lambda place: f"$1,{place + 100}.25", "numbers:point", 1100.25),
        (lambda place: f"1'{place + 100}.25 CHF", "numbers:point", 1100.25),
        (lambda place: f"−1 {place + 100},5", "numbers:comma", -1100.5),
        (lambda place: f"{place} %", "numbers:point", 0.0),
    ],
)
def test_numbers_as_people_write_them_are_read_and_that_is_said(tmp_path, written, step, first):
    flats = prices(tmp_path, written)
    found = looked(flats)
    assert (found.task, found.problem, found.clean, found.automatic) == ("regression", None, (step,), (step,))
    assert found.data.clean == (step,) and found.data.train_rows + found.data.evaluation_rows == 60
    assert any("they are read as numbers" in one and "price" in one.columns for one in found.warnings)
    split = train_test_split(found.data)
    labels = dict(zip(split.train.tolist(), split.train_labels.tolist(), strict=True))
    labels |= dict(zip(split.evaluation.tolist(), split.evaluation_labels.tolist(), strict=True))
    assert labels[0] == pytest.approx(first)
    assert looked(flats, (step,)).data == found.data


@pytest.mark.parametrize(
    ("written", "said"),
    [
        (lambda place: f"1,{place + 100}", "such as 1,159: the comma may stand"),
        (lambda place: f"1.{place + 100} €", "such as 1.159 €: the point may stand"),
    ],
)
def test_numbers_that_can_be_read_in_two_ways_are_asked_about(tmp_path, written, said):
    flats = prices(tmp_path, written)
    found = looked(flats)
    assert found.data is None and said in found.problem
    assert steps_of(found) == {"numbers:comma", "numbers:point"}
    means = {step: looked(flats, (step,)).data.label_mean for step in steps_of(found)}
    assert max(means.values()) == pytest.approx(1000 * min(means.values()))
    assert not looked(flats, ("numbers:comma",)).automatic


def test_numbers_that_are_written_in_several_ways_or_units_are_refused_in_words(tmp_path):
    mixed = looked(prices(tmp_path, lambda place: f"{place}{',.'[place % 2]}5"))
    assert "with a decimal comma and others with a decimal point" in mixed.problem
    units = looked(prices(tmp_path, lambda place: f"{place},50 {'€$'[place % 2]}"), label="price")
    assert "in different units: $, €" in units.problem


def test_a_few_shares_or_amounts_without_decimals_stay_classes(tmp_path):
    found = looked(prices(tmp_path, lambda place: f"{10 * (place % 3)} %"))
    assert (found.task, found.data.labels, found.clean) == ("classification", ("0 %", "10 %", "20 %"), ())


@pytest.mark.parametrize("odd", ["on request", "-", "inf"])
def test_unparsed_numbers_are_skipped_with_their_rows(tmp_path, odd):
    prices = [f'"ab {place},5 {("€", "EUR")[place % 2]}"' for place in range(57)] + [odd] * 3
    rows = [f"{place + 1} rooms in town {place},{price}" for place, price in enumerate(prices)]
    found = looked(table_of(tmp_path, "description,price", rows))
    assert (found.roles.label, found.task, found.problem) == ("price", "regression", None)
    assert (found.clean, found.left_out) == (("numbers:comma",), 3)
    assert found.data.train_rows + found.data.evaluation_rows == 57
    assert "row 59" in found.faults[0]


def test_an_amount_is_asked_for_beside_a_class_without_a_name_of_one(tmp_path):
    rows = [f"{place % 6} rooms,a flat in town {place} with a view,{place}.5" for place in range(60)]
    found = looked(table_of(tmp_path, "kind of flat,description,price_eur", rows))
    assert "“kind of flat” and “price_eur” are equally likely to be the label" in found.problem


def test_a_step_that_is_none_is_refused():
    with pytest.raises(DataRefused, match=r"There is no step “mend”.*merge-case"):
        read_steps(["mend"])
