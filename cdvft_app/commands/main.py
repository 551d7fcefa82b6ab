"""The command line: `cdvft COMMAND`, or `python -m cdvft_app COMMAND` from a checkout.

Results go to standard output, progress and errors to standard error. Exit codes: 0 finished, 1 failed,
2 a choice that cannot be run, 130 stopped.
"""

from __future__ import annotations

import sys

import typer

from cdvft_app.commands import data as data_commands
from cdvft_app.commands import exit_codes
from cdvft_app.commands.admin import admin
from cdvft_app.commands.cost import cost
from cdvft_app.commands.doctor import doctor
from cdvft_app.commands.export import export
from cdvft_app.commands.history import delete, runs
from cdvft_app.commands.history_file import history
from cdvft_app.commands.measure import measure
from cdvft_app.commands.models import models
from cdvft_app.commands.predict import predict
from cdvft_app.commands.push import push
from cdvft_app.commands.send import follow_again, script, send
from cdvft_app.commands.serve import serve
from cdvft_app.commands.sweep import sweep
from cdvft_app.commands.train import resume, train
from cdvft_app.data.source import DataRefused
from cdvft_app.results.errors import ResultsError
from cdvft_app.settings import InvalidChoice, relabelled
from cdvft_app.store.records import StoreError

app = typer.Typer(
    help="Fine-tune with CDVFT and its rivals.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
for command in (
    cost, measure, models, sweep, train, send, script, resume, runs, predict, export, push, delete, doctor
):  # fmt: skip
    app.command()(command)
app.command("app")(serve)
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
        sys.exit(exit_codes.INVALID)
    except (StoreError, ResultsError, DataRefused) as error:
        typer.echo(str(error), err=True)
        sys.exit(exit_codes.FAILED)


def _option(field: str) -> str | None:
    """--learning-rates of "learning_rates.0", --methods of "base.methods.0"; None if there is no such one."""
    name = field.removeprefix("base.").split(".")[0]
    commands = typer.main.get_command(app).commands.values()  # type: ignore[attr-defined]
    options = {option.name: option.opts[0] for command in commands for option in command.params}
    return options.get(name)
