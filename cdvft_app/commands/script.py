"""The console script `cdvft`: the same commands as `python -m cdvft_app`, or what to install for them."""

from __future__ import annotations

import sys

from cdvft_app.commands import INVALID


def main() -> None:
    try:
        from cdvft_app.commands.main import main as commands
    except ModuleNotFoundError as error:  # without the extra `app`
        print(
            f"The commands need {error.name}, which is missing: pip install 'cdvft-studio[app]'",
            file=sys.stderr,
        )
        sys.exit(INVALID)
    commands("cdvft")
