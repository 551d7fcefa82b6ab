"""What loads an exported run: packages in the versions that are installed here, and this library as a wheel.

The library is on no package index, so what loads a CDVFT adapter travels with it. A wheel is a zip of the
package and three small files (https://packaging.python.org/specifications/binary-distribution-format).
"""

from __future__ import annotations

import base64
import hashlib
import zipfile
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

import cdvft
from cdvft_app.catalog.backbones import BITSANDBYTES
from cdvft_app.catalog.entries import Kind

FILE = "requirements.txt"
PACKAGES = {
    "text": ("torch", "transformers", "safetensors"),
    "generation": ("torch", "transformers", "safetensors"),
    "image": ("torch", "torchvision", "timm", "safetensors"),
}
TRAINING = ("transformers", "accelerate", "datasets", "scikit-learn")
VERSION = cdvft.__version__
REQUIRES = ("torch>=2.6,<3", "peft>=0.21,<0.22", "wrapt>=2.1,<3")
WHEEL = f"cdvft-{VERSION}-py3-none-any.whl"
SUFFIXES = (".py", ".c", ".h", ".json", ".typed")
NOT_INSTALLED = ("setup.py",)


@cache
def requirement(name: str) -> str:
    """Return a package in the version that is installed here.

    Raises:
        PackageNotFoundError: it is not, and is not bitsandbytes, which a machine need not have that sends a
            run in 4 or 8 bits elsewhere, or exports one that came home.
    """
    try:
        return f"{name}=={version(name).partition('+')[0]}"
    except PackageNotFoundError:
        if not BITSANDBYTES.startswith(name):
            raise
        return BITSANDBYTES


def write_requirements(
    kind: Kind,
    folder: Path,
    *,
    with_peft: bool,
    with_library: bool,
    training: bool = False,
    more: tuple[str, ...] = (),
) -> None:
    """Write `requirements.txt` for the folder's content; `with_library` adds this library's wheel.

    `more` are further packages that it needs.
    """
    of_peft = ("peft",) if with_peft or with_library else ()
    names = dict.fromkeys((*PACKAGES[kind], *of_peft, *(TRAINING if training else ()), *more))
    lines = [requirement(name) for name in names]
    if with_library:
        write_wheel(folder / WHEEL)
        lines.append(f"./{WHEEL}")
    (folder / FILE).write_text("\n".join(lines) + "\n", encoding="utf-8")


def write_wheel(file: Path) -> None:
    """The package `cdvft`, as pip installs it without the compiled kernel; the same bytes each time."""
    root = _place("cdvft").parent
    contents = {
        f"cdvft/{path.relative_to(root).as_posix()}": path.read_bytes()
        for path in sorted(root.rglob("*"))
        if path.suffix in SUFFIXES and path.relative_to(root).as_posix() not in NOT_INSTALLED
    }
    about = f"cdvft-{VERSION}.dist-info"
    metadata = ["Metadata-Version: 2.1", "Name: cdvft", f"Version: {VERSION}", "Requires-Python: >=3.11"]
    metadata += ["License: Apache-2.0", *(f"Requires-Dist: {one}" for one in REQUIRES)]
    contents[f"{about}/METADATA"] = "\n".join([*metadata, ""]).encode()
    contents[f"{about}/WHEEL"] = (
        b"Wheel-Version: 1.0\nGenerator: cdvft-studio\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    )
    record = [f"{name},sha256={_digest(data)},{len(data)}" for name, data in contents.items()]
    contents[f"{about}/RECORD"] = "\n".join([*record, f"{about}/RECORD,,", ""]).encode()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in contents.items():
            archive.writestr(zipfile.ZipInfo(name), data, zipfile.ZIP_DEFLATED)


def _place(module: str) -> Path:
    found = find_spec(module)
    assert found is not None and found.origin is not None
    return Path(found.origin)


def _digest(data: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
