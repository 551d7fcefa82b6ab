"""The compiled kernel: building, doing without, and calls from several threads."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from torch import Tensor

from cdvft.circulant import Factors
from cdvft.kernels import cd_linear, cd_linear_reference, native
from cdvft.kernels.native import build, compiler


@pytest.fixture
def fresh(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    """No library in memory, an empty cache, and less optimization, which takes a third of the time."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(compiler, "FLAGS", (*compiler.FLAGS, "-O1"))
    monkeypatch.delenv("CDVFT_NATIVE", raising=False)
    build.library.cache_clear()
    yield tmp_path
    build.library.cache_clear()


def layer(d: int = 12) -> tuple[Tensor, Factors]:
    torch.manual_seed(0)
    return torch.randn(5, d), Factors([torch.randn(d), torch.randn(d)], [torch.randn(1, 1, d)], 0.5)


def agrees() -> bool:
    x, factors = layer()
    return torch.allclose(cd_linear(x, *factors, "fft"), cd_linear_reference(x, *factors), atol=1e-5)


LIBRARY = native.library()
needs_compiler = pytest.mark.skipif(LIBRARY is None, reason="needs a C compiler")


@needs_compiler
def test_library_is_compiled_once_and_cached(fresh: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert build.library() is not None
    (built,) = (fresh / "cdvft").iterdir()
    assert built.suffix == ".so"
    build.library.cache_clear()
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: pytest.fail("compiled twice"))
    assert build.library() is not None
    assert agrees()


@needs_compiler
def test_shipped_library_needs_no_compiler(fresh: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here = torch.backends.cpu.get_cpu_capability()
    capability = here if here in compiler.INSTRUCTIONS else compiler.PLAIN
    shutil.copy(LIBRARY._name, fresh / compiler.file_name(capability))
    monkeypatch.setattr(compiler, "FOLDER", fresh)
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("CC", raising=False)
    assert build.library() is not None and agrees()
    assert not (fresh / "cdvft").exists()  # nothing was compiled into the cache


OBSTACLES: dict[str, Callable[[pytest.MonkeyPatch, Path], object]] = {
    "no compiler": lambda patch, _: (patch.setenv("PATH", ""), patch.delenv("CC", raising=False)),
    "broken compiler": lambda patch, _: patch.setenv("CC", "false"),
    "read-only cache": lambda _, cache: (cache / "cdvft").write_text("a file where the folder should be"),
    "switched off": lambda patch, _: patch.setenv("CDVFT_NATIVE", "0"),
}


@pytest.mark.parametrize("obstacle", OBSTACLES.values(), ids=OBSTACLES)
def test_layers_work_without_the_library(obstacle: Callable, fresh: Path, monkeypatch) -> None:
    obstacle(monkeypatch, fresh)
    assert build.library() is None
    assert not native.supports(torch.empty(3, 12), [torch.empty(1, 1, 12)])
    assert agrees()
