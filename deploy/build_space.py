"""The folder that is pushed to a Hugging Face Space: only what a Space needs.

python deploy/build_space.py build/space [owner/name]

With the Space's name its card has a picture for links to it, and a button by which others copy the Space.
"""

from __future__ import annotations

import re
import shutil
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FILES = (
    "app.py", "LICENSE", "CITATION.cff", "README.md", "benchmarks/results/fit_matrix.json",
)  # fmt: skip
FOLDERS = ("cdvft", "cdvft_app", "assets")
CHANGED = {  # requirements, by the packages' names
    "torch": "torch>=2.8,<2.12  # what ZeroGPU offers",
    "gradio": "gradio[oauth,mcp]>=6.31,<7  # people sign in, agents find tools",
}
PICTURE = "assets/screenshots/train.png"
BADGE = "https://huggingface.co/datasets/huggingface/badges/resolve/main/duplicate-this-space-md.svg"
MAX_BYTES = 30_000_000


def requirements(text: str) -> str:
    """The checkout's requirements, with a torch that a ZeroGPU Space has, and what only a Space needs."""
    for name, line in CHANGED.items():
        text, found = re.subn(rf"^{name}[<>=~].*$", line, text, flags=re.MULTILINE)
        if found != 1:
            raise ValueError(f"requirements.txt: got {found} lines for {name}; one is expected.")
    return text


def card(text: str, name: str) -> str:
    """The README of the Space that is called so."""
    picture = f"https://huggingface.co/spaces/{name}/resolve/main/{PICTURE}"
    button = f"[![Duplicate this Space]({BADGE})](https://huggingface.co/spaces/{name}?duplicate=true)"
    _, settings, rest = text.split("---\n", 2)
    title, body = rest.split("\n\n", 1)
    return f"---\n{settings}thumbnail: {picture}\n---\n{title}\n\n{button}\n\n{body}"


def build(there: Path, name: str | None = None) -> int:
    """Make the folder anew, for a Space of this name, "owner/name"; its bytes."""
    if name is not None and not re.fullmatch(r"[\w.-]+/[\w.-]+", name):
        raise ValueError(f"got {name!r}; a Space is named owner/name.")
    if there.exists() and not (there / "app.py").is_file() and any(there.iterdir()):
        raise ValueError(f"{there} holds something else; give a folder that is empty or not there yet.")
    shutil.rmtree(there, ignore_errors=True)
    for file in FILES:
        (there / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / file, there / file)
    for folder in FOLDERS:
        shutil.copytree(ROOT / folder, there / folder, ignore=shutil.ignore_patterns("__pycache__"))
    if name is not None:
        readme = there / "README.md"
        readme.write_text(card(readme.read_text(encoding="utf-8"), name), encoding="utf-8")
    (there / "requirements.txt").write_text(requirements((ROOT / "requirements.txt").read_text()))
    return sum(file.stat().st_size for file in there.rglob("*") if file.is_file())


def main() -> None:
    there, *name = sys.argv[1:]
    try:
        size = build(Path(there), *name)
    except ValueError as error:
        sys.exit(str(error))
    if size > MAX_BYTES:
        sys.exit(f"{there} has {size / 1e6:.1f} MB; at most {MAX_BYTES / 1e6:.0f} may be pushed.")
    print(f"{there}: {size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
