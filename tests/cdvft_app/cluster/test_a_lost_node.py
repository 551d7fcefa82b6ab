"""The shortest run on a real Ray cluster: a head and two nodes, of which that one is killed which trains."""

from __future__ import annotations

import signal

import pytest
from held_runs import Held, ends_whole, executor_on, notes, queue_on, ray_cluster, settings

ASKED = settings(71)


@pytest.mark.nightly
@pytest.mark.slow
def test_a_run_goes_on_to_the_same_losses_on_the_other_node(store, tmp_path):
    held = Held(tmp_path / "held")
    with ray_cluster(held) as ray:
        nodes = [ray.add(cpus=1), ray.add(cpus=1)]
        with queue_on(store, executor_on(ray)) as queue:
            run_id = held.submit(store, queue, ASKED)
            (trains,) = (node for node in nodes if node.trains())
            trains.send(signal.SIGKILL)
            ends_whole(store, run_id, ASKED, attempt=2)
    (lost,) = (text for text in notes(store, run_id) if "was lost" in text)
    assert lost.endswith("The run goes on elsewhere from step 5.")
