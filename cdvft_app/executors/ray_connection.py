"""The connection to a Ray cluster: a child process that imports Ray and answers the app's questions.

Ray ends a process when the cluster's head is gone for a minute, and its calls may block for as long.
Therefore a child imports Ray. The app starts another child when it ends or does not answer.
"""

from __future__ import annotations

import os
import tempfile
import threading
import time
import traceback
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from cdvft_app.executors.base import NoNews
from cdvft_app.executors.ray_node import COMES_BACK, NodeRun, Order, Update, packed, place_file
from cdvft_app.training.children import Connection as Pipe
from cdvft_app.training.children import WorkerProcess
from cdvft_app.training.run import NOT_BEGUN

NAMESPACE = "cdvft"
CONNECT_SECONDS = 60.0  # to import Ray and to reach the head
ANSWER_SECONDS = 60.0
AGAIN_SECONDS = 2.0  # between two starts of the child
HEAD_SECONDS = 10.0  # until a head that does not answer is given up
LOOK_SECONDS = 0.2  # that a pull waits for an actor
SILENT_SECONDS = 60.0  # after which an actor counts as hung
NO_CONNECTION = (  # Ray's client gives one message for every cause
    "check that its port is open to this machine, and that RAY_AUTH_TOKEN or ~/.ray/auth_token has its token"
)
NO_RAY = "CDVFT_CLUSTER needs Ray, which is not installed here: pip install 'cdvft-studio[app,cluster]'."
UNKNOWN_RUN = "The cluster does not know this run any more."


@dataclass(frozen=True)
class Pull:
    """A question for the news of a run.

    Attributes:
        order: The attempt.
        after: The number of events that the app has.
        checkpoint: The app's newest checkpoint.
        into: The folder that takes files, under their names in the run's folder.
        create: Start the attempt if the cluster does not know it; otherwise it is lost.
        stop: Stop the run.
    """

    order: Order
    after: int
    checkpoint: str
    into: Path
    create: bool
    stop: bool = False


def require_ray() -> None:
    """Raise ValueError if Ray is not installed."""
    if find_spec("ray") is None:
        raise ValueError(NO_RAY)


class Connection:
    """Ask the child. Any thread may call. `NoNews`: the cluster does not answer now.

    Attributes:
        refused: Why the cluster rejected the last connection.
        was_connected: Whether any connection has succeeded.
    """

    def __init__(self, address: str, ships_code: bool | None = None) -> None:
        self._given = address, _is_checkout() if ships_code is None else ships_code
        self._lock = threading.Lock()
        self._child: WorkerProcess | None = None
        self._started = -AGAIN_SECONDS
        self._is_connected = self._is_closed = self.was_connected = False
        self.refused = ""

    def pull(self, pull: Pull) -> Update:
        """Return what is new of a run; its files are in `pull.into`. Raises NoNews."""
        found: Update = self._ask("pull", pull)
        return found

    def release(self, order: Order) -> None:
        """End the attempt and delete its files on the node. Raises NoNews."""
        self._ask("release", order.name)

    def resources(self) -> list[dict[str, float]]:
        """Return the resources of each live node. Raises NoNews."""
        found: list[dict[str, float]] = self._ask("resources")
        return found

    @property
    def process(self) -> int | None:
        """The child's process id; None before the first one."""
        return self._child.process if self._child is not None else None

    def close(self) -> None:
        with self._lock:
            self._is_closed = True
            if self._child is not None:
                self._child.end()

    def _ask(self, *question: Any) -> Any:
        with self._lock:
            child = self._connected()
            try:
                child.send(question)
                return child.receive(ANSWER_SECONDS)
            except (EOFError, OSError):
                raise NoNews from None

    def _connected(self) -> WorkerProcess:
        """Return the child once it has reached the cluster; raise NoNews before."""
        now = time.monotonic()
        if self._child is not None and not self._is_connected:
            with suppress(EOFError, OSError):
                if self._child.has_message():
                    self.refused = self._child.receive(ANSWER_SECONDS)
                    self._is_connected = not self.refused
                    self.was_connected |= self._is_connected
        if self._child is None or not self._child.alive():
            if now - self._started > AGAIN_SECONDS and not self._is_closed:
                # The fork server, which starts the child, has an older environment.
                rays = {name: value for name, value in os.environ.items() if name.startswith("RAY_")}
                self._child, self._started = WorkerProcess(serve, *self._given, rays), now
                self._is_connected = False
            raise NoNews
        if not self._is_connected:
            if now - self._started > CONNECT_SECONDS:
                self._child.end()
            raise NoNews
        return self._child


def _is_checkout() -> bool:
    try:
        version("cdvft-studio")
    except PackageNotFoundError:
        return True
    return False


# In the child


def serve(pipe: Pipe, address: str, ships_code: bool, variables: Mapping[str, str]) -> None:
    """Connect, report it, and answer questions until the app is gone."""
    os.environ.update(variables)
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # no request to an outside host
    os.environ.setdefault("RAY_AUTH_MODE", "token")
    os.environ.setdefault("RAY_CLIENT_RECONNECT_GRACE_PERIOD", str(int(HEAD_SECONDS)))
    try:
        _connect(address, ships_code)
    except ConnectionError:
        pipe.send(NO_CONNECTION)
        return
    except Exception as error:  # the first line of Ray's errors names the cause
        pipe.send(str(error).strip().partition("\n")[0][:300] or type(error).__name__)
        return
    pipe.send("")
    runs: dict[str, _Followed] = {}
    while True:
        try:
            kind, *given = pipe.recv()
            pipe.send(_answer(runs, kind, *given))
        except (EOFError, OSError):
            os._exit(0)  # the app is gone; a regular disconnection could wait for the head


def _connect(address: str, ships_code: bool) -> None:
    import ray

    environment: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        if ships_code:
            from cdvft_app.executors.hub_script import pack_code

            code = Path(folder, "studio.zip")
            pack_code(code)
            environment["working_dir"] = str(code)
        ray.init(address, namespace=NAMESPACE, log_to_driver=False, runtime_env=environment)


def _answer(runs: dict[str, _Followed], kind: str, *given: Any) -> Any:
    import ray

    try:
        if kind == "resources":
            return [node["Resources"] for node in ray.nodes() if node["Alive"]]
        if kind == "release":
            followed = runs.pop(given[0], None)
            return (followed or _Followed(_existing(given[0]))).end()
        pull: Pull = given[0]
        if pull.order.name not in runs:
            runs[pull.order.name] = _Followed(_existing(pull.order.name) or _created(pull))
        return runs[pull.order.name].pull(pull)
    except Exception:  # the head is gone, or Ray is in an unknown state: the app starts another child
        traceback.print_exc()
        os._exit(1)


def _existing(name: str) -> Any:
    import ray

    with suppress(ValueError):
        return ray.get_actor(name, namespace=NAMESPACE)
    return None


def _created(pull: Pull) -> Any:
    import ray

    if not pull.create:
        return None
    of = pull.order.resources
    return (
        ray.remote(NodeRun)
        .options(
            name=pull.order.name,
            namespace=NAMESPACE,
            lifetime="detached",
            get_if_exists=True,
            max_restarts=0,
            max_task_retries=0,
            max_concurrency=4,
            num_cpus=of.get("CPU", 0),
            num_gpus=of.get("GPU", 0),
            resources={name: amount for name, amount in of.items() if name not in ("CPU", "GPU")},
        )
        .remote(pull.order)
    )


class _Followed:
    """An actor, and the one question to it that is open."""

    def __init__(self, actor: Any) -> None:
        self._actor = actor
        self._node = ""
        self._asked: Any = None  # the open question, and the number of events that it is about
        self._after = -1
        self._since = time.monotonic()
        self._is_stopping = False

    def pull(self, pull: Pull) -> Update:
        from ray.exceptions import ActorUnavailableError, RayActorError, RayTaskError

        nothing = Update(last=pull.after, checkpoint=pull.checkpoint, node=self._node)
        where = f"Node {self._node}" if self._node else "The node"
        if self._actor is None:
            return Update(lost=UNKNOWN_RUN)
        try:
            return self._new(pull) or nothing
        except ActorUnavailableError:
            self._asked = None
            return nothing
        except RayActorError as error:
            told = _cause(error)
            return Update(lost=f"{where} was lost" + ("." if "node" in told else f": {told}"))
        except RayTaskError as error:
            return Update(lost=f"{where} could not train: {_cause(error)}")
        except TimeoutError:
            self.end()
            return Update(lost=f"{where} said nothing for {SILENT_SECONDS:.0f} seconds.")
        except ConnectionError:
            raise
        except OSError:  # this machine's disk is full: the same question is asked again
            self._asked = None
            return nothing

    def _new(self, pull: Pull) -> Update | None:
        """Return what is new; None while the actor has not answered."""
        if not self._node:
            begun = self._received(self._actor.begun)
            if begun is None:
                self._since = time.monotonic()  # it may wait for a node as long as it takes
                if pull.stop:
                    self.end()
                    return Update(state="stopped", reason=NOT_BEGUN)
                return None
            self._node, has_begun = begun
            if not has_begun:
                sources = pull.order.files.items()
                self._get(self._actor.begin, {name: packed(path) for name, path in sources if path.exists()})
        if pull.stop and not self._is_stopping:
            self._is_stopping = True
            self._actor.stop.remote()
        if self._after != pull.after:  # the app did not get the last answer
            self._asked, self._after = None, pull.after
        update: Update | None = self._received(self._actor.update, pull.after, pull.checkpoint)
        if update is not None:
            update.files = [name for name in update.files if self._download(name, pull.into)]
        return update

    def _received(self, method: Any, *given: Any) -> Any:
        """Return the actor's answer to the open question; None while there is none."""
        import ray

        if self._asked is None:
            self._asked = method.remote(*given)
        if not ray.wait([self._asked], timeout=LOOK_SECONDS)[0]:
            if time.monotonic() - self._since > SILENT_SECONDS:
                raise TimeoutError
            return None
        asked, self._asked, self._since = self._asked, None, time.monotonic()
        return ray.get(asked)

    def _get(self, method: Any, *given: Any) -> Any:
        import ray

        return ray.get(method.remote(*given), timeout=SILENT_SECONDS)

    def _download(self, name: str, into: Path) -> bool:
        """Return whether the file or folder was still on the node, and is now here."""
        content = self._get(self._actor.read, name) if COMES_BACK.fullmatch(name) else None
        if content is not None:
            place_file(into / name, content)
        return content is not None

    def end(self) -> None:
        """Delete the run's files on the node, and end the actor."""
        import ray

        with suppress(Exception):  # the actor is gone, or its node does not answer
            if self._node or self._asked is None:
                ray.get(self._actor.remove.remote(), timeout=HEAD_SECONDS)
        with suppress(Exception):
            ray.kill(self._actor)


def _cause(error: Exception) -> str:
    """Return the last line of Ray's message, which names the cause."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[-1] if lines else type(error).__name__)[:300]
