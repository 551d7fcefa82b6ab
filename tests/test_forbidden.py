"""What no source may hold, and what no test file may be called."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

import pytest
from sources import ROOT, sources


def forbidden(modules: dict[str, str]) -> Iterator[str]:
    """gr.Plot, torch.load, a hub's code, unpickling and PEFT's tables outside registration."""
    for name, source in modules.items():
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.Attribute):
                spelled = ast.unparse(node)
                if spelled in ("gr.Plot", "gradio.Plot", "torch.load"):
                    yield f"{name} uses {spelled}"
            if isinstance(node, ast.keyword) and node.arg in ("trust_remote_code", "allow_pickle"):
                value = ast.unparse(node.value)
                if value != "False":
                    yield f"{name} sets {node.arg} to {value}"
            if isinstance(node, ast.ImportFrom) and node.module in ("torch", "gradio"):
                for alias in node.names:
                    if alias.name in ("load", "Plot"):
                        yield f"{name} imports {node.module}.{alias.name}"
            names = isinstance(node, ast.Name | ast.Attribute | ast.ImportFrom)
            if name != "cdvft.registration" and names and "PEFT_TYPE_TO_" in ast.unparse(node):
                yield f"{name} touches PEFT's mapping tables"


def test_no_source_holds_it():
    assert sorted(set(forbidden(sources()))) == []


@pytest.mark.parametrize(
    ("name", "source", "complaint"),
    [
        ("cdvft_app.ui.train.tab", "import gradio as gr\ngr.Plot()", "uses gr.Plot"),
        ("cdvft_app.ui.train.tab", "from gradio import Plot", "imports gradio.Plot"),
        ("cdvft.model", "import torch\ntorch.load('x')", "uses torch.load"),
        ("cdvft_app.catalog.hub", "f(trust_remote_code=True)", "sets trust_remote_code to True"),
        ("cdvft_app.catalog.hub", "f(trust_remote_code=x)", "sets trust_remote_code to x"),
        ("cdvft_app.catalog.hub", "np.load(f, allow_pickle=True)", "sets allow_pickle to True"),
        ("cdvft.model", "from peft.mapping import PEFT_TYPE_TO_CONFIG_MAPPING as M", "mapping tables"),
        ("cdvft.model", "peft.mapping.PEFT_TYPE_TO_TUNER_MAPPING['x'] = 1", "mapping tables"),
    ],
)
def test_it_is_noticed(name, source, complaint):
    assert list(forbidden({name: ""})) == []
    assert any(complaint in found for found in forbidden({name: source}))


def test_no_two_test_files_share_a_name():
    """Test folders are no packages, so pytest refuses to collect two files of one name."""
    names = [path.name for path in (ROOT / "tests").rglob("*.py") if path.name != "conftest.py"]
    assert sorted(name for name in set(names) if names.count(name) > 1) == []


def sets_every_clock(source: str) -> bool:
    """Whether a test changes the time of all threads and not only that of the modules it is about."""
    return bool(re.search(r"""setattr\(\s*("[\w.]*\btime\.|[\w.]*\btime,\s*")(time|monotonic)\b""", source))


def test_no_test_sets_the_clock_of_what_others_left_running():
    others = {*(ROOT / "tests").rglob("*.py")} - {ROOT / "tests" / "test_forbidden.py"}
    assert [path.name for path in others if sets_every_clock(path.read_text())] == []


@pytest.mark.parametrize(
    "source",
    [
        'monkeypatch.setattr(time, "monotonic", clock)',
        'monkeypatch.setattr(leases.time, "time", clock)',
        'monkeypatch.setattr("cdvft_app.store.queue.time.time", clock)',
        'patch.setattr(\n    time, "time", clock)',
    ],
)
def test_such_a_clock_is_noticed(source):
    assert sets_every_clock(source)
    assert not sets_every_clock('set_clock(monkeypatch, [leases], time=clock)\nsetattr(module, "time", own)')
