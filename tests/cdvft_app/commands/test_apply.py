"""apply: files predicted by runs of tiny models and by exported folders."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import made
import numpy as np
import pytest

from cdvft_app.commands import FAILED, FINISHED, INVALID, STOPPED
from cdvft_app.results import batch
from cdvft_app.results.batch import REASONS, BatchJob

FILMS = ["a good film", "an awful plot", "good, very fine", "bad", "the fine end", "dull and bad"]


def films(path: Path, count: int = 30) -> Path:
    """Write a CSV with semicolons."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, delimiter=";")
        writer.writerow(["Review", "Verdict", "id"])
        writer.writerows([f"{FILMS[at % 6]} {at}", "bad" if at % 2 else "good", at] for at in range(count))
    return path


@pytest.fixture(scope="module")
def trained_runs() -> dict[tuple[object, ...], str]:
    """The ids of the runs that were trained, by their rows and options."""
    return {}


@pytest.fixture
def train(command, trained_runs):
    """`train(file, *options)`: the id of a run on a file, trained once."""

    def call(file: Path, *options: object) -> str:
        key = (file.read_bytes(), *options)
        if key not in trained_runs:
            few = ("--method", "head", "--max-steps", 2, "--batch-size", 8)
            code, output, error = command("train", "--data", file, *few, "--json", *options)
            assert code == FINISHED, error
            trained_runs[key] = json.loads(output.splitlines()[-1])["run_id"]
        return trained_runs[key]

    return call


@pytest.fixture
def of_films(train, tmp_path):
    return train(films(tmp_path / "train.csv", 60))


@pytest.fixture
def apply_to(command, tmp_path):
    """`apply_to(run, file, *options)`: what is printed, and the output file."""

    def call(run: object, file: Path, *options: object, out: str = "out.csv"):
        code, output, error = command("apply", run, file, "--out", tmp_path / out, *options)
        assert code == FINISHED, error
        return output, tmp_path / out

    return call


def read(path: Path, separator: str = ";") -> list[dict[str, str]]:
    return list(csv.DictReader(path.open(encoding="utf-8-sig"), delimiter=separator))


def test_apply_adds_predictions_and_a_score(command, apply_to, of_films, tmp_path):
    output, out = apply_to(of_films, films(tmp_path / "new.csv"), "--json")
    report, rows = json.loads(output), read(out)
    assert [row["id"] for row in rows] == list(map(str, range(30)))
    assert [*rows[0]] == ["Review", "Verdict", "id", "prediction", "confidence", "correct"]
    correct = [row["prediction"] == row["Verdict"] for row in rows]
    assert [row["correct"] for row in rows] == ["true" if one else "false" for one in correct]
    low, high = report["score"]["interval"]
    assert report["score"]["value"] == pytest.approx(np.mean(correct)) and low <= np.mean(correct) <= high
    assert report["score"]["incorrect"] == correct.count(False)
    assert not list(tmp_path.glob(".out*"))
    _, output, _ = command("predict", of_films, rows[7]["Review"], "--json")
    alone = json.loads(output)
    assert alone["label"] == rows[7]["prediction"]
    assert max(alone["probabilities"].values()) == pytest.approx(float(rows[7]["confidence"]), abs=1e-3)


def test_exported_folder_gives_the_same_predictions(command, apply_to, of_films, tmp_path, monkeypatch):
    file = films(tmp_path / "new.csv")
    _, expected = apply_to(of_films, file)
    code, _, error = command("export", of_films, "--out", tmp_path / "exported")
    assert code == FINISHED, error
    moved = (tmp_path / "exported").rename(tmp_path / "moved")
    monkeypatch.setenv("RUNS_DIR", str(tmp_path / "elsewhere"))
    _, out = apply_to(moved, file, out="again.csv")
    assert out.read_text() == expected.read_text()


def test_skipped_rows_are_the_same_in_terminal_and_json(apply_to, of_films, tmp_path):
    text = "Review;Verdict\na good film;good\nbad;bda\n;bad\nfine;\n"
    file = made.written(tmp_path, text, "new.csv")
    report = json.loads(apply_to(of_films, file, "--json")[0])
    printed, _ = apply_to(of_films, file, out="again.csv")
    expected = [("3", REASONS["label"].format(label="bda")), ("4", REASONS["empty"])]
    assert [(one["row"], one["reason"]) for one in report["skipped"]] == expected
    assert all(f"Row {row}: {reason}" in printed.splitlines() for row, reason in expected)
    assert (report["predicted"], report["score"]["rows"]) == (3, 1)


def test_missing_columns_are_named(command, apply_to, of_films, tmp_path):
    file = made.written(tmp_path, "key,opinion\n1,good\n2,bad\n", "other.csv")
    code, _, error = command("apply", of_films, file, "--out", tmp_path / "b.csv")
    assert code == FAILED and "“Review”" in error and "“key”, “opinion”" in error and "--text" in error
    _, out = apply_to(of_films, file, "--text", "opinion", out="b.csv")
    assert len(read(out, ",")) == 2


def test_stopped_command_continues(command, home, tmp_path, monkeypatch):
    file = films(tmp_path / "new.csv", 50)
    arguments = "apply", home[1]["text"], file, "--text", "Review", "--out"
    command(*arguments, tmp_path / "whole.csv")
    monkeypatch.setitem(batch.CHUNK, "text", 16)
    usual, sizes = BatchJob._predicted, []

    def interrupted(self, predictor, chunk):
        sizes.append(len(chunk))
        if len(sizes) == 3:
            raise KeyboardInterrupt
        return usual(self, predictor, chunk)

    monkeypatch.setattr(BatchJob, "_predicted", interrupted)
    code, _, error = command(*arguments, tmp_path / "parts.csv")
    assert code == STOPPED and "32" in error and not (tmp_path / "parts.csv").exists()
    code, _, error = command(*arguments, tmp_path / "parts.csv")
    assert code == FINISHED and "32" in error
    assert sizes == [16, 16, 16, 16, 2]
    assert (tmp_path / "parts.csv").read_text() == (tmp_path / "whole.csv").read_text()


def test_rows_are_cleaned_as_the_training_rows(train, apply_to, tmp_path):
    run_id = train(films(tmp_path / "train.csv", 60), "--clean", "strip-html,merge-case,rename:bad=poor")
    rows = [("a good film", "GOOD"), ("<b>a good</b> film", "good"), ("an awful plot", "bad")]
    file = made.written(tmp_path, "review,verdict\n" + "".join(f"{a},{b}\n" for a, b in rows), "new.csv")
    output, out = apply_to(run_id, file, "--json")
    found = read(out, ",")
    assert [row["review"] for row in found] == [text for text, _ in rows]
    assert found[0]["confidence"] == found[1]["confidence"]
    assert json.loads(output)["score"]["rows"] == 3
    assert {row["prediction"] for row in found} <= {"good", "poor"}


def test_pairs_are_read_from_two_columns(command, train, apply_to, tmp_path):
    lines = "".join(f"{FILMS[at % 6]},{FILMS[at % 5]} {at},{at % 2}\n" for at in range(60))
    run_id = train(made.written(tmp_path, "premise,hypothesis,label\n" + lines, "train.csv"))
    swapped = made.written(tmp_path, "hypothesis,premise\ngood,bad bad film\nthree,\n,five\n", "new.csv")
    output, out = apply_to(run_id, swapped, "--json")
    report = json.loads(output)
    assert [one["row"] for one in report["skipped"]] == ["3", "4"] and report["predicted"] == 1
    _, alone, _ = command("predict", run_id, "bad bad film", "--second", "good", "--json")
    shares = json.loads(alone)["probabilities"].values()
    assert float(read(out, ",")[0]["confidence"]) == pytest.approx(max(shares), abs=1e-4)


def test_images_come_back_by_their_names(apply_to, home, tmp_path):
    files = {f"{label}/{value}.png": made.picture(value) for label, value in (("dark", 3), ("bright", 250))}
    _, out = apply_to(home[1]["image"], made.zipped(tmp_path, files))
    rows = read(out, ",")
    assert [*rows[0]] == ["file", "label", "prediction", "confidence", "correct"]
    assert {row["file"] for row in rows} == {*files}


def test_texts_are_generated_and_scored(train, apply_to, tmp_path):
    columns = ("--prompt", "instruction", "--prompt", "input", "--answer", "output")
    file = made.answers_jsonl(tmp_path / "train.jsonl")
    run_id = train(file, "--method", "lora", "--lora-r", 2, "--max-length", 64, *columns)
    new = made.answers_jsonl(tmp_path / "new.jsonl", 5, seed=1)
    output, out = apply_to(run_id, new, "--json", out="o.jsonl")
    rows, report = [json.loads(line) for line in out.open()], json.loads(output)
    assert (report["rows"], report["predicted"], report["score"]["rows"]) == (5, 5, 5)
    assert [*rows[0]][-3:] == ["prediction", "confidence", "correct"]
    assert all(row["correct"] == (row["prediction"] == row["output"]) for row in rows)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    return made.written(tmp_path, "text\ngood\n", "new.csv")


@pytest.mark.parametrize(
    ("arguments", "code", "named"),
    [
        ("text gone.csv", FAILED, "gone.csv"),
        ("text new.csv --out out.docx", FAILED, ".xlsx"),
        ("text new.csv --out new.csv", FAILED, "new.csv"),
        ("empty new.csv", FAILED, "cdvft export"),
        ("text", INVALID, "FILE"),
    ],
)
def test_apply_rejects_invalid_arguments(command, home, folder, arguments, code, named):  # noqa: PLR0917
    run, *others = arguments.split()
    found, output, error = command("apply", home[1].get(run, run), *others)
    assert (found, output) == (code, "") and named in error
