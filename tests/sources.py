"""What the tests of the sources read."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).parents[1]


def sources() -> dict[str, str]:
    """Every module of the project by its name."""
    paths = [ROOT / "app.py", *(ROOT / "cdvft").rglob("*.py"), *(ROOT / "cdvft_app").rglob("*.py")]
    return {
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path.read_text()
        for path in paths
        if path.exists()
    }
