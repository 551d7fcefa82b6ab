"""The shortest run on a real Ray cluster: a head and two nodes, of which that one is killed which trains."""

from __future__ import annotations

import signal

from held_runs import expected_losses, hold, is_held, losses, notes, ray_cluster, settings
from waiting import wait, wait_for

from cdvft_app.cluster.executor import RayCluster
from cdvft_app.store.states import FINAL
from cdvft_app.training.queue import RunQueue

ASKED = settings(71)


def test_a_run_goes_on_to_the_same_losses_on_the_other_node(store, tmp_path):
    held = tmp_path / "held"
    held.mkdir()
    hold(held, ASKED.seed, "training")
    with ray_cluster(held) as ray:
        nodes = [ray.add(cpus=1), ray.add(cpus=1)]
        executor = RayCluster(ray.address, ships_code=False, trainer="cluster_trainer:train")
        queue = RunQueue(store, executor=executor)
        queue.start()
        (run_id,) = queue.submit([ASKED], "a")
        checkpoint = store.folder(run_id) / "checkpoints" / "checkpoint-5"
        wait_for(lambda: is_held(held, ASKED.seed) and checkpoint.is_dir())
        (trains,) = (node for node in nodes if node.trains())
        trains.send(signal.SIGKILL)
        run = wait(store, run_id, *FINAL)
        queue.close()
    assert (run.state, run.result["attempt"]) == ("finished", 2), run.reason
    assert losses(store, run_id) == expected_losses(ASKED)
    (lost,) = (text for text in notes(store, run_id) if "was lost" in text)
    assert lost.endswith("The run goes on elsewhere from step 5.")
