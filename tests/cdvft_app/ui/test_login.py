"""Names and passwords out of a file, as Gradio's login asks for them."""

from __future__ import annotations

from pathlib import Path

import pytest

from cdvft_app.ui.login import VARIABLE, logins


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    made = tmp_path / "logins"
    made.touch(mode=0o600)
    monkeypatch.setenv(VARIABLE, str(made))
    return made


def test_a_line_is_a_login_and_nothing_else_is(file: Path) -> None:
    file.write_text("# the class of 2026\nada: pass:word \ngrace:hopper\nempty:\n:nobody\nno colon\n")
    allowed = logins()
    assert allowed is not None
    assert allowed("ada", " pass:word ") and allowed("grace", "hopper")
    none = [("ada", "hopper"), ("ada", ""), ("empty", ""), ("", "nobody"), ("", ""), ("no colon", "")]
    for name, password in [*none, ("# the class of 2026", ""), ("Ada", " pass:word ")]:
        assert not allowed(name, password)


def test_a_login_that_is_added_counts_at_once(file: Path) -> None:
    file.write_text("ada:1\n")
    allowed = logins()
    assert allowed is not None and not allowed("grace", "2")
    file.write_text("ada:1\ngrace:2\n")
    assert allowed("grace", "2")
    file.unlink()
    assert not allowed("ada", "1")


def test_without_the_variable_anybody_may_come(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    assert logins() is None


def test_what_cannot_serve_says_why(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match="has no line such as name:password"):
        logins()
    file.write_text("ada:1\n")
    file.chmod(0o640)
    with pytest.raises(ValueError, match="chmod 600"):
        logins()
    monkeypatch.setenv(VARIABLE, str(file.parent / "gone"))
    with pytest.raises(ValueError, match="cannot be read"):
        logins()
