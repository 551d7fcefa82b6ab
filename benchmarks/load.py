"""What visitors cost the training, and how long they wait: 10, 60 and 150 of them while a run trains.

    python -m benchmarks.load [--visitors 10 60 150] [--seconds 30] [--note TEXT]
    python -m benchmarks.load --hour [--visitors 60]

Starts the page with a folder of its own on one thread, trains a short race, so that there is something to
look at, and then one long run that everybody watches. Every visitor polls once a second, as the page does,
and does something else every 15 seconds on average, in turn: opens Compare, Factors and Use, each with all
that a browser asks for, measures in a lesson, asks a finished run, uploads and deletes 200 rows, and votes
and answers in a class, which every fifth visitor follows. Before, between and after there is nobody; what the
training loses is against its neighbours of that kind, so that a machine whose speed drifts does no harm.
Visitors' own processor time is taken from the same machine, and what other programs took is told. Writes
results/load.json and load.md (`--quick`: nothing).

`--hour` keeps the first number of visitors for an hour and writes each minute's memory to
results/load_hour.json: of the page's process, and of those that it started.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil
from gradio_client import Client

from benchmarks.machine import machine, write_record
from benchmarks.visitors import TABS, Page, Visitors, poll
from cdvft_app.store.runs import RunStore

RESULTS = Path(__file__).parent / "results"
SETTLE_SECONDS = 5.0
POLLS = 300
KINDS = ("poll", "Follow", *TABS)
SHORT = {
    "recipe": "sentiment",
    "methods": ["cdvft", "lora"],
    "max_steps": 20,
    "evaluation_examples": 64,
}
LONG = {"recipe": "sentiment", "methods": ["cdvft"], "max_steps": 100_000}


def main() -> None:
    arguments = _arguments()
    if arguments.hour:
        hour(arguments.visitors[0])
        return
    with tempfile.TemporaryDirectory() as folder, served(Path(folder)) as (address, server):
        bench = Bench(address, server, RunStore(folder), arguments.seconds)
        counts = [0] + [count for visitors in arguments.visitors for count in (visitors, 0)]
        record: dict[str, Any] = {
            "machine": machine(),
            "training_threads": 1,
            "seconds_each": arguments.seconds,
            "note": arguments.note,
            "poll_cpu_ms": bench.poll_cost(),
            "phases": [bench.phase(count) for count in counts],
        }
    for before, phase, after in zip(
        record["phases"][::2], record["phases"][1::2], record["phases"][2::2], strict=False
    ):
        alone = (before["steps_per_second"] + after["steps_per_second"]) / 2
        phase["training_loses_percent"] = round(100 * (1 - phase["steps_per_second"] / alone), 1)
    table = markdown(record)
    print("\n" + table)
    if not arguments.quick:
        write_record(RESULTS / "load.json", record)
        (RESULTS / "load.md").write_text(table)


def hour(count: int, minutes: int = 60) -> None:
    """Memory of the page while `count` visitors come for an hour."""
    with tempfile.TemporaryDirectory() as folder, served(Path(folder)) as (address, server):
        bench = Bench(address, server, RunStore(folder), 0)
        visitors = bench.visitors(count)
        visitors.start()
        megabytes = []
        for _ in range(minutes):
            time.sleep(60)
            megabytes.append(bench.megabytes())
            print(megabytes[-1], flush=True)
        polls = len(visitors.seconds["poll"])
        visitors.end()
        print(*visitors.failures[-10:], sep="\n", flush=True)
    tenth = minutes // 10
    settled, last = (
        {name: statistics.median(minute[name] for minute in part) for name in megabytes[0]}
        for part in (megabytes[tenth : 2 * tenth], megabytes[-tenth:])
    )
    record = {
        "machine": machine(),
        "visitors": count,
        "polls": polls,
        "failures": dict(Counter(failure.partition(":")[0] for failure in visitors.failures)),
        "median_mb_of_the_second_tenth": settled,
        "median_mb_of_the_last_tenth": last,
        "mb_by_minute": megabytes,
    }
    write_record(RESULTS / "load_hour.json", record)


class Bench:
    """A served page that trains, with measurements from outside its process."""

    def __init__(self, address: str, server: psutil.Process, store: RunStore, seconds: float) -> None:
        self._address, self._server, self._store, self._seconds = address, server, store, seconds
        client = Client(address, verbose=False, httpx_kwargs={"timeout": 60})
        for run_id in client.predict(SHORT, api_name="/start")["run_ids"]:
            wait(lambda run_id=run_id: store.state(run_id) == "finished")  # type: ignore[misc]
        (self.run_id,) = client.predict(LONG, api_name="/start")["run_ids"]
        client.close()
        wait(lambda: self._step() > 20)
        page = Page(address)
        self._config = page.config
        self._class = page.serve("learn/class_start/start", {})["code"]
        page.close()

    def visitors(self, count: int) -> Visitors:
        return Visitors(count, self._address, self._config, self.run_id, self._class)

    def megabytes(self) -> dict[str, int]:
        """Of the page, and of the processes that it started, the run's too, without what these share."""
        others = 0
        for child in self._server.children(recursive=True):
            with suppress(psutil.Error):
                others += child.memory_full_info().uss
        return {"page": round(self._server.memory_info().rss / 1e6), "others": round(others / 1e6)}

    def phase(self, count: int) -> dict[str, Any]:
        """Measure with `count` visitors."""
        visitors = self.visitors(count)
        visitors.start()
        time.sleep(SETTLE_SECONDS)
        visitors.reset_times()
        used = _Used(self._server)
        began, first = time.monotonic(), self._step()
        time.sleep(self._seconds)
        steps, seconds = self._step() - first, time.monotonic() - began
        cores = used.cores(seconds)
        seconds_by_kind = {name: list(times) for name, times in visitors.seconds.items()}
        visitors.end()
        found = {
            "visitors": count,
            "steps_per_second": round(steps / seconds, 3),
            "milliseconds": {
                name: _spread(seconds_by_kind[name]) for name in KINDS if seconds_by_kind.get(name)
            },
            "failures": len(visitors.failures),
            "cores": cores,
            "server_mb": round(self._server.memory_info().rss / 1e6),
        }
        print(json.dumps(found), *visitors.failures[:3], flush=True)
        return found

    def poll_cost(self) -> float:
        """Milliseconds of the page's processor time for one poll, beyond what it takes with no visitor."""
        page, cursors = Page(self._address, self._config), {self.run_id: 0}
        poll(page, cursors)
        since, before = time.monotonic(), _cpu(self._server)
        time.sleep(5)
        idle = (_cpu(self._server) - before) / (time.monotonic() - since)
        since, before = time.monotonic(), _cpu(self._server)
        for _ in range(POLLS):
            poll(page, cursors)
        spent = _cpu(self._server) - before - idle * (time.monotonic() - since)
        page.close()
        return round(1000 * spent / POLLS, 2)

    def _step(self) -> int:
        run = self._store.get(self.run_id)
        assert run is not None and run.state in ("queued", "preparing", "running"), run
        return run.step


class _Used:
    """Processor time since creation: of the page, of the training process, of this one, and of others."""

    def __init__(self, server: psutil.Process) -> None:
        self._server = server
        self._before = self._now()

    def cores(self, seconds: float) -> dict[str, float]:
        """Cores that each kept busy."""
        page, training, own, all_ = (now - then for now, then in zip(self._now(), self._before, strict=True))
        of = {"page": page, "training": training, "visitors": own, "others": all_ - page - training - own}
        return {name: round(max(spent, 0.0) / seconds, 2) for name, spent in of.items()}

    def _now(self) -> tuple[float, float, float, float]:
        times = psutil.cpu_times()
        busy = sum(times[:3]) + sum(times[5:8])  # user, nice, system; interrupts and what a host takes
        training = sum(_cpu(child) for child in self._server.children(recursive=True))
        return _cpu(self._server), training, _cpu(psutil.Process()), busy


def _cpu(process: psutil.Process) -> float:
    times = process.cpu_times()
    return times.user + times.system


def _spread(seconds: list[float]) -> dict[str, float]:
    tenths = statistics.quantiles(seconds, n=20, method="inclusive") if len(seconds) > 1 else seconds * 19
    return {
        "count": len(seconds),
        "p50": round(1000 * statistics.median(seconds), 1),
        "p95": round(1000 * tenths[18], 1),
    }


@contextmanager
def served(
    folder: Path,
    threads: int = 1,
    settings: Mapping[str, str] | None = None,
    command: Iterable[str] = ("app.py",),
) -> Iterator[tuple[str, psutil.Process]]:
    """The page as `python app.py` serves it, with `threads` for whatever computes; address and process.

    `settings` are further environment variables; `command` is what Python is started with.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {"RUNS_DIR": str(folder), "GRADIO_SERVER_PORT": str(port), "OMP_NUM_THREADS": str(threads)}
    environment |= {"GRADIO_SERVER_NAME": "127.0.0.1", "CDVFT_PUBLIC": "0"} | (settings or {})
    root = Path(__file__).resolve().parents[1]
    server = subprocess.Popen([sys.executable, *command], cwd=root, env={**os.environ, **environment})
    address = f"http://127.0.0.1:{port}"
    try:
        wait(lambda: _answers(port) or server.poll() is not None)
        if server.poll() is not None:
            raise RuntimeError("The page has ended before it answered; see what it printed.")
        yield address, psutil.Process(server.pid)
    finally:
        server.terminate()
        server.wait(60)


def _answers(port: int) -> bool:
    with socket.socket() as tried:
        return tried.connect_ex(("127.0.0.1", port)) == 0


def wait(done: Callable[[], bool], seconds: float = 600.0, every: float = 0.2) -> None:
    """Until it is so, asked again and again."""
    until = time.monotonic() + seconds
    while not done():
        if time.monotonic() > until:
            raise TimeoutError("The page does not do what it was asked for; see what it printed.")
        time.sleep(every)


def markdown(record: dict[str, Any]) -> str:
    """The record as a table."""
    here = record["machine"]
    lines = [
        f"# Visitors while a run trains: {here['cpu']}, {here['cores']} cores",
        "",
        "`python -m benchmarks.load`: every visitor polls once a second, every fifth follows a class, all "
        "do one of the others every 15 seconds; the run trains on one thread. Milliseconds are p50 / p95; "
        "cores are processor time over time; those of the visitors and of other programs are taken from the "
        "same machine.",
        "",
        *([record["note"], ""] if record["note"] else []),
        f"A poll takes {record['poll_cpu_ms']} ms of the page's processor time.",
        "",
        f"| visitors | {' | '.join(KINDS)} | steps/s | training loses | page, MB | failures "
        "| cores: page | training | visitors | others |",
        "|---" * (9 + len(KINDS)) + "|",
    ]
    for phase in record["phases"]:
        spreads = [phase["milliseconds"].get(name) for name in KINDS]
        times = [f"{spread['p50']:.0f} / {spread['p95']:.0f}" if spread else "" for spread in spreads]
        loss = phase.get("training_loses_percent")
        cells = [phase["visitors"], *times, f"{phase['steps_per_second']:.2f}"]
        cells += [
            "" if loss is None else f"{loss:.0f} %",
            phase["server_mb"],
            phase["failures"],
            *phase["cores"].values(),
        ]
        lines.append("| " + " | ".join(map(str, cells)) + " |")
    return "\n".join(lines) + "\n"


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--visitors", type=int, nargs="+", default=[10, 60, 150])
    parser.add_argument("--seconds", type=float, default=30.0, help="of each phase")
    parser.add_argument("--note", default="", help="how the machine was, for the record")
    parser.add_argument("--hour", action="store_true", help="memory for an hour, instead")
    parser.add_argument("--quick", action="store_true", help="writes nothing")
    return parser.parse_args()


if __name__ == "__main__":
    main()
