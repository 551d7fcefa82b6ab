"""The packages that load an exported run, with the versions that are installed here."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path

from cdvft_app.catalog.entries import Kind
from cdvft_app.results import wheel

FILE = "requirements.txt"
PACKAGES = {
    "text": ("torch", "transformers", "safetensors"),
    "generation": ("torch", "transformers", "safetensors"),
    "image": ("torch", "torchvision", "timm", "safetensors"),
}
TRAINING = ("transformers", "accelerate", "datasets", "scikit-learn")


def write_requirements(
    kind: Kind,
    folder: Path,
    *,
    with_peft: bool,
    with_library: bool,
    training: bool = False,
    more: tuple[str, ...] = (),
) -> None:
    """`requirements.txt` for what is in the folder; `with_library`: also this library's wheel.

    `more` are further packages that it needs.
    """
    of_peft = ("peft",) if with_peft or with_library else ()
    names = dict.fromkeys((*PACKAGES[kind], *of_peft, *(TRAINING if training else ()), *more))
    lines = [f"{name}=={version(name).partition('+')[0]}" for name in names]
    if with_library:
        wheel.write_wheel(folder / wheel.NAME)
        lines.append(f"./{wheel.NAME}")
    (folder / FILE).write_text("\n".join(lines) + "\n", encoding="utf-8")
