"""Readers of what strangers give: changed files of the kept corpus end in rows or in a sentence, soon.

What once went wrong is kept in `corpus/`, and every file there is read as it is, too. Readers run in this
process: a child would hide how much they take behind its limits. Seconds are a processor's, so that a busy
machine changes nothing.
"""

from __future__ import annotations

import ctypes
import os
import resource
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from cdvft_app.data.imported_table import forget, import_file
from cdvft_app.data.source import PUBLIC, DataRefused
from cdvft_app.settings import InvalidChoice, parse_race
from cdvft_app.ui.shared import form, form_address

LENGTH = float(os.environ.get("CDVFT_ATTACK_LENGTH") or 0.25)
"""The share of the examples that is tried. `make test` draws the same ones each time."""

CORPUS = Path(__file__).parent / "corpus"
FILES = sorted(CORPUS.iterdir())
MAX_SECONDS, MAX_MB = 2.0, 500.0
TOKENS = (b"\x00", b"\xff" * 8, b"9" * 400, b"[" * 3000, b'"', b"\r", b"\n")
TOKENS += (b"PK\x03\x04", b"1e999", b"NaN", b",")


def fuzzed(count: int) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """A hypothesis test of so many examples at full length."""
    usual = settings(
        max_examples=max(5, round(count * LENGTH)),
        deadline=None,
        derandomize=LENGTH < 1,
        database=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    )
    return lambda test: pytest.mark.nightly(usual(test))


@st.composite
def changes(draw: st.DrawFn) -> list[tuple[str, float, Any]]:
    """What is done to a file, one after the other: (what, at which share of it, with what)."""
    one = st.one_of(
        st.tuples(
            st.just("put"), st.floats(0, 1), st.sampled_from(TOKENS) | st.binary(min_size=1, max_size=4)
        ),
        st.tuples(st.just("cut"), st.floats(0, 1), st.integers(1, 64)),
        st.tuples(st.just("again"), st.floats(0, 1), st.integers(1, 2000)),
        st.tuples(st.just("end"), st.floats(0, 1), st.just(None)),
    )
    return draw(st.lists(one, min_size=1, max_size=4))


def changed(data: bytes, how: list[tuple[str, float, Any]]) -> bytes:
    for what, share, value in how:
        at = round(share * len(data))
        if what == "put":
            data = data[:at] + value + data[at + len(value) :]
        elif what == "cut":
            data = data[:at] + data[at + value :]
        elif what == "again":
            data = data[:at] + data[at : at + value] * 20 + data[at:]
        else:
            data = data[:at]
    return data


def soon(call: Callable[[], object], *refusals: type[Exception]) -> str:
    """The sentence of a refusal, "" where there is none; fails for what takes long, or ends otherwise."""
    _forget_the_most()
    before, began = _most_mb(), time.process_time()
    try:
        call()
        said = ""
    except refusals as error:
        said = str(error)
        assert said and "Traceback" not in said
    assert time.process_time() - began < MAX_SECONDS
    assert _most_mb() - before < MAX_MB
    return said


def _forget_the_most() -> None:
    """Else, as on other systems than Linux, what was taken before hides whatever takes less."""
    with suppress(AttributeError):  # of glibc: freed memory that is kept would be taken anew, unseen
        ctypes.CDLL(None).malloc_trim(0)
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def _most_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1e6 if sys.platform == "darwin" else 1e3)


@pytest.fixture(scope="module", autouse=True)
def imported() -> None:
    """What the readers import at their first file is not theirs."""
    import charset_normalizer  # noqa: F401
    import PIL.Image  # noqa: F401
    import pyarrow.compute
    import pyarrow.parquet  # noqa: F401


@pytest.fixture
def read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[Path, bytes], str]:
    """Reads bytes as a file of that name, by whoever reads such files."""
    monkeypatch.setenv("RUNS_DIR", str(tmp_path / "runs"))

    def call(named: Path, data: bytes) -> str:
        file = tmp_path / named.name
        file.write_bytes(data)
        kept: list[Any] = []
        said = soon(lambda: kept.append(import_file(file, PUBLIC)), DataRefused)
        for one in kept:
            forget(one.sha256)
        return said

    return call


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_a_kept_file_is_read(file: Path, read: Callable[[Path, bytes], str]) -> None:
    said = read(file, file.read_bytes())
    assert not said or file.name.startswith("refused"), said


@fuzzed(1500)
@given(st.sampled_from(FILES), changes())
def test_a_changed_file_ends_in_rows_or_in_a_sentence(read, file, how) -> None:
    read(file, changed(file.read_bytes(), how))


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=40),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


@fuzzed(1500)
@given(st.text(max_size=200))
@example("recipe=sentiment&methods=" + "cdvft," * 5000)
@example("recipe=sentiment&m=" + "9" * 5000)
@example("recipe=sentiment&target_modules=(a%2B)%2B%24")
def test_an_address_of_the_page_fills_the_form_or_not(address: str) -> None:
    def opened() -> None:
        asked = form_address.values(dict(parse_qsl(f"recipe=sentiment&{address}")))
        form.remembered(asked)

    assert soon(opened) == ""


@fuzzed(1500)
@given(st.dictionaries(st.sampled_from([*form_address.NAMES, "data", "x"]), VALUES, max_size=4))
@example({"target_modules": "(a+)+$"})
@example({"target_modules": ["(a+)+$"], "methods": ["cdvft"]})
def test_settings_of_a_race_are_taken_or_refused(values: dict[str, Any]) -> None:
    soon(lambda: parse_race(values), InvalidChoice)


def test_layers_named_by_a_pattern_are_names_and_no_patterns() -> None:
    """A regular expression that never ends held the server: text is refused, and a list is compared."""
    with pytest.raises(InvalidChoice, match=r"target_modules: got '.*'; it must be a list"):
        parse_race({"target_modules": "(a+)+$"})
