"""A day of three visitors on a server that is killed again and again, on a disk that fails, under a clock
that is set; after each kill another one starts, and what it finds is checked from outside.

    python tests/faults/day.py --kills 200 --record

Started again with `disk_faults.c` before libc, which it compiles. Prints what happened as JSON.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import telling_child

HERE = Path(__file__).parent
RECORD = HERE.parents[1] / "benchmarks" / "results" / "faults.json"
VISITORS = {"address 192.0.2.1": "ada's", "code blue-7": "bob's", "account cyd": "cyd's"}
FAULTS = {"kill": 0, "kill at a write": 1, "kill within a write": 2, "EIO at a write": 3, "full disk": 4,
          "short write": 5, "EIO at a sync": 6}  # fmt: skip
CLOCK_STEPS = (0.0, 0.0, 5.0, -5.0, 3600.0, -3600.0)
LONGEST_LIFE = 0.6  # seconds until a server is killed at the latest, on an idle machine


def live(root: Path, drawn: random.Random, say: Callable[..., None]) -> None:
    """What a server does until it is killed, for each visitor in turn."""
    from cdvft_app.events import Done, Started, Step
    from cdvft_app.settings import RunSettings
    from cdvft_app.store.processes import this_process
    from cdvft_app.store.records import StoreError
    from cdvft_app.store.runs import RunStore

    def insist(act: Callable[[], Any]) -> Any:
        """As the queue does with the end of a run: until the disk takes it."""
        while True:
            with suppress(StoreError):
                return act()
            time.sleep(0.001)

    def train(run: Any, token: str) -> None:
        folder = store.make_folder(run.id)
        store.append(run.id, Started(9, 10, 5, 100, "CPU", "float32", 8, 8, "accuracy"), run.epoch)
        for step in range(run.step + 1, run.step + drawn.randrange(2, 9)):
            store.append(run.id, Step(step, step / 10, 0.5, 1e-3, None, None), run.epoch)
            say("step", run=run.id, step=step)
        if drawn.random() < 0.5:
            store.set_state(run.id, "stopped", "as asked", epoch=run.epoch)
            return
        (folder / "adapter").mkdir(exist_ok=True)
        (folder / "adapter" / "adapter_model.safetensors").write_bytes(b"weights")
        done = Done("finished", step, 0.4, "accuracy", 0.7, 0.4, 1.0, 10, None, folder / "adapter")
        store.append(run.id, done, run.epoch)
        say("finished", run=run.id)

    def act(visitor: str, token: str) -> None:
        mine = store.history(50, token)
        ended = [run for run in mine if run.state in ("stopped", "interrupted", "failed")]
        chosen = drawn.random()
        if chosen < 0.35 or not mine:
            name = f"a run {drawn.randrange(10**6)}"
            (run,) = store.create([settings], token, name, visitor=visitor, private=drawn.random() < 0.3)
            say("made", run=run.id, token=token, visitor=visitor, name=name)
        elif chosen < 0.5 and ended:
            store.set_visitor(ended[0].id, visitor)
            store.set_state(ended[0].id, "queued")
        elif chosen < 0.6:
            name = f"renamed {drawn.randrange(10**6)}"
            say("renaming", run=mine[0].id, name=name)
            store.rename(mine[0].id, name, token)
            say("renamed", run=mine[0].id, name=name)
        elif chosen < 0.7 and len(mine) > 3 and mine[-1].state not in ("preparing", "running", "stopping"):
            say("deleting", run=mine[-1].id)
            store.delete(mine[-1].id, token)
            say("deleted", run=mine[-1].id)
        if (run := store.leases.next(this_process())) is not None:
            try:
                train(run, token)
            except StoreError as refused:
                why = str(refused)
                say("refused", why=why)
                insist(lambda: store.set_state(run.id, "failed", why, epoch=run.epoch))

    settings = RunSettings(method="cdvft")
    store = insist(lambda: RunStore(root))
    insist(store.leases.expire)
    insist(store.folders.sweep)
    insist(lambda: store.folders.take_in(store.folders.unknown()))
    while True:
        for visitor, token in VISITORS.items():
            try:
                act(visitor, token)
            except (StoreError, OSError) as refused:
                say("refused", why=str(refused))


def one_life(root: Path, drawn: random.Random) -> tuple[str, float, list[str]]:
    """A server from its start to the kill: which fault it was to meet, the clock's step, what it said."""
    from waiting import pace  # found once this is started again

    fault = drawn.choice(list(FAULTS))
    after, times, step = drawn.randrange(300), drawn.choice([1, 1, 3, 40]), drawn.choice(CLOCK_STEPS)
    lasting = drawn.uniform(0.05, LONGEST_LIFE) * pace()

    def act(say: Callable[..., None]) -> None:
        try:
            real, begin = time.time, time.monotonic()
            # Set once in its life, half way.
            time.time = lambda: real() + (step if time.monotonic() - begin > lasting / 2 else 0.0)
            armed = ctypes.c_long(after), ctypes.c_long(times), str(root).encode()
            ctypes.CDLL(None).disk_fault_arm(FAULTS[fault], *armed)
            signal.setitimer(signal.ITIMER_REAL, 30)  # whatever happens to who kills it
            live(root, random.Random(drawn.random()), say)
        except BaseException as error:  # the server's own failure, which no fault may cause
            say("crashed", why=f"{type(error).__name__}: {error}")

    child, read = telling_child.begin(act)
    time.sleep(lasting)
    met = fault if os.waitpid(child, os.WNOHANG) == (0, 0) else f"{fault}, died there"
    if met == fault:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    with open(read, encoding="utf-8") as pipe:
        return met, step, pipe.readlines()


def day(root: Path, kills: int, seed: int) -> dict[str, Any]:
    """So many lives; raises AssertionError with what was lost."""
    from outside import Told, problems

    from cdvft_app.store.runs import RunStore

    drawn, told = random.Random(seed), Told()
    met: Counter[str] = Counter()
    refused = 0
    for number in range(kills):
        begin = time.monotonic()
        fault, step, lines = one_life(root, drawn)
        told.seconds += time.monotonic() - begin
        crashed = [line for line in lines if '"crashed"' in line]
        assert not crashed, f"life {number} ({fault}) ended by itself: {crashed}"
        for line in lines:
            told.hear(line)
        refused += sum('"refused"' in line for line in lines)
        met[fault] += 1
        met["clock set"] += step != 0
        store = RunStore(root)  # the next server, which sees what the last one left
        store.leases.expire()
        assert not store.notice
        store.folders.take_in(store.folders.unknown())
        store.close()
        found = problems(root, told)
        assert not found, f"after life {number} ({fault}, clock {step:+.0f} s): {found}"
    kept = len(told.owner) - len(told.deleted)
    return {
        "kills": kills,
        "seed": seed,
        "runs made": len(told.owner),
        "runs kept": kept,
        "steps reported": sum(told.steps.values()),
        "refused by the disk": refused,
        "lost": 0,  # else it has ended before
        "lives by what they met": dict(met),
    }


def compiled(folder: Path) -> Path:
    """The library of `disk_faults.c`. Raises OSError or CalledProcessError without a C compiler."""
    library = folder / "disk_faults.so"
    source = str(HERE / "disk_faults.c")
    subprocess.run(["cc", "-O1", "-shared", "-fPIC", "-o", str(library), source, "-ldl"], check=True)
    return library


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--kills", type=int, default=200)
    options.add_argument("--seed", type=int, default=28)
    options.add_argument("--record", action="store_true", help=f"write {RECORD.name}")
    chosen = options.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if "disk_faults" not in os.environ.get("LD_PRELOAD", ""):
            path = os.pathsep.join(map(str, (HERE.parents[1], HERE.parent)))
            preload = {"LD_PRELOAD": str(compiled(Path(folder))), "PYTHONPATH": path}
            sys.exit(
                subprocess.run([sys.executable, *sys.argv], env=os.environ | preload, check=False).returncode
            )
        result = day(Path(folder, "store"), chosen.kills, chosen.seed)
    print(json.dumps(result))
    if chosen.record:
        git = ["git", "-C", str(HERE), "rev-parse", "--short", "HEAD"]
        commit = subprocess.run(git, check=True, capture_output=True, text=True).stdout.strip()
        command = f"python tests/faults/day.py --kills {chosen.kills} --seed {chosen.seed} --record"
        RECORD.write_text(json.dumps({"command": command, "commit": commit, **result}, indent=1) + "\n")


if __name__ == "__main__":
    main()
