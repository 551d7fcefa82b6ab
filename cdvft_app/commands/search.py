"""`python -m cdvft_app search`: find settings on validation rows, trial by trial, here or on a cluster.

Trials are runs of one group in the history, so the page shows them too. The same command again goes on where
the search was cut off; of one that has ended it prints what was found.
"""

from __future__ import annotations

import json
from typing import Annotated

import typer

from cdvft_app import catalog
from cdvft_app.catalog.sources import require_in_reach
from cdvft_app.commands import FINISHED, STOPPED
from cdvft_app.commands.data import Answer, Clean, EvaluationFile, File, Label, Prompt, Text
from cdvft_app.commands.options import OPTIONS, Cluster, Json, with_sizes
from cdvft_app.commands.train import ProgressBar, race_base, trainer
from cdvft_app.methods import InvalidChoice
from cdvft_app.methods.flat import write_run
from cdvft_app.prediction import admitted
from cdvft_app.search import SearchRequest, parse_search, results, study
from cdvft_app.settings.environment import environment
from cdvft_app.store.processes import this_process
from cdvft_app.store.records import RunRecord
from cdvft_app.store.runs import RunStore
from cdvft_app.store.states import UNFINISHED
from cdvft_app.sweep import numbers
from cdvft_app.training.schedule import processes

MAX_SEARCHES = 50  # that are looked through for one that was cut off


@with_sizes
def search(
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
    methods: Annotated[str, typer.Option(help="Methods, with commas; each has the same budget.")] = "cdvft",
    trials: Annotated[int | None, typer.Option(help="Trials a method, at most.")] = None,
    random_trials: Annotated[int | None, typer.Option(help="How many of them are drawn at random.")] = None,
    seconds: Annotated[float | None, typer.Option(help="Seconds of training a method, at most.")] = None,
    rates: Annotated[
        str | None,
        typer.Option(help="Lowest and highest learning rate, times each method's usual one: 0.1,10."),
    ] = None,
    epochs: Annotated[
        str | None,
        typer.Option(help="Passes over the training examples; several, with commas, are searched."),
    ] = None,
    target_modules: Annotated[
        list[str] | None,
        typer.Option(help="Layers with commas; give it once a choice; of one method."),
    ] = None,
    pruner: Annotated[
        str | None, typer.Option(help="What gives trials up early: median, hyperband, none.")
    ] = None,
    grid: Annotated[bool, typer.Option("--grid", help="Try every rate and value, in place of TPE.")] = False,
    max_steps: Annotated[int | None, typer.Option(help=OPTIONS["max_steps"][1])] = None,
    batch_size: Annotated[int | None, typer.Option(help=OPTIONS["batch_size"][1])] = None,
    train_examples: Annotated[int | None, typer.Option(help=OPTIONS["train_examples"][1])] = None,
    evaluation_examples: Annotated[
        int | None, typer.Option(help="How many validation examples to use.")
    ] = None,
    evaluations: Annotated[int | None, typer.Option(help=OPTIONS["evaluations"][1])] = None,
    seed: Annotated[int | None, typer.Option(help="Of the trials' runs and of what is proposed.")] = None,
    again: Annotated[bool, typer.Option("--again", help="Begin anew, whatever was searched before.")] = False,
    as_json: Json = False,
    cluster: Cluster = None,
) -> None:
    """Find rates and sizes for a recipe, or for --data of your own, by the loss on held-out training rows.

    The same command again goes on.
    """
    given = {name: value for name, value in locals().items() if value is not None}
    shared = (
        "recipe", "max_steps", "batch_size", "train_examples", "evaluation_examples", "evaluations", "seed",
    )  # fmt: skip
    base = race_base(given, shared)
    own_names = ("trials", "random_trials", "seconds", "pruner")
    asked = {name: given[name] for name in own_names if name in given}
    asked |= {"rates": numbers(rates)} if rates else {}
    tried = numbers(epochs or "")
    if len(tried) == 1:
        base["epochs"] = tried[0]
    elif tried:
        asked["epochs"] = tried
    if target_modules:
        asked["target_modules"] = [one.split(",") for one in target_modules]
    lists = {name: numbers(typed) for name, typed in sizes.items()}
    request = parse_search({"base": base, "grid": grid, **asked, **lists})
    if processes() > 1:
        raise InvalidChoice("A search trains in one process; start it without a launcher.")
    store = RunStore.default()
    for settings in request.every_value():
        catalog.resolve(settings)
    plans = [catalog.resolve(settings) for settings in request.middle()]
    require_in_reach([plans[0].model, plans[0].dataset])
    for plan in plans:
        admitted(plan, store, environment().max_run_seconds)  # before the first one begins
    group_id = None if again else _begun(store, request)
    group_id, stopped = _run_all(store, request, group_id, f"Search: {plans[0].title}", cluster)
    _print_results(store, group_id, as_json)
    raise typer.Exit(STOPPED if stopped else FINISHED)


def _begun(store: RunStore, request: SearchRequest) -> str | None:
    """Return the latest search for the same that nobody is at, if there is one."""
    for runs in store.groups(MAX_SEARCHES, sweeps=True):
        found = study.load(store, runs[0].group_id)
        if found and found.request == request and not any(run.state in UNFINISHED for run in runs):
            return found.group_id
    return None


def _run_all(
    store: RunStore, request: SearchRequest, group_id: str | None, title: str, cluster: str | None
) -> tuple[str, bool]:
    """Train until every method has had its budget; returns the group, and whether somebody stopped it."""
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
            typer.echo("Interrupted; the same command goes on.", err=True)
            raise typer.Exit(STOPPED) from None
        found = study.load(store, group_id)
        assert found is not None
        given_up = study.is_given_up(found, run.id)
        typer.echo(f"{ended.settings.method.label()}: {_outcome(store, ended, given_up)}", err=True)
        if ended.state == "stopped" and not given_up:
            typer.echo("Stopped; the same command goes on.", err=True)
            return group_id, True


def _next_run(store: RunStore, request: SearchRequest, group_id: str | None, title: str) -> RunRecord | None:
    """Return the run that was cut off, taken again, or the next one; None where the search has ended."""
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
        return f"{rate}: validation loss {loss:.4g}" + (", given up early" if given_up else "")
    return f"{rate}: {run.state}. {run.reason or ''}".strip()


def _print_results(store: RunStore, group_id: str, as_json: bool) -> None:
    found = study.load(store, group_id)
    assert found is not None
    methods = results.methods(store, found)
    best = study.best_runs(store, found)
    if as_json:
        answer = {"group_id": group_id, "methods": methods}
        print(json.dumps(answer | {"race": [write_run(one) for one in best]}))
        return
    for method in methods:
        for sentence in method["sentences"]:
            print(sentence)
