"""A head that is killed and started again, where Redis keeps what it knows: its runs go on, none twice."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from held_runs import Held, ends_whole, executor_on, notes, queue_on, ray_cluster, settings
from ray_cluster import free_ports
from waiting import wait_for

from cdvft_app.store.states import FINAL

TRAINS, ENDS, WAITS = settings(71), settings(72), settings(73)
pytestmark = pytest.mark.cluster


@pytest.fixture
def redis(tmp_path):
    """The address of a server that is started and ended here, and keeps nothing on the disk."""
    (port,) = free_ports(1)
    own = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
    with (tmp_path / "redis.log").open("w") as log:
        server = subprocess.Popen(["redis-server", *own, "--dir", str(tmp_path)], stdout=log, stderr=log)
    yield f"127.0.0.1:{port}"
    server.kill()
    server.wait()


def test_runs_go_on_where_they_are_when_the_head_is_killed_and_started_again(store, tmp_path, redis):
    held = Held(tmp_path / "held")
    held.hold(TRAINS.seed)
    held.hold(ENDS.seed, "final evaluation")
    with ray_cluster(held, RAY_REDIS_ADDRESS=redis) as ray:
        nodes = [ray.add(cpus=1), ray.add(cpus=1)]
        with queue_on(store, executor_on(ray), workers=3) as queue:
            trains, ends = queue.submit([TRAINS, ENDS], "a")
            wait_for(lambda: held.holds(TRAINS.seed, ENDS.seed))
            ray.kill_head()
            held.let_go(ENDS.seed)
            wait_for(lambda: list(Path(ray.home).rglob(f"{ends}/adapter/adapter_model.safetensors")))
            (waits,) = queue.submit([WAITS], "a")
            wait_for(lambda: "The cluster does not answer" in str(notes(store, waits, "preparing")))
            assert store.state(trains) not in FINAL and store.state(ends) not in FINAL
            ray.start_head()
            assert all(node.trains() for node in nodes)
            held.let_go(TRAINS.seed)
            for run_id, asked in ((trains, TRAINS), (ends, ENDS), (waits, WAITS)):
                ends_whole(store, run_id, asked)
                assert not any("lost" in text or "Went on" in text for text in notes(store, run_id))
