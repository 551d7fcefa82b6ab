"""apply: files of all kinds answered by runs of tiny models, scored, stopped and gone on with."""

from __future__ import annotations

import csv
import json
import random
from pathlib import Path

import made
import numpy as np
import openpyxl
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


@pytest.fixture
def train(command):
    """`train(file, *options)`: the id of a run on a file."""

    def call(file: Path, *options: object) -> str:
        code, output, error = command(
            "train",
            "--data",
            file,
            "--method",
            "head",
            "--max-steps",
            6,
            "--batch-size",
            8,
            "--json",
            *options,
        )
        assert code == FINISHED, error
        return json.loads(output.splitlines()[-1])["run_id"]

    return call


def read(path: Path, separator: str = ";") -> list[dict[str, str]]:
    return list(csv.DictReader(path.open(encoding="utf-8-sig"), delimiter=separator))


def test_a_file_comes_back_answered_and_scored(command, train, tmp_path):
    run_id = train(films(tmp_path / "train.csv", 60))
    out = tmp_path / "answered.csv"
    code, output, error = command(
        "apply", run_id, "--file", films(tmp_path / "new.csv"), "--out", out, "--json"
    )
    assert code == FINISHED, error
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
    _, output, _ = command("predict", run_id, "--text", rows[7]["Review"], "--json")
    alone = json.loads(output)
    assert alone["label"] == rows[7]["answer"]
    assert max(alone["probabilities"].values()) == pytest.approx(float(rows[7]["confidence"]), abs=1e-3)


def test_a_score_on_the_file_that_it_was_trained_on_says_so(command, train, tmp_path):
    learned, new = films(tmp_path / "train.csv", 60), films(tmp_path / "new.csv")
    run_id, said = train(learned), "It was trained on rows of this file"
    _, on_learned, _ = command("apply", run_id, "--file", learned, "--out", tmp_path / "1.csv")
    _, on_new, _ = command("apply", run_id, "--file", new, "--out", tmp_path / "2.csv")
    assert "with a label" in on_learned and said in on_learned
    assert "with a label" in on_new and said not in on_new


def test_labels_that_nobody_learned_are_said_to_have_no_score(command, train, tmp_path):
    run_id = train(films(tmp_path / "train.csv", 60))
    file = made.written(tmp_path, "Review,Verdict\na good film,splendid\nbad,\n", "new.csv")
    _, output, _ = command("apply", run_id, "--file", file, "--out", tmp_path / "out.csv")
    assert "“Verdict” has no label that this run knows, so there is no score." in output


def test_a_label_that_the_run_does_not_know_is_counted_and_not_scored(command, train, tmp_path):
    run_id = train(films(tmp_path / "train.csv", 60))
    new, out = tmp_path / "new.csv", tmp_path / "answered.csv"
    new.write_text("Review;Verdict\na good film;good\nbad;bda\ndull;bad\nfine;\nan awful plot;bda\n")
    code, output, error = command("apply", run_id, "--file", new, "--out", out)
    assert code == FINISHED, error
    assert "over 2 rows with a label" in output
    assert (
        "not scored: Row 3, column “Verdict”: this run does not know it; 1 row like it (6). "
        "Give it one of “bad”, “good”." in output
    )
    assert [row["correct"] for row in read(out)][1::2] == ["", ""]
    assert "Not scored: Row 3" in apply._summary(Written(2, 2, (), (), ("Row 3: it is no number.",)), None)


def test_prices_are_answered_in_their_own_unit(command, train, tmp_path):
    prices = [547 - 8 * (place % 6) if place % 2 else 60 + 8 * (place % 6) for place in range(60)]
    path = tmp_path / "flats.csv"
    lines = (f"{FILMS[place % 6]} {place};{one},00 €\n" for place, one in enumerate(prices))
    path.write_text("text;price\n" + "".join(lines))
    run_id = train(path)
    code, output, error = command("apply", run_id, "--file", path, "--out", tmp_path / "answered.csv")
    assert code == FINISHED, error
    rows = read(tmp_path / "answered.csv")
    assert rows[1]["price"] == "539,00 €"  # values stay as they are
    answers = np.array([float(row["answer"]) for row in rows])
    assert abs(answers.mean() - np.mean(prices)) < np.std(prices)  # after six steps; outputs are near 0
    errors = [float(row["error"]) for row in rows]
    assert errors == pytest.approx(answers - prices, abs=1e-3)
    assert (
        f"over 60 rows with a label; an answer is off by {np.abs(errors).mean():.0f} (95 % interval" in output
    )


def test_columns_are_found_by_name_or_asked_for(command, train, tmp_path):
    run_id = train(films(tmp_path / "train.csv", 60))
    code, _, _ = command(
        "apply", run_id, "--file", films(tmp_path / "new.csv", label=False), "--out", tmp_path / "a.csv"
    )
    assert code == FINISHED and [*read(tmp_path / "a.csv")[0]] == ["id", "review", "answer", "confidence"]
    other = made.written(tmp_path, "key,opinion,more\n1,good,x\n2,bad,y\n", "other.csv")
    code, _, error = command("apply", run_id, "--file", other, "--out", tmp_path / "b.csv")
    assert (
        code == FAILED and "“Review”" in error and "“key”, “opinion”, “more”" in error and "--text" in error
    )
    code, _, _ = command("apply", run_id, "--file", other, "--text", "opinion", "--out", tmp_path / "b.csv")
    assert code == FINISHED and len(read(tmp_path / "b.csv", ",")) == 2


@pytest.mark.parametrize("ending", ["jsonl", "parquet", "xlsx", "json", "tsv"])
def test_a_csv_comes_back_in_any_format(command, home, tmp_path, ending):
    file = made.written(tmp_path, "text,n\ngood film,1\n,2\nbad film,3\n", "new.csv")
    out = tmp_path / f"out.{ending}"
    code, output, error = command("apply", home[1]["text"], "--file", file, "--out", out)
    assert code == FINISHED, error
    assert "2 of 3 rows answered" in output
    code, _, error = command("apply", home[1]["text"], "--file", file, "--out", out)
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


def test_rows_are_mended_as_those_that_were_learned_from(command, train, tmp_path):
    run_id = train(films(tmp_path / "train.csv", 60), "--clean", "strip-html,merge-case,rename:bad=poor")
    rows = [("a good film", "GOOD"), ("<b>a good</b> film", "good"), ("an awful plot", "bad")]
    file = made.written(tmp_path, "review,verdict\n" + "".join(f"{a},{b}\n" for a, b in rows), "new.csv")
    _, output, _ = command("apply", run_id, "--file", file, "--out", tmp_path / "o.csv", "--json")
    found = read(tmp_path / "o.csv", ",")
    assert [row["review"] for row in found] == [text for text, _ in rows]
    assert (found[0]["answer"], found[0]["confidence"]) == (found[1]["answer"], found[1]["confidence"])
    assert json.loads(output)["score"]["rows"] == 3 and {row["answer"] for row in found} <= {"good", "poor"}


def test_labels_of_the_catalogue_may_be_numbers(command, home, tmp_path):
    file = made.written(tmp_path, "text,label\ngood,1\nbad,0\nodd,7\nfine,positive\n", "new.csv")
    _, output, _ = command("apply", home[1]["text"], "--file", file, "--out", tmp_path / "o.csv", "--json")
    assert json.loads(output)["score"]["rows"] == 3


def test_numbers_are_predicted_with_their_errors(command, train, tmp_path):
    drawn = random.Random(0)
    lines = "".join(f"{FILMS[place % 6]} {place},{drawn.uniform(-5, 50):.2f}\n" for place in range(60))
    run_id = train(made.written(tmp_path, "text,stars\n" + lines, "train.csv"))
    _, output, _ = command(
        "apply", run_id, "--file", tmp_path / "train.csv", "--out", tmp_path / "o.csv", "--json"
    )
    rows, said = read(tmp_path / "o.csv", ","), json.loads(output)
    assert [*rows[0]] == ["text", "stars", "answer", "error"]
    for row in rows:
        assert float(row["error"]) == pytest.approx(float(row["answer"]) - float(row["stars"]), abs=1e-3)
    both = [[float(row[name]) for row in rows] for name in ("answer", "stars")]
    assert said["score"]["value"] == pytest.approx(np.corrcoef(both)[0, 1], abs=1e-3)
    worst = max(rows, key=lambda row: abs(float(row["error"])))
    assert said["wrong"][0]["read"] == worst["text"]


def test_pairs_are_read_from_two_columns(command, train, tmp_path):
    lines = "".join(f"{FILMS[place % 6]},{FILMS[place % 5]} {place},{place % 2}\n" for place in range(60))
    run_id = train(made.written(tmp_path, "premise,hypothesis,label\n" + lines, "train.csv"))
    swapped = made.written(tmp_path, "hypothesis,premise\none,two\nthree,\n", "new.csv")
    code, output, error = command("apply", run_id, "--file", swapped, "--out", tmp_path / "o.csv")
    assert code == FINISHED and "1 of 2 rows answered" in output, error


def test_pictures_are_answered_from_a_zip(command, home, tmp_path):
    file = made.zipped(tmp_path, {f"{value}.png": made.picture(value) for value in (3, 120, 250)})
    code, output, error = command("apply", home[1]["image"], "--file", file, "--out", tmp_path / "o.xlsx")
    assert code == FINISHED and "3 of 3 rows" in output, error
    sheet = openpyxl.load_workbook(tmp_path / "o.xlsx").active
    assert [cell.value for cell in sheet["A"]] == ["file", "3.png", "120.png", "250.png"]
    assert {cell.value for cell in sheet["B"][1:]} <= {"dark", "grey", "bright"}


def test_wrong_pictures_are_named_and_their_lines_end_there(command, home, tmp_path):
    values = {"dark": 3, "grey": 120, "bright": 250}
    pictures = {f"{label}/{value}.png": made.picture(value) for label in values for value in values.values()}
    out = tmp_path / "o.csv"
    _, output, _ = command("apply", home[1]["image"], "--file", made.zipped(tmp_path, pictures), "--out", out)
    wrong = [row for row in read(out, ",") if row["answer"] != row["label"]]
    named = [line for line in output.splitlines() if line.startswith("  row ")]
    assert len(named) == 5 and {*named} <= {
        f"  row {row['file']}: {row['answer']}, not {row['label']}" for row in wrong
    }


def test_the_page_names_a_wrong_picture_alone():
    wrong = (WrongRow("dark/3.png", "", "grey", "dark"), WrongRow("4", "a film", "good", "bad"))
    told = apply._summary(Written(2, 2, wrong), None)
    assert "<li>Row dark/3.png: grey, not dark</li><li>Row 4: good, not bad: a film</li>" in told


def test_prompts_are_answered_in_writing(command, train, tmp_path):
    file = made.answers_jsonl(tmp_path / "train.jsonl")
    columns = ("--prompt", "instruction", "--prompt", "input", "--answer", "output")
    run_id = train(file, "--method", "lora", "--lora-r", 2, *columns)
    new = made.answers_jsonl(tmp_path / "new.jsonl", 5, seed=1)
    with new.open("a") as file:
        file.write(json.dumps({"instruction": "long " * 3000, "input": "", "output": "x"}) + "\n")
    code, output, error = command("apply", run_id, "--file", new, "--out", tmp_path / "o.jsonl", "--json")
    assert code == FINISHED, error
    rows, said = [json.loads(line) for line in (tmp_path / "o.jsonl").open()], json.loads(output)
    assert (said["rows"], said["answered"], said["score"]["rows"]) == (6, 5, 5)
    assert rows[5]["answer"] is None and [*rows[0]][-3:] == ["answer", "confidence", "correct"]
    assert all(isinstance(row["answer"], str) and row["correct"] == (row["answer"] == row["output"])
               for row in rows[:5])  # fmt: skip
    code, output, error = command("predict", run_id, "--text", "long " * 1900)
    assert (code, output) == (FAILED, "") and len(error.splitlines()) == 1
    assert "“Longest text” allows 64" in error


TOO_LONG = "Row 3: it has more than the 64 tokens that this run takes; 1 row like it (4). Shorten it, or"
EMPTY = "Row 2: it is empty. Give it a text, or leave the row out."


def test_rows_without_an_answer_are_counted_by_the_reason_in_the_terminal_and_on_the_page(
    command, train, tmp_path
):
    learned = made.answers_jsonl(tmp_path / "train.jsonl")
    columns = ("--prompt", "instruction", "--prompt", "input", "--answer", "output", "--max-length", 64)
    run_id = train(learned, "--method", "lora", "--lora-r", 2, *columns)
    file = tmp_path / "new.jsonl"
    prompts = ["one", " ", "long " * 300, "long " * 400]
    file.write_text("\n".join(json.dumps({"instruction": one, "input": ""}) for one in prompts))
    _, output, error = command("apply", run_id, "--file", file, "--out", tmp_path / "o.jsonl")
    told = output.splitlines()
    assert told[0].startswith("1 of 4 rows answered"), error
    assert f"not answered: {EMPTY}" in told
    assert [one for one in told if one.startswith(f"not answered: {TOO_LONG}")]
    _, output, _ = command("apply", run_id, "--file", file, "--out", tmp_path / "again.jsonl", "--json")
    said = json.loads(output)
    on_page = apply._summary(Written(4, 1, (), tuple(said["unanswered"])), None)
    assert f">Not answered: {EMPTY}<" in on_page and f">Not answered: {TOO_LONG}" in on_page


def test_the_column_that_is_empty_in_a_pair_is_named(command, train, tmp_path):
    lines = "".join(f"{FILMS[place % 6]},{FILMS[place % 5]} {place},{place % 2}\n" for place in range(60))
    run_id = train(made.written(tmp_path, "premise,hypothesis,label\n" + lines, "train.csv"))
    new = made.written(tmp_path, "hypothesis,premise\none,two\nthree,\nfour,\n,five\n", "new.csv")
    _, output, _ = command("apply", run_id, "--file", new, "--out", tmp_path / "o.csv")
    advice = "Give it a text, or leave the row out."
    assert f"not answered: Row 3, column “premise”: it is empty; 1 row like it (4). {advice}" in output
    assert f"not answered: Row 5, column “hypothesis”: it is empty. {advice}" in output


def test_a_run_on_texts_refuses_pictures(command, home, tmp_path):
    file = made.zipped(tmp_path, {"1.png": made.picture(3), "2.png": made.picture(4)})
    code, _, error = command("apply", home[1]["text"], "--file", file, "--out", tmp_path / "o.csv")
    assert code == FAILED and "has pictures" in error and "trained on texts" in error


def test_the_interval_is_the_judges(home, text_plan):
    from cdvft_app.data.answered_file import Answer
    from cdvft_app.judging.judge import Contestant, Run, band
    from cdvft_app.judging.row_scores import of_scores
    from cdvft_app.results.finished_run import FinishedRun

    store = RunStore(home[0])
    record = store.get(home[1]["text"])
    run = FinishedRun(record, text_plan("cdvft"), home[0])
    right = [place % 4 > 0 for place in range(100)]
    answers = [Answer("positive", 0.5, one, "positive" if one else "negative") for one in right]
    found = applying.score_of(run, ("negative", "positive"), [*answers, Answer("positive", 0.5)])
    rows = of_scores(np.array(right))
    assert found.interval == band(Contestant("", (Run(0, 0.75, 100, rows),)), "accuracy")
    assert "75.0" in found.sentence and "over 100 rows with a label; 25 are wrong" in found.sentence
    assert applying.score_of(run, ("negative", "positive"), [Answer("positive", 0.5)]) is None


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
