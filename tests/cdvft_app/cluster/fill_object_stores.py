"""Fills the object stores of a cluster's nodes, and keeps them full until it is killed: ... ADDRESS."""

import sys
import time

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

PART = 8 * 2**20


@ray.remote(num_cpus=0)
class Filling:
    def fill(self, size: float) -> int:
        """Ray would take the disk next, so that this ends where the store does."""
        self.kept = []
        while len(self.kept) * PART < size:
            try:
                self.kept.append(ray.put(b"x" * PART))
            except ray.exceptions.ObjectStoreFullError:
                break
        return len(self.kept)


if __name__ == "__main__":
    ray.init(sys.argv[1], log_to_driver=False)
    fillings = []
    for node in ray.nodes():
        if node["Alive"]:
            there = NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
            fillings.append(Filling.options(scheduling_strategy=there).remote())
            print(ray.get(fillings[-1].fill.remote(node["Resources"]["object_store_memory"])), flush=True)
    print("full", flush=True)
    time.sleep(3600)
