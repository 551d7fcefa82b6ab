"""`python -m cdvft_app doctor`: checks what is kept here, and mends it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cdvft_app.commands import exit_codes
from cdvft_app.settings import InvalidChoice
from cdvft_app.store.doctor import backup as backed_up
from cdvft_app.store.doctor import examine
from cdvft_app.store.doctor import restore as restored
from cdvft_app.store.location import runs_folder


def doctor(
    backup: Annotated[Path | None, typer.Option(help="Copy the history to this new file instead.")] = None,
    restore: Annotated[Path | None, typer.Option(help="Put this copy back first, then check.")] = None,
) -> None:
    """Check the history and the runs' folders, and mend them; a lost history is made anew from the folders.

    A copy can be made while the page is served. To put one back, stop the page.
    """
    root = runs_folder()
    if backup is not None and restore is not None:
        raise InvalidChoice("Give --backup or --restore, not both.")
    if backup is not None:
        backed_up(root, backup)
        print(f"The history is copied to {backup}. The folders in {root / 'runs'} are not part of it.")
        return
    if restore is not None:
        aside = restored(root, restore)
        print(f"{restore} is put back." + (f" The history before it is kept as {aside}." if aside else ""))
    left = 0
    for finding in examine(root):
        print(finding.text)
        left += not finding.mended
    print(f"{root}: {'all is well' if not left else f'{left} findings are for you to look at'}.")
    if left:
        raise typer.Exit(exit_codes.FAILED)
