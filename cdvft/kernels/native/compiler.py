"""From the C sources to a library, by the C compiler at hand: on first use, or once for a wheel.

Standard library alone, so that setup.py can run it where neither torch nor this package is installed.
"""

from __future__ import annotations

import os
import platform
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

FOLDER = Path(__file__).parent
SOURCES = ("chain.c", "few.c", "many.c", "merge.c", "stage.h", "rows.h", "real.h", "fft.h", "platform.h")
FLAGS = (
    "-O3",
    "-std=gnu11",
    "-ffp-contract=fast",
    "-shared",
    *(() if sys.platform == "win32" else ("-fPIC",)),
)
"""Multiplications and additions are contracted in every loop, so that a row has the same bits among whatever
number of rows: full and partial groups of tokens go through the same instructions or contract alike."""
OPENMP = "-fopenmp"
SUFFIX = {"darwin": ".dylib", "win32": ".dll"}.get(sys.platform, ".so")
PLAIN = "DEFAULT"
INSTRUCTIONS = {
    "AVX512": ("-mavx512f", "-mavx512bw", "-mavx512dq", "-mavx512vl", "-mavx2", "-mfma"),
    "AVX2": ("-mavx2", "-mfma"),
    PLAIN: (),
}
"""Flags by torch's name of a processor's capability; all others run the plain code."""


def flags_for(capability: str) -> tuple[str, ...]:
    """Return what is passed to the compiler besides files and OpenMP."""
    return (*FLAGS, *INSTRUCTIONS[capability])


def compiler() -> list[str]:
    """Return the compiler's command; Clang first on Windows, whose own compiler knows no vector types.

    Raises:
        FileNotFoundError: if there is none.
        ValueError: if CC has an open quotation mark.
    """
    known = ("clang", "gcc") if sys.platform == "win32" else ("cc", "gcc", "clang")
    for name in (os.environ.get("CC"), *known):
        words = shlex.split(name or "")
        if words and shutil.which(words[0]):
            return words
    raise FileNotFoundError(
        "no C compiler on the path: install one, or name it in the environment variable CC."
    )


def compile_to(target: Path, capability: str) -> None:
    """Compile for processors of a capability; without OpenMP, for one thread, where the compiler has none.

    Raises:
        OSError, ValueError: as `compiler`
        subprocess.SubprocessError: if it fails.
    """
    sources = (str(FOLDER / name) for name in SOURCES if name.endswith(".c"))
    command = [*compiler(), *flags_for(capability), *sources, "-o", str(target)]
    try:
        _run([*command, OPENMP])
    except subprocess.SubprocessError:
        _run(command)


def compile_all(folder: Path) -> list[Path]:
    """One library for each capability of this kind of processor, as `shipped` finds them; for a wheel."""
    is_x86 = platform.machine().lower() in ("x86_64", "amd64")
    folder.mkdir(parents=True, exist_ok=True)
    files = {name: folder / file_name(name) for name in (INSTRUCTIONS if is_x86 else (PLAIN,))}
    for capability, file in files.items():
        compile_to(file, capability)
    return list(files.values())


def file_name(capability: str) -> str:
    """Return the file name, within a wheel, of the library for processors of a capability."""
    return f"chain-{capability.lower()}{SUFFIX}"


def shipped(capability: str) -> Path | None:
    """The library that an installed wheel brought for a processor of this capability; None in a checkout."""
    file = FOLDER / file_name(capability if capability in INSTRUCTIONS else PLAIN)
    return file if file.is_file() else None


def _run(command: list[str]) -> None:
    subprocess.run(command, check=True, capture_output=True, timeout=300)
