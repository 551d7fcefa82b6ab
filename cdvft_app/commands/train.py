"""`python -m cdvft_app train` and `resume`: one run in this terminal.

Under a launcher several processes share a run's batches, on GPUs or, where there is none, on the CPU:
`accelerate launch --multi_gpu --num_processes 2 -m cdvft_app train`, or
`torchrun --nproc-per-node 2 -m cdvft_app train`.
"""

from __future__ import annotations

import atexit
import inspect
import json
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cdvft_app import catalog
from cdvft_app.catalog.hub import pin_dataset_commit
from cdvft_app.catalog.sources import require_in_reach
from cdvft_app.commands import STOPPED, exit_code
from cdvft_app.commands.data import lines, print_progress, read_arguments, with_reading
from cdvft_app.commands.options import (
    DEFAULT_METHOD,
    OPTIONS,
    SIZES,
    Cluster,
    Json,
    RunId,
    option,
    own_parameters,
    progress_bar,
    with_settings,
    with_signature,
)
from cdvft_app.data import library
from cdvft_app.data.inspect import nearest_recipe
from cdvft_app.events import Evaluation, Event, Note, Preparing, Started, Step
from cdvft_app.prediction import admit_again, admitted
from cdvft_app.settings import InvalidChoice, RunSettings, UploadedDataset
from cdvft_app.settings.environment import environment
from cdvft_app.shapes.hub_models import describe_chosen_model
from cdvft_app.store.datasets import DataRecord
from cdvft_app.store.processes import this_process
from cdvft_app.store.records import RunRecord, UnknownRun
from cdvft_app.store.runs import RunStore
from cdvft_app.sweep import numbers
from cdvft_app.training.data_parallel import rank
from cdvft_app.training.run import run_as_worker, run_here
from cdvft_app.training.schedule import processes

if TYPE_CHECKING:
    from cdvft_app.executors.ray_cluster import RayCluster


class ProgressBar:
    """`listen` moves it; leaving the context takes it away."""

    def __init__(self) -> None:
        self._metric = ""
        self._bar = progress_bar("Preparing")
        (self._task,) = self._bar.task_ids

    def __enter__(self) -> ProgressBar:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def listen(self, event: Event) -> None:
        if isinstance(event, Preparing):
            percent = None if event.fraction is None else round(100 * event.fraction)
            self._bar.update(
                self._task, description=event.text, completed=percent or 0, total=percent and 100
            )
        elif isinstance(event, Started):
            self._bar.reset(self._task, total=event.total_steps, description=f"Training on {event.device}")
        elif isinstance(event, Step):
            self._bar.update(
                self._task, completed=event.step, description=f"loss {event.loss:.4f}{self._metric}"
            )
        elif isinstance(event, Evaluation):
            self._metric = f", {event.metric_name} {event.metric:.4f}"
        elif isinstance(event, Note):
            self._bar.console.print(event.text, markup=False, highlight=False, soft_wrap=True)


FIRST_ANSWER_SECONDS = 15.0  # for a cluster that never answered
LEFT_THERE = "Interrupted. A run that has started continues on the cluster; `resume --cluster` follows it."
INTERRUPTED = "Interrupted. `resume` continues from the last checkpoint."
DATA_ONLY = "{} require --data. Add --data FILE.".format(
    "--text, --label, --prompt, --answer, --eval, --held-out, --split-seed, and --clean"
)
ONE_PROCESS = "This command trains in one process. Start it without a launcher."
SHARED = (
    "recipe", "epochs", "max_steps", "batch_size", "train_examples", "evaluation_examples", "evaluations",
    "seed",
)  # fmt: skip
"""Settings that all runs of a sweep or a search share."""
Again = Annotated[bool, typer.Option("--again", help="Start over instead of continuing.")]
Methods = Annotated[str, typer.Option(help="Methods, with commas.")]
Data = Annotated[
    Path | None,
    typer.Option(help="CSV, TSV, JSON, JSONL, Parquet, .xlsx, or .ods file, or a ZIP of images."),
]


def with_data(command: Callable[..., None]) -> Callable[..., None]:
    """Fill `command`'s parameter `data` with the dataset of --data FILE and of the options that read it."""

    def with_options(*values: Any, data: Path | None, reading: Any, **more: Any) -> None:
        evaluation, roles, how = reading
        if data is None and reading != read_arguments():
            raise InvalidChoice(DATA_ONLY)
        command(*values, data=data and uploaded_dataset(data, evaluation, roles | how), **more)

    own = inspect.signature(command, eval_str=True).parameters
    file = inspect.Parameter("data", inspect.Parameter.KEYWORD_ONLY, default=None, annotation=Data)
    read = inspect.Parameter("reading", inspect.Parameter.KEYWORD_ONLY)
    return with_reading(with_signature(with_options, command, [*(own | {"data": file}).values(), read]))


def with_race(command: Callable[..., None]) -> Callable[..., None]:
    """Fill `command`'s first two parameters: what all runs share, and lists of the methods' sizes."""

    def with_options(methods: str, data: UploadedDataset | None, **values: Any) -> None:
        base = {name: value for name in SHARED if (value := values.pop(name)) is not None}
        lists = {name: numbers(typed) for name in SIZES if (typed := values.pop(name)) is not None}
        if data:
            base = {"recipe": nearest_recipe(data.kind).key, **base, "data": data.model_dump(mode="json")}
        command(base | {"methods": methods.split(",")}, lists, **values)

    shared = [option(name, OPTIONS[name][0], OPTIONS[name][1]) for name in SHARED]
    sizes = [option(name, str, f"{OPTIONS[name][1]} Values with commas.") for name in SIZES]
    methods = inspect.Parameter(
        "methods", inspect.Parameter.KEYWORD_ONLY, default=DEFAULT_METHOD, annotation=Methods
    )
    data = inspect.Parameter("data", inspect.Parameter.KEYWORD_ONLY, default=None)
    _, *own = own_parameters(command)
    return with_data(with_signature(with_options, command, [methods, data, *shared, *own, *sizes]))


def require_one_process() -> None:
    if processes() > 1:
        raise InvalidChoice(ONE_PROCESS)


@with_settings
@with_data
def train(
    settings: RunSettings, *, data: UploadedDataset | None, as_json: Json = False, cluster: Cluster = None
) -> None:
    """Train one method on a recipe or your data. Ctrl-C stops it and keeps the adapter."""
    if data:
        known = "recipe" in settings.model_fields_set
        recipe = settings.recipe if known else nearest_recipe(data.kind).key
        settings = settings.model_copy(update={"data": data, "recipe": recipe})
    settings = pin_dataset_commit(settings)
    if not settings.target_modules:
        describe_chosen_model(settings.model, settings.recipe)
    plan = catalog.resolve(settings)
    require_in_reach([plan.model, plan.dataset])

    def claim(store: RunStore) -> RunRecord:
        forecasts = [admitted(plan, store, environment().max_run_seconds)]
        (run,) = store.create([plan.settings], None, plan.title, this_process(), forecasts)
        return run

    _run(claim, as_json, cluster)


def uploaded_dataset(file: Path, evaluation: Path | None, read: dict[str, Any]) -> UploadedDataset:
    """Keep a file and print what was found in it; return the dataset to learn from."""
    store = RunStore.default()
    record = _given(store, file)
    other = _given(store, evaluation) if evaluation else None
    looked = library.look(store, record.id, None, evaluation=other and other.id, **read)
    if rank() == 0:
        for line in lines(looked):
            typer.echo(line, err=True)
    return library.chosen(looked)


def _given(store: RunStore, file: Path) -> DataRecord:
    """Keep a file and return its record; where there is none, find kept data by its SHA-256's beginning."""
    before = None if file.exists() else library.given_before(store, str(file))
    return before or library.give(store, file, None, progress=print_progress)


def resume(run_id: RunId, as_json: Json = False, cluster: Cluster = None) -> None:
    """Continue a run from its last checkpoint, or follow its HF Job again."""
    if _known(RunStore.default(), run_id).is_left_job:
        from cdvft_app.commands.send import follow

        follow(run_id)

    def claim(store: RunStore) -> RunRecord:
        run = _known(store, run_id)
        run.require_resumable()
        admit_again(run, catalog.resolve(run.settings), store, environment().max_run_seconds)
        store.set_visitor(run_id, None)  # a terminal uses no visitor's time
        return store.leases.acquire(run_id, this_process())

    _run(claim, as_json, cluster)


def _known(store: RunStore, run_id: str) -> RunRecord:
    run = store.get(run_id)
    if run is None:
        raise UnknownRun(f"There is no run {run_id[:40]!r}. `cdvft runs` lists all runs.")
    return run


def on_cluster(address: str) -> RayCluster:
    """Raises InvalidChoice where Ray is not installed, or this is no address."""
    from cdvft_app.executors.ray_cluster import RayCluster

    os.environ["CDVFT_CLUSTER"] = address
    try:
        executor = RayCluster(environment().cluster, patience=FIRST_ANSWER_SECONDS)
    except ValueError as error:
        raise InvalidChoice(str(error)) from None
    atexit.register(executor.close)
    return executor


ClaimRun = Callable[[RunStore], RunRecord]
TrainOne = Callable[[ClaimRun, Callable[[Event], None]], RunRecord]
"""Trains a run, and returns its record at its end."""


def trainer(store: RunStore, cluster: str | None) -> TrainOne:
    """Return a function that trains a run here, or on the cluster.

    The function raises KeyboardInterrupt where somebody asked to stop before the run began.
    """
    if not cluster:
        return partial(run_here, store)
    from cdvft_app.executors.queue import run_elsewhere

    executor = on_cluster(cluster)

    def train_there(claim: ClaimRun, listen: Callable[[Event], None]) -> RunRecord:
        ended = run_elsewhere(store, [claim], executor, lambda run, event: listen(event))
        if not ended:
            raise KeyboardInterrupt
        return ended[0]

    return train_there


def _run(claim: ClaimRun, as_json: bool, cluster: str | None) -> None:
    if rank() > 0:
        run_as_worker()
        return
    store = RunStore.default()
    try:
        with ProgressBar() as bar:
            run = trainer(store, cluster)(claim, bar.listen)
    except KeyboardInterrupt:
        typer.echo(LEFT_THERE if cluster else INTERRUPTED, err=True)
        raise typer.Exit(STOPPED) from None
    if run.reason:
        typer.echo(run.reason, err=True)
    if as_json:
        from cdvft_app.commands.history import run_summary

        print(json.dumps(run_summary(run) | {"forecast": run.forecast, "adapter": _adapter(store, run)}))
    elif run.metric is not None:
        print(f"{run.state} after {run.step} steps: {run.metric_name} {run.metric:.4f}")
        head = run.result.get("head_parameters")
        of_head = f" and {head:,} of the head" if head else ""
        print(f"{run.trainable_parameters:,} trainable parameters{of_head}, {run.seconds:.1f} s of training")
        print(f"saved in {store.folder(run.id)}; run {run.id}")
    raise typer.Exit(exit_code(run.state))


def _adapter(store: RunStore, run: RunRecord) -> str | None:
    """Return the folder of what was trained; None where nothing is kept."""
    kept = run.result.get("adapter_folder")
    return str(store.folder(run.id) / kept) if kept else None
