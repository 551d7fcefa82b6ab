"""`cdvft search`: tune settings on validation rows, trial by trial, here or on a cluster.

Trials are runs of one group in the history, so the page shows them too. The same command continues an
interrupted search.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated, Any

import typer

from cdvft_app import catalog
from cdvft_app.catalog.sources import require_in_reach
from cdvft_app.commands import FINISHED, STOPPED
from cdvft_app.commands.options import Cluster, Json
from cdvft_app.commands.train import Again, ProgressBar, require_one_process, trainer, with_race
from cdvft_app.methods.flat import write_run
from cdvft_app.prediction import admitted
from cdvft_app.search import SearchRequest, parse_search, results, study
from cdvft_app.settings.environment import environment
from cdvft_app.store.processes import this_process
from cdvft_app.store.records import RunRecord
from cdvft_app.store.runs import RunStore
from cdvft_app.store.states import UNFINISHED
from cdvft_app.sweep import numbers

MAX_SEARCHES = 50  # that are checked for an interrupted one
INTERRUPTED, ENDED_EARLY = (f"{how}. Run the same command to continue." for how in ("Interrupted", "Stopped"))


@with_race
def search(
    base: dict[str, Any],
    lists: dict[str, list[Any]],
    *,
    trials: Annotated[int | None, typer.Option(help="Trials per method, at most.")] = None,
    rates: Annotated[
        str | None, typer.Option(help="Lowest and highest multiple of each method's learning rate: 0.1,10.")
    ] = None,
    grid: Annotated[bool, typer.Option("--grid", help="Try every rate and value instead of TPE.")] = False,
    again: Again = False,
    as_json: Json = False,
    cluster: Cluster = None,
) -> None:
    """Tune learning rates and sizes for a recipe or your data, by the loss on validation rows."""
    values: dict[str, Any] = {"base": base, "grid": grid, **lists}
    values |= {"trials": trials} if trials is not None else {}
    values |= {"rates": numbers(rates)} if rates else {}
    request = parse_search(values)
    require_one_process()
    store = RunStore.default()
    for settings in request.every_value():
        catalog.resolve(settings)
    plans = [catalog.resolve(settings) for settings in request.middle()]
    require_in_reach([plans[0].model, plans[0].dataset])
    for plan in plans:
        admitted(plan, store, environment().max_run_seconds)  # before the first one begins
    group_id = None if again else _interrupted(store, request)
    group_id, stopped = _run_all(store, request, group_id, f"Search: {plans[0].title}", cluster)
    _print_results(store, group_id, as_json)
    raise typer.Exit(STOPPED if stopped else FINISHED)


def _interrupted(store: RunStore, request: SearchRequest) -> str | None:
    """Return the latest search for the same that no process runs, if there is one."""
    for runs in store.groups(MAX_SEARCHES, sweeps=True):
        found = study.load(store, runs[0].group_id)
        if found and found.request == request and not any(run.state in UNFINISHED for run in runs):
            return found.group_id
    return None


def _run_all(
    store: RunStore, request: SearchRequest, group_id: str | None, title: str, cluster: str | None
) -> tuple[str, bool]:
    """Train until every method has had its trials; return the group, and whether it was stopped."""
    train = trainer(store, cluster)
    while True:
        run = _next_run(store, request, group_id, title)
        if run is None:
            assert group_id is not None  # a search has a run
            return group_id, False
        group_id = run.group_id
        try:
            with ProgressBar() as bar:
                ended = train(lambda _, run=run: run, bar.listen)  # type: ignore[misc]
        except KeyboardInterrupt:
            typer.echo(INTERRUPTED, err=True)
            raise typer.Exit(STOPPED) from None
        found = study.load(store, group_id)
        assert found is not None
        given_up = study.is_given_up(found, run.id)
        typer.echo(f"{ended.settings.method.label()}: {_outcome(store, ended, given_up)}", err=True)
        if ended.state == "stopped" and not given_up:
            typer.echo(ENDED_EARLY, err=True)
            return group_id, True


def _next_run(store: RunStore, request: SearchRequest, group_id: str | None, title: str) -> RunRecord | None:
    """Return the interrupted run, claimed again, or the next one; None once the search has ended."""
    process = this_process()
    if group_id is None:
        return study.begin(store, request, None, title, process=process)
    found = study.load(store, group_id)
    assert found is not None
    for run in study.cut_off(found, store.group(group_id)):
        store.set_visitor(run.id, None)
        return store.leases.acquire(run.id, process)
    return study.advance(store, group_id, process)


def _outcome(store: RunStore, run: RunRecord, given_up: bool) -> str:
    rate = f"learning rate {run.settings.method.learning_rate:g}"
    loss = study.final_loss(store, run)
    if run.state == "finished" or given_up:
        return f"{rate}: validation loss {loss:.4g}" + (", pruned" if given_up else "")
    return f"{rate}: {run.state}. {run.reason or ''}".strip()


def _print_results(store: RunStore, group_id: str, as_json: bool) -> None:
    found = study.load(store, group_id)
    assert found is not None
    methods = results.methods(store, found)
    if as_json:
        best: list[Mapping[str, Any]] = [write_run(one) for one in study.best_runs(store, found)]
        print(json.dumps({"group_id": group_id, "methods": methods, "race": best}))
        return
    for method in methods:
        for sentence in method["sentences"]:
            print(sentence)
