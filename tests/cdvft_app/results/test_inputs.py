"""Whatever is given to a run is answered, or refused in a sentence; and so is what fails unforeseen."""

from __future__ import annotations

import base64
import errno
import io
from functools import partial
from pathlib import Path

import pytest
from PIL import Image

from cdvft_app.catalog import resolve
from cdvft_app.catalog.download import DownloadFailed
from cdvft_app.errors import UserError
from cdvft_app.results import answering, inputs
from cdvft_app.results.finished_run import FinishedRun, ResultsError
from cdvft_app.settings import RunSettings
from cdvft_app.tasks.base import InvalidInput
from cdvft_app.training.inference_service import explained, serve


def run_of(recipe: str) -> FinishedRun:
    return FinishedRun(None, resolve(RunSettings(recipe=recipe, method="cdvft")), Path())  # type: ignore[arg-type]


EXPLAINED = partial(explained, ResultsError, answering.ENDED)
TEXTS, IMAGES = run_of("sentiment"), run_of("mnist")


def png(width: int = 8, height: int = 8) -> bytes:
    file = io.BytesIO()
    Image.new("L", (width, height)).save(file, "PNG")
    return file.getvalue()


@pytest.mark.parametrize(
    ("run", "texts", "image", "sentence"),
    [
        (TEXTS, [], None, "at least one text"),
        (TEXTS, [" \t"], None, "Text 1 is empty"),
        (TEXTS, ["fine", "word " * 10_000], None, "Text 2 has 50,000 characters; at most 10,000"),
        (TEXTS, [], png(), "about texts; give it a text"),
        (IMAGES, ["good"], None, "about images; give it an image"),
        (IMAGES, [], None, "Choose an image first"),
        (IMAGES, [], png(12_000, 9), "has 12,000 x 9 pixels, more than 4,096 a side"),
        (IMAGES, [], png(200, 200)[:-40], "cannot be used: it cannot be read as PNG"),
        (IMAGES, [], b"GIF89a", "cannot be used: it cannot be read as PNG"),
        (IMAGES, [], b"\0" * (20 * 2**20 + 1), "cannot be used: it has more than 21 MB"),
    ],
)
def test_what_cannot_be_answered_is_a_sentence(run, texts, image, sentence):
    with pytest.raises(ResultsError, match=sentence):
        answering._checked_inputs(run, texts, [], image)


def test_an_image_in_base64_is_the_image():
    data = png()
    encoded = base64.b64encode(data).decode()
    for text in (encoded, f"data:image/png;base64,{encoded}"):
        assert inputs.decoded(text) == data
    with pytest.raises(ResultsError, match="in base64"):
        inputs.decoded("no/base64!")


class Asking:
    """A connection with these questions, then silence."""

    def __init__(self, *asked: tuple[str, dict]) -> None:
        self.asked, self.said = list(asked), []
        self.recv, self.send = lambda: self.asked.pop(0), self.said.append

    def poll(self, seconds: float) -> bool:
        return bool(self.asked)


def test_a_full_disk_and_other_failures_are_sentences_and_the_next_question_is_answered(
    tmp_path, monkeypatch
):
    refusals = [InvalidInput("Text 1 has 97 tokens."), DownloadFailed("The model is not here.")]
    failures = [OSError(errno.ENOSPC, "No space left on device"), RuntimeError("bad shape"), *refusals, None]

    def prove(self, **about):
        failure = failures.pop(0)
        if failure:
            raise failure
        return "proved"

    monkeypatch.setattr(answering.Questions, "prove", prove)
    words = Asking(*[("prove", {})] * 5)
    serve(words, answering._start, tmp_path, EXPLAINED, 0.0)
    full, failed, *refused, fine = words.said
    assert [kind for kind, _ in (full, failed, *refused)] == ["refused"] * 4
    assert all(isinstance(error, UserError) for _, error in (full, failed, *refused))
    assert [str(error) for _, error in refused] == [str(error) for error in refusals]
    assert str(full[1]) == "There is no room left on this disk; free some space and try again."
    assert str(failed[1]) == "It failed unexpectedly with RuntimeError: bad shape"
    assert fine == ("answer", "proved")


def test_it_ends_quietly_when_the_page_has_gone(tmp_path):
    def gone():
        raise EOFError

    words = Asking(("prove", {}))
    words.recv = gone
    serve(words, answering._start, tmp_path, EXPLAINED, 0.0)
    assert words.said == []


@pytest.mark.parametrize(
    "how", [(-0.1, 8, 0), (2.1, 8, 0), (0, 0, 0), (0, 513, 0), (0, 8, -1), (0, 8, 2**31), (None, 8, 0),
            (0, "x", 0), (0, 8, []), (float("nan"), 8, 0), (0, float("inf"), 0)],
)  # fmt: skip
def test_how_a_model_writes_has_ranges(how):
    with pytest.raises(ResultsError, match="temperature from 0 to 2, a length from 1 to 512 tokens"):
        inputs.how_to_write(*how)
    assert inputs.how_to_write(0.5, 512.0, 3) == {"temperature": 0.5, "length": 512, "seed": 3}
