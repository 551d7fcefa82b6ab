from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cdvft_app import catalog
from cdvft_app.catalog import dataset_readers, sources
from cdvft_app.catalog.dataset_readers import Rows, load_rows
from cdvft_app.catalog.download import DownloadFailed
from cdvft_app.catalog.entries import DatasetEntry
from cdvft_app.catalog.hub import Snapshot


@pytest.fixture(autouse=True)
def datasets_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import datasets.config

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", str(tmp_path / "arrow"))


def local(folder: Path, kind: str = "text", **changes) -> DatasetEntry:
    """An entry for a folder that nobody described, as an id typed in makes it."""
    typed = catalog.get_dataset("owner/name", kind)
    return replace(typed, source="local", location=str(folder), revision=None, **changes)


def rows_of(entry: DatasetEntry, train: int = 1000, evaluation: int = 1000, seed: int = 0, **more) -> Rows:
    return load_rows(entry, train_examples=train, evaluation_examples=evaluation, seed=seed, **more)


def write_csv(file: Path, columns: tuple[str, ...], rows: list[tuple]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("w", newline="") as opened:
        writer = csv.writer(opened)
        writer.writerow(columns)
        writer.writerows(rows)


def test_digits_are_drawn_alike_and_never_from_what_is_held_out() -> None:
    entry = catalog.get_dataset("digits")
    first, again, other = rows_of(entry, 500, 200), rows_of(entry, 500, 200), rows_of(entry, 500, 200, seed=1)
    assert len(first.train) == len(first.train.inputs) == 500
    assert (first.train.inputs[0].shape, first.train.inputs[0].dtype) == ((8, 8), np.uint8)
    assert np.array_equal(first.train.labels, again.train.labels)
    assert not np.array_equal(first.train.labels, other.train.labels)
    assert np.array_equal(np.asarray(first.evaluation.inputs), np.asarray(other.evaluation.inputs))
    everything = rows_of(entry, 10_000, 10_000)
    assert (len(everything.train), len(everything.evaluation)) == (1438, 359) and entry.examples == 1438


@pytest.mark.parametrize("has_split", [False, True])
def test_validation_rows_are_training_rows_that_are_held_out(tmp_path: Path, has_split: bool) -> None:
    rows, folder = [(f"text {n}", n % 2) for n in range(100)], tmp_path / "data"
    write_csv(folder / "train.csv", ("text", "label"), rows)
    if has_split:
        write_csv(folder / "test.csv", ("text", "label"), [(f"held out {n}", n % 2) for n in range(20)])
    entry = local(folder)

    def drawn(seed: int, validation: bool) -> tuple[set[str], set[str]]:
        found = rows_of(entry, seed=seed, validation=validation)
        return set(found.train.inputs), set(found.evaluation.inputs)

    train, evaluation = drawn(0, validation=False)
    trained_on, validation = drawn(0, validation=True)
    assert trained_on | validation == train and not trained_on & validation
    assert len(validation) == len(train) // 5
    assert not validation & evaluation and not trained_on & evaluation
    assert drawn(7, validation=True)[1] == validation, "the same rows whatever the seed"


def test_labels_belong_to_their_rows() -> None:
    from sklearn.datasets import load_digits

    digits = load_digits()
    label_of = {image.tobytes(): label for image, label in zip(digits.images, digits.target, strict=True)}
    rows = rows_of(catalog.get_dataset("digits"))
    for image, label in zip(rows.train.inputs[:50], rows.train.labels[:50], strict=True):
        assert label_of[(image.astype(np.float64) * 16 / 255).round().tobytes()] == label


def test_rows_of_the_mirror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_csv(tmp_path / "reviews.csv", ("text", "label"), [(f"review {n}, good", n % 2) for n in range(50)])
    images = np.arange(50 * 28 * 28, dtype=np.uint8).reshape(50, 28, 28)
    np.savez_compressed(tmp_path / "mnist.npz", images=images, labels=np.arange(50, dtype=np.uint8) % 10)
    monkeypatch.setattr(sources.offline, "ensure", lambda *_: tmp_path)
    reviews = rows_of(catalog.get_dataset("rotten_tomatoes"))
    assert (len(reviews.train), len(reviews.evaluation)) == (40, 10)
    for text, label in zip(reviews.train.inputs, reviews.train.labels, strict=True):
        assert int(text.split()[1].rstrip(",")) % 2 == label
    mnist = rows_of(catalog.get_dataset("mnist"))
    assert mnist.evaluation.inputs[0].shape == (28, 28)
    assert mnist.labels == tuple("0123456789")


def test_texts_and_labels_of_a_folder_are_found(tmp_path: Path) -> None:
    rows = [(f"text {n}", "yes" if n % 3 else "no", n) for n in range(30)]
    write_csv(tmp_path / "train.csv", ("text", "label", "number"), rows)
    write_csv(tmp_path / "test.csv", ("text", "label", "number"), rows[:7])
    loaded = rows_of(local(tmp_path))
    assert loaded.labels == ("no", "yes")
    assert (len(loaded.train), len(loaded.evaluation)) == (30, 7)
    assert loaded.train.labels.dtype == np.int64
    for text, label in zip(loaded.train.inputs, loaded.train.labels, strict=True):
        assert label == bool(int(text.split()[1]) % 3)


def test_pairs_and_a_regression(tmp_path: Path) -> None:
    rows = [(f"a {n}", f"b {n}", n / 10) for n in range(10)]
    write_csv(tmp_path / "train.csv", ("sentence1", "sentence2", "label"), rows)
    loaded = rows_of(local(tmp_path, metric="pearson"))
    assert loaded.labels == ()
    assert loaded.train.labels.dtype == np.float32
    assert (len(loaded.train), len(loaded.evaluation)) == (8, 2)
    for (first, second), target in zip(loaded.train.inputs, loaded.train.labels, strict=True):
        assert first.removeprefix("a") == second.removeprefix("b") == f" {round(float(target) * 10)}"


def test_images_of_a_folder_are_decoded_when_asked_for(tmp_path: Path) -> None:
    from PIL import Image

    for kind, shade in (("dark", 10), ("light", 200)):
        for number in range(8):
            file = tmp_path / ("train" if number < 6 else "test") / kind / f"{number}.png"
            file.parent.mkdir(parents=True, exist_ok=True)
            Image.new("L", (5, 4), shade + number).save(file)
    loaded = rows_of(local(tmp_path, "image"))
    assert loaded.labels == ("dark", "light")
    assert (len(loaded.train), len(loaded.evaluation)) == (12, 4)
    for place in range(12):
        image = loaded.train.inputs[place]
        assert image.size == (5, 4)
        assert (image.getpixel((0, 0)) >= 200) == loaded.train.labels[place]


def test_parquet_files_of_a_split_as_the_hub_keeps_them(tmp_path, monkeypatch) -> None:
    import datasets

    features = datasets.Features(
        {"sentence": datasets.Value("string"), "label": datasets.ClassLabel(names=["bad", "good"])}
    )
    for split, count in (("train", 20), ("validation", 5), ("test", 3)):
        rows = {"sentence": [f"{split} {n}" for n in range(count)], "label": [n % 2 for n in range(count)]}
        file = tmp_path / "sst2" / f"{split}-00000-of-00001.parquet"
        file.parent.mkdir(exist_ok=True)
        datasets.Dataset.from_dict(rows, features=features).to_parquet(file)
    asked = []

    def snapshot(*names, patterns, **_) -> Snapshot:
        asked.append((*names, patterns))
        return Snapshot(tmp_path, "c" * 40)

    monkeypatch.setattr(sources.hub, "snapshot", snapshot)
    entry = catalog.get_dataset("sst2")
    loaded = rows_of(entry)
    patterns = ["sst2/train-*.parquet", "sst2/validation-*.parquet"]
    assert asked == [("nyu-mll/glue", "dataset", entry.revision, patterns)]
    assert (loaded.commit, loaded.labels) == ("c" * 40, ("negative", "positive"))
    assert sorted(loaded.evaluation.inputs) == [f"validation {n}" for n in range(5)]
    assert all(text.startswith("train") for text in loaded.train.inputs)


@pytest.mark.parametrize(
    ("columns", "rows", "sentence"),
    [
        (("size", "label"), [(3, 1)] * 9,
         "its columns are size, label; one must hold texts, such as text, or two of them pairs"),
        (("text", "score"), [("a", 1)] * 9,
         "its columns are text, score; one must hold texts.*, and one a label"),
        (("text", "label"), [("a", 0.5)] * 9,
         "column label holds float; labels must be text or whole numbers"),
        (("text", "label"), [("a", "yes"), ("b", "no")] * 5 + [("c", "")],
         "column label holds rows without a label; labels must be text or whole numbers"),
        (("text", "label"), [("a", n) for n in range(1001)], "1001 different labels; at most 1000"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_named(tmp_path: Path, columns: tuple, rows: list, sentence: str) -> None:
    write_csv(tmp_path / "train.csv", columns, rows)
    with pytest.raises(DownloadFailed, match=f"owner/name could not be read: .*{sentence}"):
        rows_of(local(tmp_path))


def test_a_label_that_training_does_not_have(tmp_path: Path) -> None:
    write_csv(tmp_path / "train.csv", ("text", "label"), [("a", "yes"), ("b", "no")] * 5)
    write_csv(tmp_path / "test.csv", ("text", "label"), [("c", "maybe")])
    with pytest.raises(DownloadFailed, match="holds 'maybe', which is none of the labels no, yes"):
        rows_of(local(tmp_path))


def test_folders_that_are_not_there_or_empty_and_files_that_are_broken(tmp_path: Path) -> None:
    with pytest.raises(DownloadFailed, match="which is not there"):
        rows_of(local(tmp_path / "nowhere"))
    (tmp_path / "empty").mkdir()
    with pytest.raises(DownloadFailed, match="could not be read"):
        rows_of(local(tmp_path / "empty"))
    (tmp_path / "train.parquet").write_bytes(b"no parquet")
    with pytest.raises(DownloadFailed, match=r"could not be read: .*[Pp]arquet"):
        rows_of(local(tmp_path))


def test_loading_scripts_are_never_run(tmp_path: Path) -> None:
    folder = tmp_path / "scripted"
    folder.mkdir()
    (folder / "scripted.py").write_text("raise SystemExit('this must never run')")
    write_csv(folder / "train.csv", ("text", "label"), [("a", "yes"), ("b", "no")] * 5)
    try:
        loaded = rows_of(local(folder))
    except DownloadFailed:
        return  # refusing it is as good as passing it by
    assert loaded.labels == ("no", "yes")


def test_every_mirror_dataset_has_a_reader() -> None:
    locations = {entry.location for entry in catalog.DATASETS.values() if entry.source == "mirror"}
    assert locations == set(dataset_readers.MIRROR_READERS)
