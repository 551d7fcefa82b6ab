"""An uploaded dataset as an entry of the catalogue; uploaded_rows.py reads its rows."""

from __future__ import annotations

from pathlib import Path

from cdvft_app.catalog.entries import DatasetEntry, Recipe
from cdvft_app.settings import UploadedDataset
from cdvft_app.settings.environment import data_folder

ROWS = "rows.arrow"
MAX_EPOCHS = 10
MAX_LENGTH = {"text": 256, "generation": 512}  # tokens, unless somebody asks for more


def folder(uploaded: UploadedDataset) -> Path:
    """Where its rows and what was computed from them are kept; deleted with the dataset."""
    return data_folder() / uploaded.sha256


def is_kept(uploaded: UploadedDataset) -> bool:
    """Whether its rows are still here."""
    return all((data_folder() / sha256 / ROWS).is_file() for sha256 in uploaded.files)


def gone(title: str) -> str:
    """The sentence for a dataset that was deleted."""
    return f"“{title}” has been deleted here, so nothing can be trained on it. Give it again."


def entry(uploaded: UploadedDataset) -> DatasetEntry:
    """The catalogue entry of an uploaded dataset."""
    return DatasetEntry(
        key=f"own-{uploaded.sha256[:12]}",
        title=uploaded.title,
        kind=uploaded.kind,
        source="own",
        location=uploaded.sha256,
        text_columns=uploaded.inputs[:1]
        if uploaded.kind == "generation"
        else uploaded.inputs,  # its parts are one text
        label_column=uploaded.label,
        labels=uploaded.labels,
        metric=uploaded.metric or ("accuracy" if uploaded.labels else "pearson"),
        evaluation_split="evaluation",
        licence="your own data; whether it may be passed on you know",
        examples=uploaded.train_rows,
        mean_tokens=uploaded.mean_length,
        uploaded=uploaded,
    )


def starting_values(uploaded: UploadedDataset, recipe: Recipe) -> dict[str, float | int]:
    """Values of empty fields: the recipe's, with as many steps as it was measured with.

    19 of 20 texts fit into its `max_length`, a multiple of 16.
    """
    examples = min(recipe.train_examples, uploaded.train_rows)
    epochs = recipe.epochs * recipe.train_examples / examples
    values: dict[str, float | int] = {
        "epochs": float(round(min(max(epochs, recipe.epochs), MAX_EPOCHS))),
        "evaluation_examples": min(recipe.evaluation_examples, uploaded.evaluation_rows),
    }
    if uploaded.usual_length and recipe.max_length:
        values["max_length"] = min(max(-(-uploaded.usual_length // 16) * 16, 16), MAX_LENGTH[uploaded.kind])
    return values
