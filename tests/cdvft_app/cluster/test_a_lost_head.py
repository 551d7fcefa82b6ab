"""A head that is killed and started again, where Redis keeps what it knows: its runs go on, none twice."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from held_runs import expected_losses, hold, is_held, let_go, losses, notes, ray_cluster, settings
from waiting import wait, wait_for

from benchmarks.ray_cluster import free_ports
from cdvft_app.cluster.executor import RayCluster
from cdvft_app.store.states import FINAL
from cdvft_app.training.queue import RunQueue

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
    held = tmp_path / "held"
    held.mkdir()
    hold(held, TRAINS.seed, "training")
    hold(held, ENDS.seed, "final evaluation")
    with ray_cluster(held, RAY_REDIS_ADDRESS=redis) as ray:
        nodes = [ray.add(cpus=1), ray.add(cpus=1)]
        executor = RayCluster(ray.address, ships_code=False, trainer="cluster_trainer:train")
        queue = RunQueue(store, workers=3, executor=executor)
        queue.start()
        trains, ends = queue.submit([TRAINS, ENDS], "a")
        wait_for(lambda: is_held(held, TRAINS.seed) and is_held(held, ENDS.seed))
        ray.kill_head()
        let_go(held, ENDS.seed)
        wait_for(lambda: list(Path(ray.home).rglob(f"{ends}/adapter/adapter_model.safetensors")))
        (waits,) = queue.submit([WAITS], "a")
        wait_for(lambda: "The cluster does not answer" in said(store, waits))
        assert store.state(trains) not in FINAL and store.state(ends) not in FINAL
        ray.start_head()
        assert all(node.trains() for node in nodes)
        let_go(held, TRAINS.seed)
        runs = [wait(store, run_id, *FINAL) for run_id in (trains, ends, waits)]
        queue.close()
    for run, asked in zip(runs, (TRAINS, ENDS, WAITS), strict=True):
        assert (run.state, run.result["attempt"]) == ("finished", 1), run.reason
        assert losses(store, run.id) == expected_losses(asked)
        assert not any("lost" in text or "Went on" in text for text in notes(store, run.id))


def said(store, run_id):
    return " ".join(row["text"] for row in store.rows(run_id, kinds=["preparing"])[0])
