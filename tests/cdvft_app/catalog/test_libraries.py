"""Heavy libraries are imported without the garbage collector, which goes on as before afterwards."""

from __future__ import annotations

import gc
import sys

import pytest

from cdvft_app.catalog import libraries
from cdvft_app.training import children


@pytest.fixture
def heavy(tmp_path, monkeypatch):
    """The name of what a module holds that is not imported yet: whether the collector was on meanwhile."""
    (tmp_path / "a_heavy_module.py").write_text("import gc\ncollected = gc.isenabled()\n")
    monkeypatch.syspath_prepend(tmp_path)
    yield "a_heavy_module:collected"
    sys.modules.pop("a_heavy_module", None)


def test_nothing_is_collected_during_an_import(heavy):
    assert gc.isenabled()
    assert libraries.resolve(heavy) is False
    assert gc.isenabled()
    assert libraries.resolve(heavy) is False, "a second time it is there"


def test_the_collector_goes_on_after_a_failed_import():
    with pytest.raises(ModuleNotFoundError):
        libraries.resolve("no_such_module:train")
    assert gc.isenabled()


def test_a_collector_that_was_off_stays_off(heavy):
    with libraries.uncollected():
        assert libraries.resolve(heavy) is False
        assert not gc.isenabled()
    assert gc.isenabled()


def test_the_fork_server_has_the_trainer_and_collects_again():
    assert list(children.stream(_state)) == [(True, True)]


def _state():
    yield "cdvft_app.training.trainer" in sys.modules, gc.isenabled()
