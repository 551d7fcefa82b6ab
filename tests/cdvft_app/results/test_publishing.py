from __future__ import annotations

import logging
import socket

import pytest
from hub_stub import TOKEN

from cdvft_app.results.finished_run import ResultsError
from cdvft_app.results.hub import push


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "up").mkdir()
    (tmp_path / "up" / "README.md").write_text("---\ntags: [peft]\n---\n# What\n")
    (tmp_path / "up" / "adapter_model.safetensors").write_bytes(bytes(range(256)) * 8)
    return tmp_path / "up"


@pytest.mark.parametrize("private", [True, False])
def test_every_file_arrives_in_the_repository(stub, folder, private):
    address = push(folder, "ada/films", TOKEN, private)
    assert stub.repositories == {"ada/films": private}
    assert stub.files == {path.name: path.read_bytes() for path in folder.iterdir()}
    assert address == f"{stub.address}/ada/films"
    assert stub.changed_by == {f"Bearer {TOKEN}"}


def test_what_is_there_is_replaced_only_by_who_says_so(stub, folder):
    push(folder, "ada/films", TOKEN, True)
    stub.files_of.clear()
    with pytest.raises(ResultsError, match="ada/films is there already"):
        push(folder, "ada/films", TOKEN, True, existing=False)
    assert stub.files == {}
    push(folder, "ada/films", TOKEN, True)
    assert stub.files


@pytest.mark.parametrize(
    "refusal",
    [
        (401, "does not know this token"),
        (403, "may not write to ada/films.*role “write”"),
        (429, "asks for a pause"),
        (500, "answered 500"),
    ],
)
def test_a_refusal_is_a_sentence_without_the_token(stub, folder, refusal, caplog, capfd):
    stub.status, sentence = refusal
    with caplog.at_level(logging.DEBUG), pytest.raises(ResultsError, match=sentence) as refused:
        push(folder, "ada/films", TOKEN, True)
    assert stub.files == {}
    assert refused.value.__suppress_context__
    printed = capfd.readouterr()
    assert not any(TOKEN in text for text in (str(refused.value), caplog.text, printed.out, printed.err))


def test_a_hub_that_is_not_there_is_a_sentence(folder, monkeypatch):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{closed.getsockname()[1]}")
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    with pytest.raises(ResultsError, match="cannot be reached from here"):
        push(folder, "ada/films", TOKEN, True)


def test_what_is_no_name_or_no_token_is_refused_before_anything_is_asked(stub, folder):
    names = "films", "a/b/c", "../films", "ada/fi lms", "ada/..", "", "a" * 60 + "/" + "b" * 60
    tokens = "", "hf_x\nHost: elsewhere", "h f", "ü"
    for name, token, sentence in (
        *((name, TOKEN, "must look like owner/name") for name in names),
        *(("ada/films", token, "copy it again") for token in tokens),
    ):
        with pytest.raises(ResultsError, match=sentence):
            push(folder, name, token, True)
    assert not stub.changed_by


def test_offline_by_choice_stays_offline(stub, folder, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(ResultsError, match="HF_HUB_OFFLINE is set"):
        push(folder, "ada/films", TOKEN, True)
    assert not stub.changed_by
