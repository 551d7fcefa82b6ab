"""The command line: `cdvft COMMAND`, or `python -m cdvft_app COMMAND` from a checkout.

Results go to standard output, progress and errors to standard error. Exit codes: 0 finished, 1 failed,
2 a choice that cannot be run, 130 stopped.
"""

from __future__ import annotations

import gc
import os
import sys
from typing import Annotated

import typer

from cdvft_app.commands import FAILED, INVALID
from cdvft_app.commands import data as data_commands
from cdvft_app.commands.admin import admin
from cdvft_app.commands.apply import apply
from cdvft_app.commands.cost import cost, measure
from cdvft_app.commands.history import delete, doctor, history, runs
from cdvft_app.commands.models import models
from cdvft_app.commands.options import Cluster
from cdvft_app.commands.results import export, predict, push
from cdvft_app.commands.search import search
from cdvft_app.commands.send import follow_again, script, send
from cdvft_app.commands.serve import serve
from cdvft_app.commands.sweep import sweep
from cdvft_app.commands.train import more_rows, resume, train
from cdvft_app.errors import UserError
from cdvft_app.settings import InvalidChoice, relabelled

app = typer.Typer(
    help="Fine-tune with CDVFT and its rivals.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
PORT = "Otherwise GRADIO_SERVER_PORT, or the first that is free from 7860."
HOST = "Otherwise GRADIO_SERVER_NAME, or this machine alone; 0.0.0.0 is everybody."


def serve_page(
    port: Annotated[int | None, typer.Option(min=1, max=65535, help=PORT)] = None,
    host: Annotated[str | None, typer.Option(help=HOST)] = None,
    cluster: Cluster = None,
) -> None:
    """Serve the page: train, compare, use, look into factors, learn."""
    given = {"GRADIO_SERVER_PORT": port, "GRADIO_SERVER_NAME": host, "CDVFT_CLUSTER": cluster}
    os.environ.update({name: str(value) for name, value in given.items() if value is not None})
    gc.disable()  # as in app.py
    from cdvft_app.ui.serving import main  # imports gradio, which no other command needs

    main()


for command in (
    cost, measure, models, search, sweep, train, send, script, resume, more_rows, runs, predict, apply, serve,
    export, push, delete, doctor,
):  # fmt: skip
    app.command()(command)
app.command("app")(serve_page)
app.command("follow")(follow_again)
app.add_typer(admin, name="admin")
app.add_typer(history, name="history")
app.add_typer(data_commands.app, name="data")


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
