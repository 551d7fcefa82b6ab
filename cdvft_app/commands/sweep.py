"""`python -m cdvft_app sweep`: a grid of runs in this terminal, one after the other, or on a cluster.

They are ordinary runs of one group in the history, so the page shows them too. The same command again goes on
where the sweep was cut off; of one that has ended it prints the table.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Sequence
from functools import partial
from typing import Annotated, Any

import typer

from cdvft_app import catalog
from cdvft_app.catalog.sources import require_in_reach
from cdvft_app.commands import FINISHED, STOPPED
from cdvft_app.commands.data import Answer, Clean, EvaluationFile, File, Label, Prompt, Text
from cdvft_app.commands.options import OPTIONS, Cluster, Json, console, table, with_sizes
from cdvft_app.commands.train import ProgressBar, on_cluster, race_base
from cdvft_app.executors.queue import run_elsewhere
from cdvft_app.judging import verdict_text
from cdvft_app.judging.compared_runs import (
    Configuration,
    compared_run,
    configuration_label,
    configurations_of,
)
from cdvft_app.methods import InvalidChoice
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
from cdvft_app.training.schedule import processes

MAX_SWEEPS = 50  # that are looked through for one that was cut off
TABLE_WIDTH = 110


@with_sizes
def sweep(
    sizes: dict[str, str],
    *,
    recipe: Annotated[str | None, typer.Option(help=OPTIONS["recipe"][1])] = None,
    data: File = None,
    text: Text = None,
    label: Label = None,
    prompt: Prompt = None,
    answer: Answer = None,
    evaluation: EvaluationFile = None,
    clean: Clean = None,
    methods: Annotated[str, typer.Option(help="Methods, with commas.")] = "cdvft",
    learning_rates: Annotated[
        str | None, typer.Option(help="Multiples of each method's own rate, with commas, such as 0.3,1,3.")
    ] = None,
    seeds: Annotated[str | None, typer.Option(help="Seeds, with commas.")] = None,
    epochs: Annotated[float | None, typer.Option(help=OPTIONS["epochs"][1])] = None,
    max_steps: Annotated[int | None, typer.Option(help=OPTIONS["max_steps"][1])] = None,
    batch_size: Annotated[int | None, typer.Option(help=OPTIONS["batch_size"][1])] = None,
    train_examples: Annotated[int | None, typer.Option(help=OPTIONS["train_examples"][1])] = None,
    evaluation_examples: Annotated[int | None, typer.Option(help=OPTIONS["evaluation_examples"][1])] = None,
    evaluations: Annotated[int | None, typer.Option(help=OPTIONS["evaluations"][1])] = None,
    again: Annotated[bool, typer.Option("--again", help="Begin anew, whatever was run before.")] = False,
    as_json: Json = False,
    cluster: Cluster = None,
) -> None:
    """Vary the methods' sizes, learning rates and seeds around one recipe, or on --data of your own.

    The same command again goes on.
    """
    options = {key: value for key, value in locals().items() if value is not None}
    budget = (
        "recipe", "epochs", "max_steps", "batch_size", "train_examples", "evaluation_examples", "evaluations",
    )  # fmt: skip
    base = race_base(options, budget)
    lists = sizes | {key: options[key] for key in ("learning_rates", "seeds") if key in options}
    request = parse_sweep({"base": base, **{key: numbers(typed) for key, typed in lists.items()}})
    plans = [catalog.resolve(settings) for settings in request.runs()]
    require_in_reach([plans[0].model, plans[0].dataset])
    if processes() > 1:
        raise InvalidChoice("A sweep trains in one process; start it without a launcher.")
    store = RunStore.default()
    for plan in plans:
        admitted(plan, store, environment().max_run_seconds)  # before the first one begins
    wanted = [plan.settings for plan in plans]
    before = [] if again else _unfinished_sweep(store, wanted)
    runs, stopped = _run_all(store, wanted, before, f"Sweep: {plans[0].title}", cluster)
    if runs:  # else it was stopped before the first one began
        _print_results(runs, store, as_json)
    raise typer.Exit(STOPPED if stopped else FINISHED)


def _unfinished_sweep(store: RunStore, wanted: Sequence[RunSettings]) -> list[RunRecord]:
    """Return the runs of the latest sweep that is part of this one and that nobody is at, if there is one."""
    for runs in store.groups(MAX_SWEEPS, sweeps=True):
        busy = any(run.state in UNFINISHED for run in runs)
        if not busy and {run.settings for run in runs} <= set(wanted):
            return runs
    return []


def _run_all(
    store: RunStore,
    wanted: Sequence[RunSettings],
    before: Sequence[RunRecord],
    title: str,
    cluster: str | None,
) -> tuple[list[RunRecord], bool]:
    """Train what has not ended; returns the sweep's runs, and whether somebody stopped it."""
    known = {run.settings: run for run in before}
    group_id = before[0].group_id if before else secrets.token_hex(16)
    family = compared_pairs(wanted, sweep=True)
    ended = sum(run.state in SETTLED for run in known.values())
    if ended:
        typer.echo(f"{ended} of {len(wanted)} runs had ended before; --again begins anew.", err=True)
    takes = [
        partial(
            _take,
            settings=settings,
            earlier_run=known.get(settings),
            title=title,
            group_id=group_id,
            family=family,
        )
        for settings in wanted
        if settings not in known or known[settings].state not in SETTLED
    ]

    def tell(run: RunRecord) -> None:
        nonlocal ended
        ended += 1
        label = configuration_label(configurations_of([compared_run(run)])[0])
        seed = run.settings.seed
        typer.echo(f"{ended} of {len(wanted)}: {label}, seed {seed}: {_outcome(run)}", err=True)

    try:
        stopped = _run_elsewhere(store, takes, cluster, tell) if cluster else _run_here(store, takes, tell)
    except KeyboardInterrupt:
        typer.echo("Interrupted; the same command goes on.", err=True)
        raise typer.Exit(STOPPED) from None
    if stopped:
        typer.echo("Stopped; the same command goes on.", err=True)
    return store.group(group_id), stopped


def _run_here(
    store: RunStore, takes: Sequence[Callable[[RunStore], RunRecord]], tell: Callable[[RunRecord], None]
) -> bool:
    """Train the runs here, one after the other; return whether somebody stopped it."""
    for take in takes:
        with ProgressBar() as bar:
            run = run_here(store, take, bar.listen)
        tell(run)
        if run.state == "stopped":
            return True
    return False


def _run_elsewhere(
    store: RunStore,
    takes: Sequence[Callable[[RunStore], RunRecord]],
    cluster: str,
    tell: Callable[[RunRecord], None],
) -> bool:
    """Train as many runs at a time as the cluster has room for; return whether somebody stopped it."""
    runs = run_elsewhere(store, takes, on_cluster(cluster), ended=tell)
    return len(runs) < len(takes) or any(run.state == "stopped" for run in runs)


def _take(
    store: RunStore,
    *,
    settings: RunSettings,
    earlier_run: RunRecord | None,
    title: str,
    group_id: str,
    family: int,
) -> RunRecord:
    """Return the earlier run, claimed again, or a new one."""
    process = this_process()
    if earlier_run:
        store.set_visitor(earlier_run.id, None)
        return store.leases.acquire(earlier_run.id, process)
    forecasts = [admitted(catalog.resolve(settings), store, environment().max_run_seconds)]
    (run,) = store.create(
        [settings], None, title, process, sweep=True, group_id=group_id, forecasts=forecasts, family=family
    )
    return run


def _outcome(run: RunRecord) -> str:
    if run.state != "finished" or run.metric is None:
        return f"{run.state}. {run.reason or ''}".strip()
    return f"{run.metric_name} {get_metric(run.metric_name).format(run.metric)}, {run.seconds:.1f} s"


def _print_results(runs: Sequence[RunRecord], store: RunStore, as_json: bool) -> None:
    made = judged(runs, store)
    metric = get_metric(made.metric_name or "")
    if as_json:
        verdicts = [*made.compared.between.values(), *made.compared.along.values()]
        answer = {
            "group_id": runs[0].group_id,
            "metric_name": made.metric_name or "",
            "sentences": made.sentences,
            "verdicts": verdict_text.as_dicts(verdicts),
        }
        print(json.dumps(answer | {"settings": [_facts(one) for one in made.configurations]}))
        return
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


def _facts(one: Configuration) -> dict[str, Any]:
    spread = one.spread
    return {
        "method": one.method,
        **one.values,
        "mean": spread and spread.mean,
        "lowest": spread and spread.low,
        "highest": spread and spread.high,
        "finished": spread.runs if spread else 0,
        "failed": one.failed,
        "trainable_parameters": one.parameters,
        "seconds": one.seconds,
    }
