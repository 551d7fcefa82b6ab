"""The command line: `cdvft COMMAND`, or `python -m cdvft_app COMMAND` from a checkout.

Results go to standard output, progress and errors to standard error. Exit codes: 0 finished, 1 failed,
2 a choice that cannot be run, 130 stopped.
"""

from __future__ import annotations

import gc
import os
import sys
from collections import UserDict
from pkgutil import resolve_name
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from cdvft_app.commands import FAILED, INVALID
from cdvft_app.commands.options import Cluster
from cdvft_app.errors import UserError
from cdvft_app.settings import InvalidChoice, relabelled

COMMANDS = {
    "cost": "cdvft_app.commands.cost:cost",
    "search": "cdvft_app.commands.search:search",
    "sweep": "cdvft_app.commands.sweep:sweep",
    "train": "cdvft_app.commands.train:train",
    "send": "cdvft_app.commands.send:send",
    "resume": "cdvft_app.commands.train:resume",
    "runs": "cdvft_app.commands.history:runs",
    "predict": "cdvft_app.commands.results:predict",
    "apply": "cdvft_app.commands.apply:apply",
    "serve": "cdvft_app.commands.serve:serve",
    "export": "cdvft_app.commands.results:export",
    "push": "cdvft_app.commands.results:push",
    "delete": "cdvft_app.commands.history:delete",
    "app": "cdvft_app.commands.main:serve_page",
    "admin": "cdvft_app.commands.admin:admin",
    "history": "cdvft_app.commands.history:history",
    "data": "cdvft_app.commands.data:app",
}
"""What each command calls, or the group of commands that it is."""
HIDDEN = ("admin",)
"""Commands that `cdvft --help` does not list."""
PORT = "Default: GRADIO_SERVER_PORT, or the first free port from 7860."
HOST = "Default: GRADIO_SERVER_NAME, or this machine only. 0.0.0.0 allows your network."


def serve_page(
    port: Annotated[int | None, typer.Option(min=1, max=65535, help=PORT)] = None,
    host: Annotated[str | None, typer.Option(help=HOST)] = None,
    cluster: Cluster = None,
) -> None:
    """Start the app in a browser."""
    given = {"GRADIO_SERVER_PORT": port, "GRADIO_SERVER_NAME": host, "CDVFT_CLUSTER": cluster}
    os.environ.update({name: str(value) for name, value in given.items() if value is not None})
    gc.disable()  # as in app.py
    from cdvft_app.ui.serving import main  # imports gradio, which no other command needs

    main()


class _Commands(UserDict[str, Any]):
    """The commands by name. Each is imported when it is asked for, as what the others need takes longer."""

    def __getitem__(self, name: str) -> Any:
        called = resolve_name(super().__getitem__(name))
        if isinstance(called, typer.Typer):
            command: Any = typer.main.get_group(called)
        else:
            alone = typer.Typer(add_completion=False)
            alone.command()(called)
            command = typer.main.get_command(alone)
        command.name, command.hidden = name, name in HIDDEN
        return command


class _Group(TyperGroup):
    def __init__(self, **given: Any) -> None:
        super().__init__(**given)
        self.commands = _Commands(COMMANDS)


app = typer.Typer(cls=_Group, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)


@app.callback()
def group() -> None:
    """Fine-tune models with CDVFT and other methods."""


def main(name: str = "python -m cdvft_app") -> None:
    """Run the command line; `name` is what its help calls it."""
    try:
        app(prog_name=name)
    except InvalidChoice as error:
        typer.echo(relabelled(str(error), _option), err=True)
        sys.exit(INVALID)
    except UserError as error:
        typer.echo(str(error), err=True)
        sys.exit(FAILED)


def _option(field: str) -> str | None:
    """Return the option of a field: --learning-rates for "learning_rates.0"; None where there is none."""
    name = field.removeprefix("base.").split(".")[0]
    commands = typer.main.get_command(app).commands.values()  # type: ignore[attr-defined]
    options = {option.name: option.opts[0] for command in commands for option in command.params}
    return options.get(name)
