"""One run by processes on several nodes, which Ray Train's TorchTrainer starts and connects.

The first process is on the node where the run's store is, and tells it all that happens. The others have
copies of the run's files on their own disks.
"""

from __future__ import annotations

import os
import pkgutil
import shutil
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from cdvft_app.cluster.transfer import Order, cause, own_folder, pack, unpack
from cdvft_app.events import Done, Event, Halt, Preparing, TrainingPaused
from cdvft_app.settings import RunSettings
from cdvft_app.store.processes import this_process
from cdvft_app.store.records import LeaseLost, RunRecord
from cdvft_app.store.runs import RunStore
from cdvft_app.store.states import FINAL
from cdvft_app.training import data_parallel
from cdvft_app.training.executors import STATUS_SECONDS, Executor
from cdvft_app.training.run import NOT_BEGUN, OTHER_ENDED, StopConditions, reason, train_run

ONE_LOST = "One of the processes that share it was lost."
WAITS = "The run waits for {} places on the cluster"


class SharedRuns(Executor):
    """Has a run trained by as many processes as its order says; for use in an actor of Ray.

    Args:
        order: of the run; each process asks for its resources.
        refused: ids of the nodes that may not train.
    """

    def __init__(self, order: Order, refused: Sequence[str]) -> None:
        self._order, self._refused = order, refused

    def start(self, store: RunStore, run: RunRecord, limit: float | None = None) -> SharedRun:
        return SharedRun(store, run, limit, self._order, self._refused)


class SharedRun:
    """An `Execution`: it ends as `interrupted` where a process is lost, so that the run goes on elsewhere."""

    def __init__(
        self,
        store: RunStore,
        run: RunRecord,
        limit: float | None,
        order: Order,
        refused: Sequence[str],
    ) -> None:
        import ray
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        self._store, self._run, self._why, self._said = store, run, ONE_LOST, 0.0
        self._waits = WAITS.format(order.processes)
        here = ray.get_runtime_context().get_node_id()
        others = {"ray.io/node-id": f"!in({', '.join(refused)})"} if refused else {}
        places = [{"ray.io/node-id": here}, *[others] * (order.processes - 1)]
        config = {
            "root": str(store.root),
            "name": order.name,
            "run_id": run.id,
            "limit": limit,
            "trainer": order.trainer,
            "files": _packed(store.root),
        }
        fit: Any = ray.remote(_fit)  # in a process of its own, which can be killed
        there = NodeAffinitySchedulingStrategy(here, soft=False)
        self._fitting = fit.options(num_cpus=0, max_retries=0, scheduling_strategy=there).remote(
            config, dict(order.resources), places, order.threads
        )

    def poll(self, seconds: float) -> bool:
        import ray

        ended, _ = ray.wait([self._fitting], timeout=seconds)
        if not ended:
            return self._wait()
        try:
            ray.get(self._fitting)
        except Exception as error:  # whatever Ray Train makes of what its processes raise
            self._why = f"{ONE_LOST} {cause(error)}"
        if self._store.state(self._run.id) not in FINAL:
            with suppress(LeaseLost):
                self._store.set_state(self._run.id, "interrupted", self._why, epoch=self._run.epoch)
        return True

    def _wait(self) -> bool:
        """Say now and then that its processes have no place; whether somebody stopped it before they did."""
        now, known = time.monotonic(), self._store.get(self._run.id)
        if known is None or known.process != self._run.process:  # the first process has joined
            return False
        with suppress(LeaseLost):
            if known.state == "stopping":
                self.stop()
                self._store.set_state(self._run.id, "stopped", NOT_BEGUN, epoch=self._run.epoch)
                return True
            if now - self._said > STATUS_SECONDS:
                self._said = now
                self._store.append(self._run.id, Preparing(self._waits), self._run.epoch)
        return False

    def stop(self) -> None:
        import ray

        ray.cancel(self._fitting, force=True)  # what it has started ends with it

    def reason(self) -> str:
        return self._why


def _packed(root: Path) -> bytes:
    """The run's files and its data, which each process but the first one has of its own."""
    with tempfile.TemporaryDirectory() as folder:
        packed = Path(folder, "files.zip")
        pack(root, packed, of=("runs", "data"))
        return packed.read_bytes()


def _fit(
    config: dict[str, Any], resources: dict[str, float], places: list[dict[str, str]], threads: str
) -> None:
    import ray.train.torch

    of: Any = ray.train  # whose types are those of its first version
    scaling = of.ScalingConfig(
        num_workers=len(places),
        use_gpu=bool(resources.get("GPU")),
        resources_per_worker=resources,
        label_selector=places,
    )
    running = of.RunConfig(
        name=config["name"],
        storage_path=str(Path(config["root"], "ray-train")),  # where nothing is put: the store keeps all
        worker_runtime_env={"env_vars": {"OMP_NUM_THREADS": threads}} if threads else {},
    )
    of.torch.TorchTrainer(_work, train_loop_config=config, scaling_config=scaling, run_config=running).fit()


def _work(config: dict[str, Any]) -> None:
    """What each process does, in a thread of Ray Train's."""
    if data_parallel.rank() == 0:
        os.environ["RUNS_DIR"] = config["root"]  # uploaded datasets lie there
        store = RunStore(config["root"])
        run = store.get(config["run_id"])
        assert run is not None
        store.leases.join(run.id, run.epoch, this_process())
        train_run(store, run, _paused_alone(config["trainer"]), StopConditions(config["limit"]))
        return
    root = own_folder(f"{config['name']}-{data_parallel.rank()}")
    try:
        packed = root / "files.zip"
        packed.write_bytes(config["files"])
        unpack(packed)
        files = packed.with_suffix("")
        os.environ["RUNS_DIR"] = str(files)
        data_parallel.follow(lambda: Halt.NO, config["trainer"], files / "runs" / config["run_id"])
    finally:
        shutil.rmtree(root, ignore_errors=True)


def _paused_alone(trainer: str) -> Any:
    """The trainer of this name, which pauses the run where another of its processes is lost."""

    def train(
        settings: RunSettings,
        emit: Callable[[Event], None],
        should_stop: Callable[[], Halt],
        folder: Path,
        resume: bool = False,
    ) -> Done:
        try:
            done: Done = pkgutil.resolve_name(trainer)(settings, emit, should_stop, folder, resume)
            return done
        except Exception as error:
            if reason(error) == OTHER_ENDED:
                raise TrainingPaused from error
            raise

    return train
