"""`python -m cdvft_app` and the console script `cdvft`: the same commands, or what to install for them."""

from __future__ import annotations

import sys

from cdvft_app.commands import INVALID


def main(name: str = "cdvft") -> None:
    """Run the command line; `name` is what its help calls it."""
    try:
        from cdvft_app.commands.main import main as commands

        commands(name)  # imports what the command needs
    except ModuleNotFoundError as error:  # without the extra `app`
        print(
            f"The commands need {error.name}, which is missing: pip install 'cdvft-studio[app]'",
            file=sys.stderr,
        )
        sys.exit(INVALID)


if __name__ == "__main__":
    main("python -m cdvft_app")
