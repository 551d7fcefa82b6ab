"""CDVFT Studio: train, measure, see and take home circulant-diagonal fine-tuning."""

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent
ASSETS = _PACKAGE / "assets" if (_PACKAGE / "assets").is_dir() else _PACKAGE.parent / "assets"
"""Scripts, styles and recorded results: inside the package where pip installed it, else beside it."""
