"""Push on the page against a hub of the test's own: by token, by login, and what is refused."""

from __future__ import annotations

from pathlib import Path

import gradio as gr
import pytest
from hub_stub import TOKEN

from cdvft_app.results.finished_run import ResultsError
from cdvft_app.ui.shared import hub_token
from cdvft_app.ui.use import publish


def write(run_id, folder):
    folder.mkdir()
    (folder / "README.md").write_text(f"# {run_id}\n")


def page(write=write):
    """The handlers of the two steps, and the parts by their id."""
    with gr.Blocks(analytics_enabled=False) as blocks:
        run = gr.Radio(["one"], value="one", elem_id="run")
        publish.build(run, write, {})
    parts = {part.elem_id: part for part in blocks.blocks.values() if getattr(part, "elem_id", None)}
    state = next(part for part in blocks.blocks.values() if isinstance(part, gr.State))
    calls = {one.name: one.fn for one in blocks.fns.values()}
    return calls["written"], calls["uploaded"], parts, state


def push(name, *user, token="", replace=False, write=write):
    first, second, parts, state = page(write)
    typed = {"name": name, "private": True, "replace": replace, "token": token}
    fields = {parts["run"]: "one"} | {parts[f"push-{field}"]: value for field, value in typed.items()}
    said, folder = first(fields, *user)
    shown, left, held = second(fields | {state: folder}, *user)
    assert left == "" and held is None
    assert folder is None or not Path(folder).exists()
    return said or shown


def test_a_token_pushes_once_is_cleared_and_replaces_what_is_there_only_where_that_is_ticked(stub):
    said = push(" ada/films ", token=f" {TOKEN} ")
    assert f"{stub.address}/ada/films" in said and stub.repositories == {"ada/films": True}
    assert stub.files["README.md"] == b"# one\n" and stub.changed_by == {f"Bearer {TOKEN}"}
    assert "ada/films is there already" in push("ada/films", token=TOKEN)
    assert "Pushed to" in push("ada/films", token=TOKEN, replace=True)


def test_what_cannot_be_is_said_before_anything_is_written(stub):
    for name, token, sentence in (
        ("films", TOKEN, "must look like owner/name"),
        ("ada/films", "", "copy it again"),
        ("ada/<b>", TOKEN, "must look like owner/name"),
    ):
        said = push(name, token=token, write=lambda *_: pytest.fail("written"))
        assert sentence in said and 'role="alert"' in said and "<b>" not in said
    assert not stub.changed_by


def test_a_run_that_cannot_be_written_is_a_sentence(stub):
    def gone(*_):
        raise ResultsError("There is no room left.")

    assert "no room left" in push("ada/films", token=TOKEN, write=gone) and not stub.changed_by


def test_on_a_space_one_signs_in(stub, monkeypatch):
    monkeypatch.setenv("SPACE_ID", "ada/studio")
    for module in (publish, hub_token):
        monkeypatch.setattr(module, "has_login", lambda: True)
    monkeypatch.setattr("gradio.routes.attach_oauth", lambda app: None)  # what only a Space has installed
    assert "Sign in first" in push("ada/films", None)
    user = gr.OAuthToken(token=TOKEN, scope="contribute-repos", expires_at=0)
    assert "Pushed to" in push("ada/films", user) and stub.changed_by == {f"Bearer {TOKEN}"}


def test_a_space_without_login_takes_no_token(monkeypatch):
    monkeypatch.setenv("SPACE_ID", "ada/studio")
    monkeypatch.delenv("OAUTH_CLIENT_SECRET", raising=False)
    with gr.Blocks(analytics_enabled=False) as blocks:
        publish.build(gr.Radio(["one"]), write, {})
    shown = [part.value for part in blocks.blocks.values() if isinstance(part, gr.HTML)]
    assert any("This Space has no login" in text for text in shown)
    assert not [part for part in blocks.blocks.values() if isinstance(part, gr.Textbox)]
