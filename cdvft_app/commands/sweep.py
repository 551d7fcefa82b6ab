"""`cdvft sweep`: a grid of runs in this terminal, one after the other, or on a cluster.

They are ordinary runs of one group in the history, so the page shows them too. The same command continues an
interrupted sweep.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from typing import Annotated, Any

import typer

from cdvft_app import catalog
from cdvft_app.catalog.sources import require_in_reach
from cdvft_app.commands import FINISHED, STOPPED
from cdvft_app.commands.options import Cluster, Json, console, table
from cdvft_app.commands.train import Again, ProgressBar, on_cluster, require_one_process, with_race
from cdvft_app.executors.queue import run_elsewhere
from cdvft_app.judging.compared_runs import (
    Configuration,
    compared_run,
    configuration_label,
    configurations_of,
)
from cdvft_app.metrics import get_metric
from cdvft_app.prediction import admitted
from cdvft_app.settings import RunSettings
from cdvft_app.settings.environment import environment
from cdvft_app.store.processes import this_process
from cdvft_app.store.records import RunRecord, compared_pairs
from cdvft_app.store.runs import RunStore
from cdvft_app.store.states import SETTLED, UNFINISHED
from cdvft_app.sweep import numbers, parse_sweep
from cdvft_app.sweep.results import judged
from cdvft_app.training.run import run_here

MAX_SWEEPS = 50  # that are checked for an interrupted one
TABLE_WIDTH = 110
CONTINUES = "{ended} of {runs} runs ended before. Use --again to start over."
INTERRUPTED, ENDED_EARLY = (f"{how}. Run the same command to continue." for how in ("Interrupted", "Stopped"))


@with_race
def sweep(
    base: dict[str, Any],
    lists: dict[str, list[Any]],
    *,
    learning_rates: Annotated[
        str | None, typer.Option(help="Multiples of each method's learning rate: 0.3,1,3.")
    ] = None,
    seeds: Annotated[str | None, typer.Option(help="Seeds, with commas.")] = None,
    again: Again = False,
    as_json: Json = False,
    cluster: Cluster = None,
) -> None:
    """Vary sizes, learning rates, and seeds of methods on one recipe or your data."""
    typed = {"learning_rates": learning_rates, "seeds": seeds}
    lists |= {name: numbers(text) for name, text in typed.items() if text is not None}
    request = parse_sweep({"base": base, **lists})
    plans = [catalog.resolve(settings) for settings in request.runs()]
    require_in_reach([plans[0].model, plans[0].dataset])
    require_one_process()
    store = RunStore.default()
    for plan in plans:
        admitted(plan, store, environment().max_run_seconds)  # before the first one begins
    expected = [plan.settings for plan in plans]
    before = [] if again else _interrupted(store, expected)
    runs, stopped = _run_all(store, expected, before, f"Sweep: {plans[0].title}", cluster)
    if runs:  # else it was stopped before the first one began
        _print_results(runs, store, as_json)
    raise typer.Exit(STOPPED if stopped else FINISHED)


def _interrupted(store: RunStore, expected: Sequence[RunSettings]) -> list[RunRecord]:
    """Return the runs of the latest sweep that is part of this one and that no process runs, if any."""
    for runs in store.groups(MAX_SWEEPS, sweeps=True):
        busy = any(run.state in UNFINISHED for run in runs)
        if not busy and {run.settings for run in runs} <= set(expected):
            return runs
    return []


def _run_all(
    store: RunStore,
    expected: Sequence[RunSettings],
    before: Sequence[RunRecord],
    title: str,
    cluster: str | None,
) -> tuple[list[RunRecord], bool]:
    """Train the runs that have not ended; return the sweep's runs, and whether it was stopped."""
    known = {run.settings: run for run in before}
    group_id = before[0].group_id if before else secrets.token_hex(16)
    family, count = compared_pairs(expected, sweep=True), len(expected)
    ended = sum(run.state in SETTLED for run in known.values())
    if ended:
        typer.echo(CONTINUES.format(ended=ended, runs=count), err=True)

    def claim(store: RunStore, settings: RunSettings) -> RunRecord:
        if earlier := known.get(settings):
            store.set_visitor(earlier.id, None)
            return store.leases.acquire(earlier.id, this_process())
        forecasts = [admitted(catalog.resolve(settings), store, environment().max_run_seconds)]
        (run,) = store.create(
            [settings], None, title, this_process(), sweep=True, group_id=group_id, forecasts=forecasts,
            family=family,
        )  # fmt: skip
        return run

    def tell(run: RunRecord) -> None:
        nonlocal ended
        ended += 1
        label = configuration_label(configurations_of([compared_run(run)])[0])
        typer.echo(f"{ended} of {count}: {label}, seed {run.settings.seed}: {_outcome(run)}", err=True)

    left = [one for one in expected if one not in known or known[one].state not in SETTLED]
    claims = [partial(claim, settings=settings) for settings in left]
    runs: list[RunRecord] = []
    try:
        if cluster:
            runs = run_elsewhere(store, claims, on_cluster(cluster), ended=tell)
        for one in [] if cluster else claims:
            with ProgressBar() as bar:
                runs.append(run_here(store, one, bar.listen))
            tell(runs[-1])
            if runs[-1].state == "stopped":
                break
    except KeyboardInterrupt:
        typer.echo(INTERRUPTED, err=True)
        raise typer.Exit(STOPPED) from None
    stopped = len(runs) < len(claims) or any(run.state == "stopped" for run in runs)
    if stopped:
        typer.echo(ENDED_EARLY, err=True)
    return store.group(group_id), stopped


def _outcome(run: RunRecord) -> str:
    if run.state != "finished" or run.metric is None:
        return f"{run.state}. {run.reason or ''}".strip()
    return f"{run.metric_name} {get_metric(run.metric_name).format(run.metric)}, {run.seconds:.1f} s"


def _print_results(runs: Sequence[RunRecord], store: RunStore, as_json: bool) -> None:
    made = judged(runs, store)
    if as_json:
        answer = {"group_id": runs[0].group_id, "metric_name": made.metric_name, "sentences": made.sentences}
        print(json.dumps(answer | {"settings": [_values(one) for one in made.configurations]}))
        return
    metric = get_metric(made.metric_name or "")
    rows = [
        (
            configuration_label(one),
            metric.format(spread.mean) if spread else "failed" if one.failed else "",
            f"{metric.format(spread.low)} to {metric.format(spread.high)}" if spread else "",
            f"{spread.runs if spread else 0} of {len(one.runs)}",
            "" if one.parameters is None else f"{one.parameters:,}",
            "" if one.seconds is None else f"{one.seconds:.1f}",
        )
        for one in sorted(made.configurations, key=lambda one: -one.spread.mean if one.spread else 1.0)
        for spread in (one.spread,)
    ]
    wide = console(TABLE_WIDTH)
    headings = ("setting", "mean", "lowest to highest", "seeds", "parameters", "seconds")
    wide.print(table(headings, rows, numbers=True))
    for sentence in made.sentences:
        wide.print(sentence, markup=False, highlight=False)


def _values(one: Configuration) -> dict[str, Any]:
    return {
        "method": one.method,
        **one.values,
        **(asdict(one.spread) if one.spread else {}),
        "failed": one.failed,
        "trainable_parameters": one.parameters,
        "seconds": one.seconds,
    }
