"""A Ray cluster on the loopback, in processes that are ended by their ids: for tests, and to measure.

Ray takes 127.0.0.1 for the machine's own address, so that its nodes are at 127.0.0.2.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from typing import Any

import psutil

HOST = "127.0.0.2"
# A node that is gone, or silent, is known within seconds.
QUICKLY = {
    "health_check_initial_delay_ms": 1000,
    "health_check_period_ms": 1000,
    "health_check_timeout_ms": 2000,
    "health_check_failure_threshold": 3,
}


# Above those that Ray's workers listen on, below those that Linux gives to whatever connects somewhere.
PORTS = range(20_000, 32_768)


def free_ports(many: int) -> list[int]:
    found: list[int] = []
    for port in random.sample(PORTS, len(PORTS)):
        with socket.socket() as free, suppress(OSError):
            free.bind((HOST, port))
            found.append(port)
        if len(found) == many:
            return found
    raise OSError(f"Nothing is free on {HOST} between {PORTS[0]} and {PORTS[-1]}.")


class Node:
    """The processes of one node, with all that these have started."""

    def __init__(self, pid: int) -> None:
        self._raylet = psutil.Process(pid)

    def processes(self) -> list[psutil.Process]:
        with suppress(psutil.NoSuchProcess):
            return [self._raylet, *self._raylet.children(recursive=True)]
        return []

    def kill(self) -> None:
        found = self.processes()
        for one in found:
            with suppress(psutil.NoSuchProcess):
                one.kill()
        _wait_for_end(found)


def _wait_for_end(processes: list[psutil.Process]) -> None:
    """Until none does anything: their parents may never ask what became of them."""
    end = time.monotonic() + 10
    while any(map(_works, processes)) and time.monotonic() < end:
        time.sleep(0.05)


def _works(process: psutil.Process) -> bool:
    with suppress(psutil.NoSuchProcess):
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    return False


class LoopbackCluster:
    """A head without processors, where the client server is; nodes are added.

    Args:
        environment: further variables of all nodes' processes.
    """

    def __init__(self, environment: dict[str, str]) -> None:
        # Sockets of Ray and of the runs' processes lie there, and no system takes names above 107 letters.
        self.home = tempfile.mkdtemp(prefix="ray", dir="/tmp")
        self._environment = {**environment, "RAY_TMPDIR": self.home, "TMPDIR": self.home}
        self.nodes: list[Node] = []
        self._stderr = tempfile.TemporaryFile("w+")  # noqa: SIM115 - as long as the cluster
        self.ports = free_ports(2)
        try:
            self._start()
        except AssertionError:
            self._end()
            raise

    def _start(self) -> None:
        self._starter = subprocess.Popen(
            [sys.executable, __file__, json.dumps(self.ports)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._stderr,
            text=True,
            env={
                **os.environ,
                **self._environment,
                "RAY_USAGE_STATS_ENABLED": "0",
                "RAY_worker_niceness": "0",  # runs share the machine with who watches them
                "RAY_DISABLE_IMPORT_WARNING": "1",
            },
            start_new_session=True,
        )
        self._answer()

    @property
    def address(self) -> str:
        return f"ray://{HOST}:{self.ports[1]}"

    def add(self, cpus: int) -> Node:
        """Start a node."""
        self._ask({"num_cpus": cpus, "env_vars": self._environment})
        self.nodes.append(Node(self._answer()["pid"]))
        return self.nodes[-1]

    def _ask(self, asked: dict[str, Any]) -> None:
        assert self._starter.stdin
        self._starter.stdin.write(json.dumps(asked) + "\n")
        self._starter.stdin.flush()

    def _answer(self) -> dict[str, Any]:
        assert self._starter.stdout
        for line in self._starter.stdout:
            if line.startswith("{"):
                found: dict[str, Any] = json.loads(line)
                return found
        self._stderr.seek(0)
        raise AssertionError(f"Ray did not start: {self._stderr.read()}")

    def close(self) -> None:
        """End everything at once, and leave nothing."""
        self._end()
        shutil.rmtree(self.home, ignore_errors=True)

    def _end(self) -> None:
        """As a machine does that loses its power."""
        found = [one for node in self.nodes for one in node.processes()]
        with suppress(psutil.NoSuchProcess):
            starter = psutil.Process(self._starter.pid)
            found += [starter, *starter.children(recursive=True)]
        for one in found:
            with suppress(psutil.NoSuchProcess):
                one.kill()
        _wait_for_end(found)
        self._starter.wait(10)


def start(ports: list[int]) -> None:
    from ray._private import ray_constants
    from ray.cluster_utils import Cluster

    head = {
        "num_cpus": 0,
        "node_ip_address": HOST,
        "gcs_server_port": ports[0],
        "ray_client_server_port": ports[1],
        "include_dashboard": False,
        "include_log_monitor": False,
        "no_monitor": True,
        "_system_config": {**QUICKLY, "automatic_object_spilling_enabled": False},
    }
    cluster = Cluster(initialize_head=True, head_node_args=head)
    print("{}", flush=True)
    for line in sys.stdin:
        asked = json.loads(line)
        node = cluster.add_node(node_ip_address=HOST, object_store_memory=80 * 2**20, **asked)
        (raylet,) = node.all_processes[ray_constants.PROCESS_TYPE_RAYLET]
        print(json.dumps({"pid": raylet.process.pid}), flush=True)


if __name__ == "__main__":
    start(json.loads(sys.argv[1]))
