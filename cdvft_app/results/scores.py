"""How well held-out rows were answered: confusion matrix, scores of each class, errors of a regression."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cdvft_app.store.predictions import Predictions


@dataclass(frozen=True)
class ClassScore:
    """Of one class; None where nothing was to be counted.

    precision = right / answered, recall = right / rows, F1 = 2 right / (answered + rows).
    """

    rows: int
    answered: int
    precision: float | None
    recall: float | None
    f1: float | None


@dataclass(frozen=True)
class Errors:
    """Of a regression, in the unit of its labels; an error is the answer minus the label."""

    mean_absolute: float
    root_mean_square: float
    mean: float


def confusion(answers: Predictions) -> np.ndarray:
    """(C, C) how many rows of each class (down) were given each answer (across)."""
    classes = answers.outputs.shape[1]
    counted = np.bincount(answers.labels * classes + answers.classes, minlength=classes**2)
    return counted.reshape(classes, classes)


def class_scores(counted: np.ndarray) -> list[ClassScore]:
    """The scores of each class, from a confusion matrix."""
    scores = []
    for right, rows, answered in zip(counted.diagonal(), counted.sum(1), counted.sum(0), strict=True):
        scores.append(
            ClassScore(
                rows=int(rows),
                answered=int(answered),
                precision=float(right / answered) if answered else None,
                recall=float(right / rows) if rows else None,
                f1=float(2 * right / (answered + rows)) if answered + rows else None,
            )
        )
    return scores


def residuals(answers: Predictions) -> np.ndarray:
    """(N) each answer of a regression minus its label."""
    return answers.outputs[:, 0] - answers.labels


def errors(answers: Predictions) -> Errors:
    off = residuals(answers).astype(np.float64)
    return Errors(float(np.abs(off).mean()), float(np.sqrt((off**2).mean())), float(off.mean()))
