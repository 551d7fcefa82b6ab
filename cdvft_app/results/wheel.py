"""This library as a wheel, for it is on no package index: what loads a CDVFT adapter travels with it.

Who forgets `import cdvft` would get PEFT's KeyError: 'CDVFT'. So an installed wheel imports it with PEFT: a
line of cdvft.pth, as Python runs them (https://docs.python.org/3/library/site.html), waits for PEFT.

A wheel is a zip of the package and three small files
(https://packaging.python.org/specifications/binary-distribution-format).
"""

from __future__ import annotations

import base64
import hashlib
import zipfile
from importlib.util import find_spec
from pathlib import Path

VERSION = "0.1.0"
REQUIRES = ("torch>=2.6,<3", "peft>=0.21,<0.22", "wrapt>=2.1,<3")
STARTUP = '''"""Makes CDVFT known to PEFT when that is imported; Python runs it at its start, by cdvft.pth."""

import sys


class BeforePeft:
    @staticmethod
    def find_spec(name, path=None, target=None):
        if name != "peft":
            return None
        sys.meta_path.remove(BeforePeft)
        import importlib.util

        import cdvft

        return importlib.util.find_spec(name)


sys.meta_path.insert(0, BeforePeft)
'''
NAME = f"cdvft-{VERSION}-py3-none-any.whl"
SUFFIXES = (".py", ".c", ".h", ".typed")


def write_wheel(file: Path) -> None:
    """The package `cdvft`, as pip installs it, and what wakes it with PEFT; the same bytes each time."""
    package = find_spec("cdvft")
    assert package is not None and package.origin is not None
    root = Path(package.origin).parent
    contents = {
        f"cdvft/{path.relative_to(root).as_posix()}": path.read_bytes()
        for path in sorted(root.rglob("*"))
        if path.suffix in SUFFIXES
    }
    contents |= {"cdvft_startup.py": STARTUP.encode(), "cdvft.pth": b"import cdvft_startup\n"}
    about = f"cdvft-{VERSION}.dist-info"
    metadata = ["Metadata-Version: 2.1", "Name: cdvft", f"Version: {VERSION}", "Requires-Python: >=3.10"]
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


def _digest(data: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
