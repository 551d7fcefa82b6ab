"""What a Ray cluster brings and costs: 24 small runs on one, two and four nodes of this machine.

    python -m benchmarks.cluster [--runs 24] [--seconds 5] [--waiting 1000] [--costs]

Nodes have one processor each, and are on the loopback. A run's work is simulated: it waits, so that nodes do
not share what one machine has; all that is beside it, such as the runs' own processes, they do share. Writes
results/cluster.json and cluster.md: runs a minute, seconds of a node that a run takes beside its work, how
long after an event is emitted it is in the history, the memory of the head, the connection and the page
before and while runs wait, and the processor time of what a page does with 10,000 runs (--costs: that alone,
in the record that is there). Real machines have not been measured.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil

from benchmarks.machine import machine, write_record
from benchmarks.ray_cluster import LoopbackCluster
from cdvft_app.cluster.executor import RayCluster
from cdvft_app.events import Done, Started, Step
from cdvft_app.settings import RunSettings
from cdvft_app.store.processes import this_process
from cdvft_app.store.runs import RunStore
from cdvft_app.store.states import FINAL
from cdvft_app.training.queue import RunQueue

RESULTS = Path(__file__).parent / "results"
ROOT = Path(__file__).parents[1]
NODES = (1, 2, 4)
STORED, REPEATS = 10_000, 100  # runs of a history; of each thing that is done with it
STEPS = 20
COSTS = {
    "create": "to queue a run",
    "claim": "to take the next from the queue",
    "event": "to keep an event",
    "history": "to read the latest 100 runs",
    "start": "to open all at the start of the page",
}
SECONDS = "CLUSTER_BENCHMARK_SECONDS"


def wait(settings: Any, emit: Any, should_stop: Any, folder: Path, resume: bool = False) -> Done:
    """A `Train` that tells when it tells each step, and does nothing else."""
    emit(Started(STEPS, 1, 1, 1, "simulated", "none", 1, 1, "accuracy"))
    for step in range(1, STEPS + 1):
        time.sleep(float(os.environ[SECONDS]) / STEPS)
        emit(Step(step, time.time(), 1.0, 1e-3, None, None))
        if should_stop():
            break
    (folder / "adapter").mkdir()
    done = Done("finished", step, 1.0, "accuracy", 0.5, 1.0, 1.0, 0, None, folder / "adapter")
    emit(done)
    return done


class Listening(RunStore):
    """Keeps how long after they were told the steps came."""

    latencies: list[float]

    def append(self, run_id: str, event: Any, epoch: int | None = None) -> int:
        if isinstance(event, Step):
            self.latencies.append(time.time() - event.seconds)
        return super().append(run_id, event, epoch)


def main() -> None:
    arguments = _arguments()
    if arguments.costs:
        record = json.loads((RESULTS / "cluster.json").read_text())
    else:
        record = measured_cluster(arguments)
    record["costs"] = costs()
    table = markdown(record)
    print("\n" + table)
    if not arguments.quick:
        write_record(RESULTS / "cluster.json", record)
        (RESULTS / "cluster.md").write_text(table)


def measured_cluster(arguments: argparse.Namespace) -> dict[str, Any]:
    os.environ |= {"OMP_NUM_THREADS": "1", "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": os.urandom(16).hex()}
    os.environ["CDVFT_MAX_SWEEP_RUNS"] = str(arguments.runs + arguments.waiting)
    cluster = LoopbackCluster({"PYTHONPATH": str(ROOT), SECONDS: str(arguments.seconds)})
    try:
        rows, have = [], 0
        for nodes in NODES:
            for _ in range(nodes - have):
                cluster.add(1)
            have = nodes
            rows.append(measured(connected(cluster, nodes), nodes, arguments.runs, arguments.seconds))
            print(rows[-1], flush=True)
        return {
            "machine": machine(),
            "runs": arguments.runs,
            "work_seconds": arguments.seconds,
            "nodes": rows,
            "waiting": memory(cluster, connected(cluster, NODES[-1]), arguments.waiting),
        }
    finally:
        cluster.close()


def connected(cluster: LoopbackCluster, nodes: int) -> RayCluster:
    """An executor that knows so many nodes."""
    executor = RayCluster(cluster.address, ships_code=False, trainer="benchmarks.cluster:wait")
    while sum(node.has.startswith("1 CPU") for node in executor.nodes()) < nodes:
        time.sleep(0.2)
    return executor


def _runs(many: int) -> list[RunSettings]:
    return [RunSettings(method="cdvft", seed=seed) for seed in range(many)]


def measured(executor: RayCluster, nodes: int, many: int, seconds: float) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        store = Listening(folder)
        store.latencies = []
        queue = RunQueue(store, executor=executor)
        ids = queue.submit(_runs(many), "a", sweep=True)
        began = time.monotonic()
        queue.start()
        while not all(store.state(one) in FINAL for one in ids):
            time.sleep(0.05)
        wall = time.monotonic() - began
        ended = [store.get(one) for one in ids]
        assert all(run is not None and run.state == "finished" for run in ended), ended
        queue.close()
        store.close()
    latencies = sorted(store.latencies)
    return {
        "nodes": nodes,
        "seconds": round(wall, 1),
        "runs_a_minute": round(60 * many / wall, 1),
        "seconds_beside_the_work": round(nodes * wall / many - seconds, 2),
        "event_seconds_median": round(statistics.median(latencies), 3),
        "event_seconds_95": round(latencies[int(0.95 * len(latencies))], 3),
        "load_average": round(os.getloadavg()[0], 1),
    }


def memory(cluster: LoopbackCluster, executor: RayCluster, waiting: int) -> dict[str, Any]:
    """MiB before and while so many runs wait, behind as many as train."""

    def now() -> dict[str, int]:
        child = executor.connection.process
        found = {
            "head": cluster.head_processes(),
            "connection": [psutil.Process(child)] if child else [],
            "page": [psutil.Process()],
        }
        return {name: sum(one.memory_info().rss for one in all_) // 2**20 for name, all_ in found.items()}

    with tempfile.TemporaryDirectory() as folder:
        store = Listening(folder)
        store.latencies = []
        queue = RunQueue(store, executor=executor)
        before = now()
        ids = queue.submit(_runs(waiting), "a", sweep=True)
        queue.start()
        while not all(store.state(one) != "queued" for one in ids[: NODES[-1]]):
            time.sleep(0.2)
        time.sleep(10)
        during = now()
        queue.close()
        store.close()
    return {"runs": waiting, "before_mib": before, "while_they_wait_mib": during}


def costs() -> dict[str, Any]:
    """Processor time of what the page does with many runs, in which others' work has no part."""
    with tempfile.TemporaryDirectory() as folder:
        store, process = RunStore(folder), this_process()
        found = {"create": _cost(lambda: store.create(_runs(STORED), "a", sweep=True)) / STORED}
        found["claim"] = _cost(lambda: store.leases.next(process), REPEATS)
        run = store.leases.next(process)
        assert run is not None
        store.append(run.id, Started(REPEATS, 1, 1, 1, "simulated", "none", 1, 1, "accuracy"), run.epoch)
        steps = iter(range(1, REPEATS + 1))

        def step() -> None:
            store.append(run.id, Step(next(steps), 1.0, 1.0, 1e-3, None, None), run.epoch)

        found["event"] = _cost(step, REPEATS)
        found["history"] = _cost(store.history, REPEATS)
        store.close()
        found["start"] = _cost(lambda: _open(folder))
        size = sum(file.stat().st_size for file in Path(folder).iterdir() if file.is_file())
    return {
        "runs": STORED,
        "milliseconds": {name: float(f"{1000 * cost:.3g}") for name, cost in found.items()},
        "megabytes": round(size / 1e6, 1),
    }


def _cost(work: Callable[[], Any], repeats: int = 1) -> float:
    began = time.process_time()
    for _ in range(repeats):
        work()
    return (time.process_time() - began) / repeats


def _open(folder: str) -> None:
    """As a page that starts."""
    store = RunStore(folder)
    store.leases.expire()
    store.folders.sweep()
    store.folders.take_in(store.folders.unknown())
    store.close()


def markdown(record: dict[str, Any]) -> str:
    one_node = record["nodes"][0]["runs_a_minute"]
    lines = [
        f"{record['runs']} runs of {record['work_seconds']:g} s of simulated work each, on nodes of one "
        f"processor on the loopback of {record['machine']['cpu']} with {record['machine']['cores']} cores.",
        "",
        "| nodes | seconds | runs a minute | of one node's | beside the work, s a run "
        "| event is kept after, median | 95 % |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in record["nodes"]:
        median, most = (f"{1000 * row[name]:.0f} ms" for name in ("event_seconds_median", "event_seconds_95"))
        times = f"{row['runs_a_minute'] / one_node:.2f} times"
        cells = (row["nodes"], row["seconds"], row["runs_a_minute"], times, row["seconds_beside_the_work"])
        lines.append(f"| {' | '.join(map(str, (*cells, median, most)))} |")
    waiting = record["waiting"]
    before, during = waiting["before_mib"], waiting["while_they_wait_mib"]
    told = ", ".join(f"{name} {before[name]} and {during[name]} MiB" for name in before)
    costs = record["costs"]
    milliseconds = ", ".join(f"{what} {costs['milliseconds'][name]:g}" for name, what in COSTS.items())
    return "\n".join(
        [
            *lines,
            "",
            f"Memory before and while {waiting['runs']:,} runs wait: {told}.",
            "",
            f"A history of {costs['runs']:,} runs has {costs['megabytes']:g} MB. "
            f"Milliseconds of one core: {milliseconds}.",
            "",
        ]
    )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=24)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--waiting", type=int, default=1000)
    parser.add_argument("--costs", action="store_true", help="only what many runs cost the page")
    parser.add_argument("--quick", action="store_true", help="write nothing")
    return parser.parse_args()


if __name__ == "__main__":
    main()
