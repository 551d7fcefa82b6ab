"""The same without a page: `python -m cdvft_app train`, `sweep`, `runs`, `resume`, `delete`,
`cost`, `measure`.

Results go to standard output, progress and complaints to standard error. Exit codes: 0 finished, 1 failed,
2 a choice that cannot be run, 130 stopped. Under a launcher several processes share a run's batches, on GPUs
or, where there is none, on the CPU: `accelerate launch --multi_gpu --num_processes 2 -m cdvft_app train`,
or `torchrun --nproc-per-node 2 -m cdvft_app train`.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from cdvft_app import catalog
from cdvft_app.catalog.sources import require_in_reach
from cdvft_app.cost_command import cost
from cdvft_app.measure_command import measure
from cdvft_app.options import with_settings
from cdvft_app.progress import ProgressBar
from cdvft_app.settings import InvalidChoice, RunSettings
from cdvft_app.store.processes import this_process
from cdvft_app.store.records import RunRecord, StoreError, UnknownRun
from cdvft_app.store.runs import RunStore
from cdvft_app.store.states import check_resumable
from cdvft_app.sweep_command import sweep
from cdvft_app.training.foreground import assist, left_alone, rank, run_here

app = typer.Typer(
    help="Fine-tune with CDVFT and its rivals.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
Json = Annotated[bool, typer.Option("--json", help="End the output with the result as one line of JSON.")]
EXIT_CODES = {"finished": 0, "stopped": 130}
EXIT_FAILED, EXIT_INVALID = 1, 2
TABLE_WIDTH = 200  # room for any row, so that no number is cut
MOST_OF_NAME = 24  # characters of a run's name in the list; --json has all of it

app.command()(cost)
app.command()(measure)
app.command()(sweep)


@app.command()
@with_settings
def train(settings: RunSettings, as_json: Json = False) -> None:
    """Train one method on one recipe. Ctrl-C stops it and keeps the adapter."""
    plan = catalog.resolve(settings)
    require_in_reach([plan.model, plan.dataset])

    def take(store: RunStore) -> RunRecord:
        from cdvft_app.prediction import promised

        forecasts = [promised(plan, store)]
        (run,) = store.create([plan.settings], None, plan.recipe.title, this_process(), forecasts)
        return run

    _run(take, as_json)


@app.command()
def resume(run_id: str, as_json: Json = False) -> None:
    """Go on with a stopped, failed or interrupted run from its last checkpoint."""

    def take(store: RunStore) -> RunRecord:
        store.mark_interrupted()
        run = store.get(run_id)
        if run is None:
            raise UnknownRun(f"There is no run {run_id[:40]!r}; `python -m cdvft_app runs` lists all.")
        check_resumable(run)
        store.set_state(run_id, "preparing", process=this_process())
        return run

    _run(take, as_json)


@app.command()
def runs(limit: Annotated[int, typer.Option(min=1)] = 20, as_json: Json = False) -> None:
    """List the latest runs."""
    store = RunStore.default()
    store.mark_interrupted()
    found = store.history(limit)
    if as_json:
        print(json.dumps([_facts(run) | _circumstances(run) for run in found]))
        return
    table = Table(box=None, header_style="bold")
    for heading in ("run", "begun", "name", "method", "state", "step", "result", "parameters", "seconds"):
        table.add_column(heading, no_wrap=True)
    for run in found:
        table.add_row(
            run.id,
            f"{datetime.fromtimestamp(run.created):%Y-%m-%d %H:%M}",
            escape(run.name if len(run.name) <= MOST_OF_NAME else f"{run.name[: MOST_OF_NAME - 1]}…"),
            run.method,
            run.state,
            f"{run.step}/{run.total_steps or '?'}",
            "" if run.metric is None else f"{run.metric_name} {run.metric:.4f}",
            "" if run.trainable_parameters is None else f"{run.trainable_parameters:,}",
            "" if run.seconds is None else f"{run.seconds:.1f}",
        )
    console = Console()
    console.width = max(console.width, TABLE_WIDTH)
    console.print(table)


@app.command()
def delete(run_ids: list[str]) -> None:
    """Delete runs with their curves and adapters, whoever started them; one that trains must be stopped."""
    store = RunStore.default()
    store.mark_interrupted()
    for run_id in run_ids:
        store.remove(run_id)
        print(f"deleted {run_id}")


def _run(take: Callable[[RunStore], RunRecord], as_json: bool) -> None:
    if rank() > 0:
        assist()
        return
    if left_alone():
        _complain(
            "One process was started; for several on the CPU, launch with --multi_gpu in place of --cpu."
        )
    store = RunStore.default()
    try:
        with ProgressBar() as bar:
            run = run_here(store, take, bar.listen)
    except KeyboardInterrupt:
        _complain("Interrupted; `resume` goes on from the last checkpoint.")
        raise typer.Exit(EXIT_CODES["stopped"]) from None
    if run.reason:
        _complain(run.reason)
    if as_json:
        print(json.dumps(_facts(run) | {"forecast": run.forecast}))
    elif run.metric is not None:
        print(f"{run.state} after {run.step} steps: {run.metric_name} {run.metric:.4f}")
        print(f"{run.trainable_parameters:,} trainable parameters, {run.seconds:.1f} s of training")
        print(f"kept in {store.folder(run.id)}; run {run.id}")
    raise typer.Exit(EXIT_CODES.get(run.state, EXIT_FAILED))


def _facts(run: RunRecord) -> dict[str, Any]:
    return {
        "run_id": run.id,
        "state": run.state,
        "metric_name": run.metric_name,
        "metric": run.metric,
        "trainable_parameters": run.trainable_parameters,
        "seconds": run.seconds,
    }


def _circumstances(run: RunRecord) -> dict[str, Any]:
    return {
        "name": run.name,
        "recipe": run.settings.recipe,
        "method": run.method,
        "reason": run.reason,
        "step": run.step,
        "total_steps": run.total_steps,
        "created": run.created,
    }


def _complain(sentence: str) -> None:
    print(sentence, file=sys.stderr)


def main() -> None:
    try:
        app(prog_name="python -m cdvft_app")
    except InvalidChoice as error:
        _complain(str(error))
        sys.exit(EXIT_INVALID)
    except StoreError as error:
        _complain(str(error))
        sys.exit(EXIT_FAILED)
