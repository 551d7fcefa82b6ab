"""Answers side by side and the checks of an adapter, as payloads of the Use tab."""

from __future__ import annotations

import io
import math
from collections.abc import Mapping, Sequence
from typing import Any

from cdvft_app.data.pictures import thumbnail
from cdvft_app.format import amount
from cdvft_app.payloads.use import AnsweredInput, AnsweredInputs, ModelAnswer, Sections
from cdvft_app.store.records import shortened
from cdvft_app.ui.use.sheets import cell, quiet, sheet

MAX_CLASSES = 3  # of an answer, the likeliest
MAX_OF_INPUT = 160  # characters that head an answer
PICTURE_SIDE = 144  # pixels of the picture that heads an answer


def answers(inputs: Sequence[str], found: Mapping[str, Any], picture: bytes | None = None) -> AnsweredInputs:
    """Return every method's answer to each input, with the likeliest classes.

    Args:
        inputs: as they were given, or what stands for them.
        found: {"labels", "cut": [tokens that each input was too long], "sides": [{"title", "note", "method",
            "answers": [an answer]}]}, an answer being {"label", "probabilities", "value"}.
        picture: a PNG made here, where that is the input.
    """
    sides, labels = found["sides"], found["labels"]
    trained = next(side for side in sides if not side["note"])
    answered: list[AnsweredInput] = [
        {
            "input": shortened(input_text, MAX_OF_INPUT),
            "cut": _cut(found["cut"][place]),
            "answers": [
                _answer(side, side["answers"][place], labels, trained["answers"][place]["label"])
                for side in sides
            ],
        }
        for place, input_text in enumerate(inputs)
    ]
    if picture:
        (about_it,) = answered
        about_it["picture"] = _thumbnail(picture)
    return {"problem": "", "answered": answered}


def _cut(tokens: int) -> str:
    text = "1 token was" if tokens == 1 else f"{tokens:,} tokens were"
    return f"{text} truncated: the text is longer than the max length." if tokens else ""


def _thumbnail(png: bytes) -> str:
    from PIL import Image

    return thumbnail(Image.open(io.BytesIO(png), formats=("PNG",)), PICTURE_SIDE)


def _answer(
    side: Mapping[str, Any], answer: Mapping[str, Any], labels: Sequence[str], first: Any
) -> ModelAnswer:
    label = answer["label"]
    likely = zip(answer["probabilities"], labels, strict=True) if label is not None else ()
    return {
        "title": side["title"],
        "note": side["note"],
        "method": side["method"] if not side["note"] else None,
        "said": f"{answer['value']:.3f}" if label is None else label,
        "differs": label != first,
        "likeliest": [(name, share) for share, name in sorted(likely, reverse=True)[:MAX_CLASSES]],
    }


def proof(found: Mapping[str, Any], title: str) -> Sections:
    """Return the invariants with their differences, and what the file holds."""
    *invariants, learned = found["checks"]
    checks = [
        [cell(check["invariant"]), cell(_difference(check["difference"])), cell(_verdict(check))]
        for check in invariants
    ]
    tensors = [
        [cell(name), cell(" × ".join(map(str, shape))), cell(f"{numbers:,}")]
        for name, shape, numbers in found["tensors"]
    ]
    total = sum(numbers for _, _, numbers in found["tensors"])
    heads = ("Check", "Largest difference", "Passed")
    return {
        "sections": [
            {"sheet": sheet("proof", f"Checks of {title}", heads, checks)},
            quiet(
                f"Logits are at most {invariants[0]['size']:.2f}, in float32. "
                f"The adapter changes them by at most {learned['difference']:.2f}."
            ),
            {
                "title": f"File: {amount('bytes', found['file_bytes'])}, {len(tensors)} tensors, "
                f"{total:,} parameters",
                "folded": True,
                "sheet": sheet("tensors", "Tensors", ("Tensor", "Shape", "Parameters"), tensors),
            },
        ]
    }


def _verdict(check: Mapping[str, Any]) -> str:
    """Float32 has about seven digits; sums over a model's width lose one or two of them."""
    return "yes" if check["difference"] <= 1e-4 * max(1.0, check["size"]) else "no"


POWERS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def _difference(value: float) -> str:
    if value == 0:
        return "0"
    power = math.floor(math.log10(value))
    return f"{value / 10**power:.1f} × 10{str(power).translate(POWERS)}"
