"""apply: files of all kinds answered by runs of tiny models, scored, stopped and gone on with."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import made
import numpy as np
import pytest

from cdvft_app.commands import FAILED, FINISHED, STOPPED
from cdvft_app.data.answered_file import Written, WrongRow
from cdvft_app.results import apply as applying
from cdvft_app.store.runs import RunStore
from cdvft_app.ui.use import apply

FILMS = ["a good film", "an awful plot", "good, very fine", "bad", "the fine end", "dull and bad"]


def films(path: Path, count: int = 30, label: bool = True) -> Path:
    """A CSV with semicolons."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, delimiter=";")
        writer.writerow(["Review", "Verdict", "id"] if label else ["id", "review"])
        for place in range(count):
            text = f"{FILMS[place % 6]} {place}"
            writer.writerow([text, "good" if place % 2 == 0 else "bad", place] if label else [place, text])
    return path


@pytest.fixture(scope="module")
def kept() -> dict[tuple[object, ...], str]:
    """The ids of the runs that were trained, by their rows and options."""
    return {}


@pytest.fixture
def train(command, kept):
    """`train(file, *options)`: the id of a run on a file, trained once."""

    def call(file: Path, *options: object) -> str:
        asked = (file.read_bytes(), *options)
        if asked not in kept:
            few = ("--method", "head", "--max-steps", 6, "--batch-size", 8)
            code, output, error = command("train", "--data", file, *few, "--json", *options)
            assert code == FINISHED, error
            kept[asked] = json.loads(output.splitlines()[-1])["run_id"]
        return kept[asked]

    return call


@pytest.fixture
def of_films(train, tmp_path):
    """The id of a run on films."""
    return train(films(tmp_path / "train.csv", 60))


@pytest.fixture
def apply_to(command, tmp_path):
    """`apply_to(run_id, file, *options)`: what is printed, and the answered file."""

    def call(run_id: str, file: Path, *options: object, out: str = "answered.csv"):
        given = ("apply", run_id, "--file", file, "--out", tmp_path / out, *options)
        code, output, error = command(*given)
        assert code == FINISHED, error
        return output, tmp_path / out

    return call


def read(path: Path, separator: str = ";") -> list[dict[str, str]]:
    return list(csv.DictReader(path.open(encoding="utf-8-sig"), delimiter=separator))


def test_a_file_comes_back_answered_and_scored(command, apply_to, of_films, tmp_path):
    output, out = apply_to(of_films, films(tmp_path / "new.csv"), "--json")
    said, rows = json.loads(output), read(out)
    assert [row["id"] for row in rows] == list(map(str, range(30)))
    assert [*rows[0]] == ["Review", "Verdict", "id", "answer", "confidence", "correct"]
    right = [row["answer"] == row["Verdict"] for row in rows]
    assert [row["correct"] for row in rows] == ["true" if one else "false" for one in right]
    assert said["score"]["value"] == pytest.approx(np.mean(right))
    low, high = said["score"]["interval"]
    assert 0 <= low <= np.mean(right) <= high <= 1 and high - low > 0.02
    assert said["score"]["wrong"] == len(said["wrong"]) == right.count(False)
    assert not list(tmp_path.glob(".answered*"))

    # The same answers one by one, by predict.
    _, output, _ = command("predict", of_films, "--text", rows[7]["Review"], "--json")
    alone = json.loads(output)
    assert alone["label"] == rows[7]["answer"]
    assert max(alone["probabilities"].values()) == pytest.approx(float(rows[7]["confidence"]), abs=1e-3)


def test_a_score_on_the_file_that_it_was_trained_on_says_so(apply_to, of_films, tmp_path):
    said = "It was trained on rows of this file"
    on_learned, _ = apply_to(of_films, tmp_path / "train.csv", out="1.csv")
    on_new, _ = apply_to(of_films, films(tmp_path / "new.csv"), out="2.csv")
    assert "with a label" in on_learned and said in on_learned
    assert "with a label" in on_new and said not in on_new


def test_labels_that_nobody_learned_are_said_to_have_no_score(apply_to, of_films, tmp_path):
    file = made.written(tmp_path, "Review,Verdict\na good film,splendid\nbad,\n", "new.csv")
    said = "“Verdict” has no label that this run knows, so there is no score."
    assert said in apply_to(of_films, file)[0]


def test_a_label_that_the_run_does_not_know_is_counted_and_not_scored(apply_to, of_films, tmp_path):
    rows = "Review;Verdict\na good film;good\nbad;bda\ndull;bad\nfine;\nan awful plot;bda\n"
    output, out = apply_to(of_films, made.written(tmp_path, rows, "new.csv"))
    assert "over 2 rows with a label" in output
    assert (
        "not scored: Row 3, column “Verdict”: this run does not know it; 1 row like it (6). "
        "Give it one of “bad”, “good”." in output
    )
    assert [row["correct"] for row in read(out)][1::2] == ["", ""]
    assert "Not scored: Row 3" in apply._summary(Written(2, 2, (), (), ("Row 3: it is no number.",)), None)


@pytest.mark.parametrize("written", ["{},00 €", "{}.0"])
def test_prices_are_answered_in_their_own_unit_with_their_errors(train, apply_to, tmp_path, written):
    prices = [547 - 8 * (place % 6) if place % 2 else 60 + 8 * (place % 6) for place in range(60)]
    lines = (f"{FILMS[place % 6]} {place};{written.format(one)}\n" for place, one in enumerate(prices))
    path = made.written(tmp_path, "text;price\n" + "".join(lines), "flats.csv")
    run_id = train(path)
    told, out = apply_to(run_id, path)
    rows, said = read(out), json.loads(apply_to(run_id, path, "--json", out="again.csv")[0])
    assert [*rows[0]] == ["text", "price", "answer", "error"]
    assert rows[1]["price"] == written.format(539)  # values stay as they are
    answers = np.array([float(row["answer"]) for row in rows])
    assert abs(answers.mean() - np.mean(prices)) < np.std(prices)  # after six steps; outputs are near 0
    errors = np.array([float(row["error"]) for row in rows])
    assert errors == pytest.approx(answers - prices, abs=1e-3)
    assert f"over 60 rows with a label; an answer is off by {abs(errors).mean():.0f} (95 % interval" in told
    assert said["score"]["value"] == pytest.approx(np.corrcoef(answers, prices)[0, 1], abs=1e-3)
    assert said["wrong"][0]["read"] == rows[abs(errors).argmax()]["text"]


def test_columns_are_found_by_name_or_asked_for(command, apply_to, of_films, tmp_path):
    _, out = apply_to(of_films, films(tmp_path / "new.csv", label=False))
    assert [*read(out)[0]] == ["id", "review", "answer", "confidence"]
    other = made.written(tmp_path, "key,opinion,more\n1,good,x\n2,bad,y\n", "other.csv")
    code, _, error = command("apply", of_films, "--file", other, "--out", tmp_path / "b.csv")
    assert (
        code == FAILED and "“Review”" in error and "“key”, “opinion”, “more”" in error and "--text" in error
    )
    _, out = apply_to(of_films, other, "--text", "opinion", out="b.csv")
    assert len(read(out, ",")) == 2


@pytest.mark.parametrize("ending", ["jsonl", "parquet", "xlsx", "json", "tsv"])
def test_a_csv_comes_back_in_any_format(command, apply_to, home, tmp_path, ending):
    run_id, file = home[1]["text"], made.written(tmp_path, "text,n\ngood film,1\n,2\nbad film,3\n", "new.csv")
    output, out = apply_to(run_id, file, out=f"out.{ending}")
    assert "2 of 3 rows answered" in output
    code, _, error = command("apply", run_id, "--file", file, "--out", out)
    assert code == FAILED and "already there" in error


def test_what_was_stopped_goes_on_and_gives_the_same(command, home, tmp_path, monkeypatch):
    file = films(tmp_path / "new.csv", 50)
    arguments = "apply", home[1]["text"], "--file", file, "--text", "Review"
    command(*arguments, "--out", tmp_path / "whole.csv")
    monkeypatch.setattr(applying, "CHUNK", 16)
    usual, asked = applying._answers_to, []

    def interrupted(run, models, rows, columns):
        asked.append(len(rows))
        if len(asked) == 3:
            raise KeyboardInterrupt
        return usual(run, models, rows, columns)

    monkeypatch.setattr(applying, "_answers_to", interrupted)
    code, _, error = command(*arguments, "--out", tmp_path / "parts.csv")
    assert code == STOPPED and "32 of 50 rows" in error and not (tmp_path / "parts.csv").exists()
    code, _, error = command(*arguments, "--out", tmp_path / "parts.csv")
    assert code == FINISHED and "after 32 rows" in error
    assert asked == [16, 16, 16, 16, 2]
    assert (tmp_path / "parts.csv").read_text() == (tmp_path / "whole.csv").read_text()


def test_the_command_that_trains_it_again_runs_as_it_is_printed(command, home, train, tmp_path):
    from cdvft_app.ui.train.run_view import _options

    file = films(tmp_path / "train.csv", 60)
    first = RunStore(home[0]).get(train(file, "--clean", "merge-case,cut:3", "--label", "Verdict"))
    file.unlink()
    words = ["train", "--json"]
    for name, value in _options(first.settings).items():
        for one in value if isinstance(value, list) else [value]:
            words += [f"--{name.replace('_', '-')}", *([] if one is True else [one])]
    code, output, error = command(*words)
    assert code == FINISHED, error
    again = RunStore(home[0]).get(json.loads(output.splitlines()[-1])["run_id"])
    assert again.settings == first.settings and again.metric == first.metric


def test_rows_are_mended_as_those_that_were_learned_from(train, apply_to, tmp_path):
    run_id = train(films(tmp_path / "train.csv", 60), "--clean", "strip-html,merge-case,rename:bad=poor")
    rows = [("a good film", "GOOD"), ("<b>a good</b> film", "good"), ("an awful plot", "bad")]
    file = made.written(tmp_path, "review,verdict\n" + "".join(f"{a},{b}\n" for a, b in rows), "new.csv")
    output, out = apply_to(run_id, file, "--json")
    found = read(out, ",")
    assert [row["review"] for row in found] == [text for text, _ in rows]
    assert (found[0]["answer"], found[0]["confidence"]) == (found[1]["answer"], found[1]["confidence"])
    assert json.loads(output)["score"]["rows"] == 3 and {row["answer"] for row in found} <= {"good", "poor"}


def test_labels_of_the_catalogue_may_be_numbers(apply_to, home, tmp_path):
    file = made.written(tmp_path, "text,label\ngood,1\nbad,0\nodd,7\nfine,positive\n", "new.csv")
    output, _ = apply_to(home[1]["text"], file, "--json")
    assert json.loads(output)["score"]["rows"] == 3


def test_pairs_are_read_from_two_columns_and_the_one_that_is_empty_is_named(
    command, train, apply_to, tmp_path
):
    lines = "".join(f"{FILMS[place % 6]},{FILMS[place % 5]} {place},{place % 2}\n" for place in range(60))
    run_id = train(made.written(tmp_path, "premise,hypothesis,label\n" + lines, "train.csv"))
    swapped = made.written(
        tmp_path, "hypothesis,premise\ngood,bad bad film\nthree,\nfour,\n,five\n", "new.csv"
    )
    output, out = apply_to(run_id, swapped)
    assert "1 of 4 rows answered" in output
    _, alone, _ = command("predict", run_id, "--text", "bad bad film", "--second", "good", "--json")
    shares = json.loads(alone)["probabilities"].values()
    assert float(read(out, ",")[0]["confidence"]) == pytest.approx(max(shares), abs=1e-4)
    advice = "Give it a text, or leave the row out."
    assert f"not answered: Row 3, column “premise”: it is empty; 1 row like it (4). {advice}" in output
    assert f"not answered: Row 5, column “hypothesis”: it is empty. {advice}" in output


def test_wrong_pictures_are_named_and_their_lines_end_there(apply_to, home, tmp_path):
    values = {"dark": 3, "grey": 120, "bright": 250}
    pictures = {f"{label}/{value}.png": made.picture(value) for label in values for value in values.values()}
    output, out = apply_to(home[1]["image"], made.zipped(tmp_path, pictures))
    wrong = [row for row in read(out, ",") if row["answer"] != row["label"]]
    named = [line for line in output.splitlines() if line.startswith("  row ")]
    assert len(named) == 5 and {*named} <= {
        f"  row {row['file']}: {row['answer']}, not {row['label']}" for row in wrong
    }


def test_the_page_names_a_wrong_picture_alone():
    wrong = (WrongRow("dark/3.png", "", "grey", "dark"), WrongRow("4", "a film", "good", "bad"))
    told = apply._summary(Written(2, 2, wrong), None)
    assert "<li>Row dark/3.png: grey, not dark</li><li>Row 4: good, not bad: a film</li>" in told


@pytest.fixture
def that_writes(train, tmp_path):
    """The id of a run that reads two columns and writes."""
    columns = ("--prompt", "instruction", "--prompt", "input", "--answer", "output")
    return train(made.answers_jsonl(tmp_path / "train.jsonl"), "--method", "lora", "--lora-r", 2, *columns)


def test_prompts_are_answered_in_writing(command, apply_to, that_writes, tmp_path):
    new = made.answers_jsonl(tmp_path / "new.jsonl", 5, seed=1)
    with new.open("a") as file:
        file.write(json.dumps({"instruction": "long " * 3000, "input": "", "output": "x"}) + "\n")
    output, out = apply_to(that_writes, new, "--json", out="o.jsonl")
    rows, said = [json.loads(line) for line in out.open()], json.loads(output)
    assert (said["rows"], said["answered"], said["score"]["rows"]) == (6, 5, 5)
    assert rows[5]["answer"] is None and [*rows[0]][-3:] == ["answer", "confidence", "correct"]
    assert all(isinstance(row["answer"], str) and row["correct"] == (row["answer"] == row["output"])
               for row in rows[:5])  # fmt: skip
    code, output, error = command("predict", that_writes, "--text", "long " * 1900)
    assert (code, output) == (FAILED, "") and len(error.splitlines()) == 1
    assert "“Longest text” allows 64" in error


TOO_LONG = "Row 3: it has more than the 64 tokens that this run takes; 1 row like it (4). Shorten it, or"
EMPTY = "Row 2: it is empty. Give it a text, or leave the row out."


def test_rows_without_an_answer_are_counted_by_the_reason_in_the_terminal_and_on_the_page(
    apply_to, that_writes, tmp_path
):
    prompts = ["one", " ", "long " * 300, "long " * 400]
    lines = (json.dumps({"instruction": one, "input": ""}) for one in prompts)
    file = made.written(tmp_path, "\n".join(lines), "new.jsonl")
    told = apply_to(that_writes, file, out="o.jsonl")[0].splitlines()
    assert told[0].startswith("1 of 4 rows answered")
    assert f"not answered: {EMPTY}" in told
    assert [one for one in told if one.startswith(f"not answered: {TOO_LONG}")]
    said = json.loads(apply_to(that_writes, file, "--json", out="again.jsonl")[0])
    on_page = apply._summary(Written(4, 1, (), tuple(said["unanswered"])), None)
    assert f">Not answered: {EMPTY}<" in on_page and f">Not answered: {TOO_LONG}" in on_page


def test_each_refuses_the_other_kind_and_a_column_named_image_makes_no_pictures_of_a_table(
    command, apply_to, home, tmp_path
):
    pictures = made.zipped(tmp_path, {"1.png": made.picture(3), "2.png": made.picture(4)})
    table = made.written(tmp_path, "text,image\ngood film,a.png\nbad film,b.png\n", "new.csv")
    output, out = apply_to(home[1]["text"], table)
    assert "2 of 2 rows answered" in output
    assert [row["image"] for row in read(out, ",")] == ["a.png", "b.png"]
    for kind, file, has, trained in (
        ("text", pictures, "This file has pictures, and", "trained on texts"),
        ("image", table, "This file has texts, and", "trained on pictures"),
    ):
        code, _, error = command("apply", home[1][kind], "--file", file, "--out", tmp_path / "o.csv")
        assert code == FAILED and has in error and trained in error


def test_more_rows_are_asked_for_in_a_terminal_and_trained_once(command, train, tmp_path):
    run_id = train(films(tmp_path / "films.csv", 120))
    code, output, errors = command("more-rows", run_id, "--json")
    assert code == FINISHED, errors
    found = json.loads(output.splitlines()[-1])
    assert [*map(int, found["scores"])] == [32, 64, 96]
    (said,) = found["sentences"]
    assert "more rows" in said.lower() and said.endswith("of one seed.")
    code, output, errors = command("more-rows", run_id)
    assert code == FINISHED and "rows: finished" not in errors, "they are there already"
    assert output.splitlines()[-1] == said and output.startswith("32 rows: accuracy ")
    code, _, errors = command("more-rows", "0123456789")
    assert code == FAILED and "0123456789" in errors
