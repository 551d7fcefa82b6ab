"""What strangers read names no place on the server's disk; what the owner of a machine reads does."""

from __future__ import annotations

import logging

import pytest

from cdvft_app.store.database import store_errors
from cdvft_app.store.records import StoreError
from cdvft_app.ui.shared.problem import problem, refusal, without_paths


@pytest.mark.parametrize(
    ("sentence", "shown"),
    [
        ("The history /srv/my runs/history.sqlite cannot be used (x).", "The history cannot be used (x)."),
        (
            "[Errno 28] No space left on device: '/srv/my runs/runs/a'. Free some.",
            "[Errno 28] No space left on device. Free some.",
        ),
        ("It is in “/var/lib/x/y.bin”, as before.", "It is in, as before."),
        (r"The history C:\Users\ada\runs\x cannot be used.", "The history cannot be used."),
        ("Give the token that /upload_dataset gave, and/or ask.", None),
        ("See https://huggingface.co/datasets/a/b for more; 3/4 of 5/6.", None),
        ("model: got 'google/gemma/x'; choose one.", None),
    ],
)
def test_paths_are_left_out_on_a_public_server(monkeypatch, caplog, sentence, shown):
    monkeypatch.setenv("RUNS_DIR", "/srv/my runs")
    assert without_paths(sentence) == sentence
    monkeypatch.setenv("CDVFT_PUBLIC", "1")
    with caplog.at_level(logging.WARNING):
        assert without_paths(sentence) == (shown or sentence)
    assert (sentence in caplog.text) == (shown is not None)


def test_a_refusal_of_the_disk_is_shown_without_it(monkeypatch, tmp_path):
    monkeypatch.setenv("CDVFT_PUBLIC", "1")
    monkeypatch.setenv("RUNS_DIR", str(tmp_path))
    with pytest.raises(StoreError) as refused, store_errors(tmp_path / "history.sqlite"):
        raise PermissionError(13, "Permission denied", str(tmp_path / "runs" / "x"))
    assert str(tmp_path) in str(refused.value)
    for said in (problem(str(refused.value)), str(refusal(str(refused.value)).message)):
        assert str(tmp_path) not in said and "cannot be used" in said and "Permission denied" in said
