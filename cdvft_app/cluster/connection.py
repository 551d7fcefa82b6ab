"""The page's connection to a Ray cluster: a child process that follows runs there.

Ray ends the process that uses it when the cluster's head is gone for a minute, and its calls may wait for as
long. So a child imports Ray, one that is started anew when it ends or does not answer, and the page asks it
only for what it has already heard. What is new of a run waits in it until the page has taken it.

The child runs `serve`: a loop in which each run that is followed has a task.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from cdvft_app.cluster.transfer import COMES_BACK, PACKED, PIECE, Order, Update, cause, pack, unpack
from cdvft_app.training.children import Connection as Pipe
from cdvft_app.training.children import WorkerProcess
from cdvft_app.training.executors import NoNews
from cdvft_app.training.run import NOT_BEGUN

NAMESPACE = "cdvft"
CONNECT_SECONDS = 60.0  # to import Ray and to reach the head
ANSWER_SECONDS = 15.0  # of the child, which never waits for the cluster
AGAIN_SECONDS = 2.0  # between two starts of the child
LOOK_SECONDS = 2.0  # between two looks at the nodes
HEAD_SECONDS = 10.0  # for a word of the head, and to give it up
UPDATE_SECONDS = 2.0  # that a node waits for something new
SILENT_SECONDS = 60.0  # of a node's actor, which is then taken to hang
PIECES = 16  # under way at a time
MAX_FAILURES = 300  # in a row, one a second, before a run is given up there
MAX_WAITING = 2_000  # rows that the page has not taken
PACKAGES = ("torch", "transformers", "peft")
NO_CONNECTION = (  # of which Ray's client says the same, whatever it is
    "check that its port is open to this machine, and that RAY_AUTH_TOKEN or ~/.ray/auth_token has its token"
)
NO_RAY = "CDVFT_CLUSTER needs Ray, which is not installed here: pip install 'cdvft-studio[app,cluster]'."


@dataclass(frozen=True)
class Pull:
    """A question for the news of a run.

    Args:
        order: its attempt.
        after: number of the last row that was kept.
        checkpoint: the newest that is here, by its name.
        into: takes files and folders by their names in the run's folder.
        create: begin the attempt if the cluster does not know it; else it is lost then.
        stop: it is to stop, as its owner would have it.
    """

    order: Order
    after: int
    checkpoint: str
    into: Path
    create: bool
    stop: bool = False


@dataclass(frozen=True)
class ClusterNode:
    """A node of the cluster: its resources, and in a sentence why no run may train there, if none may."""

    id: str
    name: str
    resources: Mapping[str, float]
    problem: str | None


def require_ray() -> None:
    """Raises ValueError where Ray is not installed, with what to do."""
    if find_spec("ray") is None:
        raise ValueError(NO_RAY)


class Connection:
    """Asks the child; any thread may use it. `NoNews`: the cluster does not answer at the moment.

    Args:
        address: of the cluster, as for `ray.init`.
        ships_code: whether nodes are given this program's code; None: where it is not installed here.
    """

    def __init__(self, address: str, ships_code: bool | None = None) -> None:
        self._given = address, _is_checkout() if ships_code is None else ships_code
        self._lock = threading.Lock()
        self._child: WorkerProcess | None = None
        self._started = -AGAIN_SECONDS
        self._is_connected = self._is_closed = False
        self.refused = ""
        """Why the cluster did not take this program at the last try, in a sentence."""

    def pull(self, pull: Pull) -> Update:
        """Return what the run has reported since; its files are there. Raises NoNews."""
        found: Update = self._ask("pull", pull)
        return found

    def release(self, order: Order, seconds: float = 0.0) -> None:
        """End the attempt, and remove what its node has of it: its place there is free again.

        Waits up to so many seconds for that. Raises NoNews.
        """
        self._ask("release", order.name)
        end = time.monotonic() + seconds
        while time.monotonic() < end and self._ask("releases", order.name):
            time.sleep(0.02)

    def nodes(self) -> list[ClusterNode]:
        """Return the nodes that are alive, as they were a few seconds ago. Raises NoNews."""
        found: list[ClusterNode] = self._ask("nodes")
        return found

    @property
    def process(self) -> int | None:
        """The child's id; None before the first one."""
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
        """Return the child once it has reached the cluster; `NoNews` before."""
        now = time.monotonic()
        if self._child is not None and not self._is_connected:
            with suppress(EOFError, OSError):
                if self._child.has_message():
                    self.refused = self._child.receive(ANSWER_SECONDS)
                    self._is_connected = not self.refused
        if self._child is None or not self._child.alive():
            if now - self._started > AGAIN_SECONDS and not self._is_closed:
                # The fork server, from which it comes, has the environment of its own beginning.
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
    """Reach the cluster, say so, and answer questions until nobody is left who asks."""
    os.environ.update(variables)
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # no outside host is told anything
    os.environ.setdefault("RAY_AUTH_MODE", "token")  # a cluster without is for who says so
    os.environ.setdefault("RAY_CLIENT_RECONNECT_GRACE_PERIOD", str(int(HEAD_SECONDS)))
    try:
        _connect(address, ships_code)
    except ConnectionError:
        pipe.send(NO_CONNECTION)
        return
    except Exception as error:  # whatever Ray raises, of which the first line says what is wrong
        pipe.send(str(error).strip().partition("\n")[0][:300] or type(error).__name__)
        return
    pipe.send("")
    asyncio.run(_Server(pipe).serve())


def _connect(address: str, ships_code: bool) -> None:
    import ray

    environment: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        if ships_code:
            from cdvft_app.hub_jobs.job import pack_code

            code = Path(folder, "studio.zip")
            pack_code(code)
            environment["working_dir"] = str(code)
        ray.init(address, namespace=NAMESPACE, log_to_driver=False, runtime_env=environment)


class _Server:
    def __init__(self, pipe: Pipe) -> None:
        self._pipe = pipe
        self._followed: dict[str, _Followed] = {}
        self._ending: dict[str, asyncio.Task[None]] = {}
        self.nodes: dict[str, ClusterNode] = {}
        self.looked = asyncio.Event()

    async def serve(self) -> None:
        answers: dict[str, Callable[..., Any]] = {
            "pull": self._pull,
            "release": self._release,
            "releases": self._ending.__contains__,
            "nodes": self._list,
        }
        looking = asyncio.create_task(self._look())
        while True:
            try:
                question, *arguments = await asyncio.to_thread(self._pipe.recv)
            except (EOFError, OSError):
                os._exit(0)  # the page is gone; a disconnection in order could wait for the head
            if looking.done():
                os._exit(1)  # the head is gone: the page starts another child
            self._pipe.send(answers[question](*arguments))

    async def _look(self) -> None:
        """See which nodes there are, and what is installed on new ones, as long as the head answers."""
        import ray

        while True:
            found = await asyncio.wait_for(asyncio.to_thread(ray.nodes), HEAD_SECONDS)
            alive = {one["NodeID"]: one for one in found if one["Alive"]}
            checked = await asyncio.gather(
                *(self._check(one) for id, one in alive.items() if id not in self.nodes)
            )
            self.nodes = {id: node for id, node in self.nodes.items() if id in alive}
            self.nodes |= {node.id: node for node in checked}
            self.looked.set()
            await asyncio.sleep(LOOK_SECONDS)

    async def _check(self, found: dict[str, Any]) -> ClusterNode:
        import ray
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        there = NodeAffinitySchedulingStrategy(found["NodeID"], soft=False)
        remote: Any = ray.remote  # whose types know no strategy but two
        asking = remote(num_cpus=0, max_retries=0, scheduling_strategy=there)(_installed_versions())
        name = found.get("NodeManagerHostname") or found["NodeManagerAddress"]
        problem = None
        if any(found["Resources"].get(kind) for kind in ("CPU", "GPU")):
            try:
                (installed,) = await _within(CONNECT_SECONDS, asking.remote(PACKAGES))
                problem = mismatch(name, installed)
            except Exception as error:  # whatever keeps a function from running there
                problem = f"Node {name} cannot train: {cause(error)}"
        return ClusterNode(found["NodeID"], name, found["Resources"], problem)

    def _list(self) -> list[ClusterNode]:
        return list(self.nodes.values())

    def _pull(self, pull: Pull) -> Update:
        followed = self._followed.get(pull.order.name)
        if followed is None or followed.taken != pull.after:  # the page has not kept what it got
            if followed is not None:
                followed.task.cancel()
            followed = self._followed[pull.order.name] = _Followed(self, pull)
        if pull.stop:
            followed.stop()
        return followed.take()

    def _release(self, name: str) -> None:
        followed = self._followed.pop(name, None)
        if followed is not None:
            followed.task.cancel()
        self._ending[name] = asyncio.create_task(_end(name, followed and followed.actor))
        self._ending[name].add_done_callback(lambda _: self._ending.pop(name, None))


class _Unfit(Exception):
    """No node may train the run; a sentence."""


class _Followed:
    """A run that is followed: a task asks its actor, and keeps what it reports until the page takes it."""

    def __init__(self, server: _Server, pull: Pull) -> None:
        self._server, self._order, self._into, self._create = server, pull.order, pull.into, pull.create
        self._update, self._taken_files = Update(last=pull.after, checkpoint=pull.checkpoint), list[str]()
        self.taken = pull.after  # number of the last row that the page has
        self.actor: Any = None
        self._waits = self._has_begun = self._is_stopping = False
        self.task = asyncio.create_task(self._follow())

    def stop(self) -> None:
        if self._waits:
            self._waits = False
            self.task.cancel()
            _kill(self.actor)
            self._update.state, self._update.reason = "stopped", NOT_BEGUN
        elif not self._is_stopping and self._has_begun:
            self._is_stopping = True
            self.actor.stop.remote()

    def take(self) -> Update:
        """Return all that is new; files that the page has left where they were put are named again."""
        update, self._update = self._update, replace(self._update, rows=[], files=[])
        left = [name for name in self._taken_files if (self._into / name).exists()]
        update.files = list(dict.fromkeys([*left, *update.files]))
        self._taken_files, self.taken = update.files, update.last
        return update

    async def _follow(self) -> None:
        from ray.exceptions import ActorUnavailableError, RayActorError, RayTaskError

        failures = 0
        while self._update.state is None and self._update.lost is None:
            where = f"Node {self._update.node}" if self._update.node else "The node"
            try:
                if not self._has_begun:
                    await self._begin()
                    self._has_begun = True
                await self._receive()
                failures = 0
            except TimeoutError:  # two until Python 3.11
                self._update.lost = f"{where} said nothing for {SILENT_SECONDS:.0f} seconds."
                _kill(self.actor)
            except LookupError:
                self._update.lost = "The cluster does not know this run any more."
            except _Unfit as why:
                self._update.state, self._update.reason = "failed", str(why)
            except ConnectionError:
                os._exit(1)  # the page starts another child
            except Exception as error:
                failures += 1
                is_raised_there = isinstance(error, RayTaskError)
                if isinstance(error, RayActorError) and not isinstance(error, ActorUnavailableError):
                    told = cause(error)
                    self._update.lost = f"{where} was lost" + ("." if "node" in told else f": {told}")
                elif is_raised_there or failures > MAX_FAILURES:
                    self._update.lost = f"{where} could not go on: {cause(error)}"
                    _kill(self.actor)
                else:  # a moment's lack of the network, of Ray's memory, of room on the page's disk
                    await asyncio.sleep(1)

    async def _begin(self) -> None:
        import ray

        order = self._order
        try:
            self.actor = ray.get_actor(order.name, namespace=NAMESPACE)
        except ValueError:
            if not self._create:
                raise LookupError from None
            self.actor, self._waits = await self._created(), True
        (status,) = await _within(None, self.actor.status.remote())  # it may wait for its place
        self._waits = False
        self._update.node = status["node"]
        if not status["begun"]:
            for name, source in order.files.items():
                if (
                    isinstance(source, str) or source.exists()
                ):  # of data that was deleted the run itself tells
                    await self._upload(name, source)
            await _within(SILENT_SECONDS, self.actor.begin.remote(order.limit))

    async def _created(self) -> Any:
        """Return the attempt's actor, where none of the nodes is chosen that may not train."""
        import ray

        from cdvft_app.cluster.node import NodeRun

        await self._server.looked.wait()
        nodes, order = list(self._server.nodes.values()), self._order
        large = [node for node in nodes if fits(order.resources, node)]
        if large and all(node.problem for node in large):
            raise _Unfit(large[0].problem)
        refused = [node.id for node in nodes if node.problem]
        of = order.resources
        return (
            ray.remote(NodeRun)
            .options(
                name=order.name,
                namespace=NAMESPACE,
                lifetime="detached",
                get_if_exists=True,
                max_restarts=0,
                max_task_retries=0,
                max_concurrency=PIECES,
                label_selector={"ray.io/node-id": f"!in({', '.join(refused)})"} if refused else None,
                num_cpus=of.get("CPU", 0),
                num_gpus=of.get("GPU", 0),
                resources={name: amount for name, amount in of.items() if name not in ("CPU", "GPU")},
            )
            .remote(replace(order, files={}))
        )

    async def _receive(self) -> None:
        while len(self._update.rows) > MAX_WAITING:
            await asyncio.sleep(0.1)
        asking = self.actor.update.remote(self._update.last, self._update.checkpoint, UPDATE_SECONDS)
        (new,) = await _within(SILENT_SECONDS, asking)
        files = []
        for name in new.files:  # each is there before the row that names it
            if COMES_BACK.fullmatch(name) and await self._download(name):
                files.append(name)
        before = self._update  # the page may have taken it meanwhile
        self._update = replace(
            new,
            rows=before.rows + new.rows,
            files=before.files + files,
            checkpoint=new.checkpoint or before.checkpoint,
        )

    async def _upload(self, name: str, source: Path | str) -> None:
        with tempfile.TemporaryDirectory() as folder:
            if isinstance(source, str):
                text, source = source, Path(folder, "text")
                source.write_text(text, encoding="utf-8")
            elif source.is_dir():
                packed = Path(folder, "folder")
                await asyncio.to_thread(pack, source, packed)
                source = packed
            with open(source, "rb") as file:
                offset = 0
                while pieces := [piece for _ in range(PIECES) if (piece := file.read(PIECE))]:
                    writing = [
                        self.actor.write.remote(name, offset + number * PIECE, piece)
                        for number, piece in enumerate(pieces)
                    ]
                    await _within(SILENT_SECONDS, *writing)
                    offset += sum(map(len, pieces))

    async def _download(self, name: str) -> bool:
        """Put a file, or a folder, of the run's folder on the node into the page's folder, whole.

        Whether it was still there.
        """
        place = self._into / name
        is_folder = not place.suffix
        unfinished = place.with_name(f"{place.name}{PACKED if is_folder else '.unfinished'}")
        unfinished.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with open(unfinished, "wb") as file:
            pieces = [b""]
            while len(pieces[-1]) == PIECE or not file.tell():
                offset = file.tell()
                reading = [self.actor.read.remote(name, offset + PIECE * number) for number in range(PIECES)]
                pieces = await _within(SILENT_SECONDS, *reading)
                if None in pieces:
                    return False
                file.write(b"".join(pieces))
                if not pieces[0]:
                    break
        if is_folder:
            await asyncio.to_thread(unpack, unfinished)
        else:
            os.replace(unfinished, place)
        return True


async def _within(seconds: float | None, *asked: Any) -> list[Any]:
    """Return the answers to what Ray was asked, in order."""
    answers = asyncio.gather(*(asyncio.wrap_future(one.future()) for one in asked))
    return await asyncio.wait_for(answers, seconds)


async def _end(name: str, actor: Any) -> None:
    import ray

    with suppress(Exception):  # it is gone already
        actor = actor or ray.get_actor(name, namespace=NAMESPACE)
        await _within(HEAD_SECONDS, actor.remove.remote())
    _kill(actor)


def _kill(actor: Any) -> None:
    import ray

    if actor is not None:
        with suppress(Exception):
            ray.kill(actor)


def _installed_versions() -> Any:
    """Return a function that Ray sends by its code, as the node may not have this package."""

    def versions(packages: tuple[str, ...]) -> dict[str, str]:
        import platform
        from importlib.metadata import PackageNotFoundError, version

        found = {"Python": platform.python_version()}
        try:
            from cdvft import __version__

            found["cdvft"] = __version__
        except ImportError:
            found["cdvft"] = ""
        for name in packages:
            try:
                found[name] = version(name)
            except PackageNotFoundError:
                found[name] = ""
        return found

    return versions


def mismatch(node: str, there: Mapping[str, str]) -> str | None:
    """Return why a node with these versions cannot train for this program, in a sentence; None if it can.

    Builds of torch for other devices are the same version.
    """
    here: dict[str, str] = _installed_versions()(PACKAGES)
    differing = [
        f"{name} {there.get(name) or 'not at all'} in place of {wanted}"
        for name, wanted in here.items()
        if _without_build(there.get(name, "")) != _without_build(wanted)
    ]
    if not differing:
        return None
    return f"Node {node} cannot train: it has {', '.join(differing)}. Install the same versions there."


def _without_build(version: str) -> str:
    return version.partition("+")[0]


def fits(resources: Mapping[str, float], node: ClusterNode) -> int:
    """Return how many runs that ask for these resources the node can train at the same time."""
    return min(
        (int(node.resources.get(name, 0) / amount + 1e-9) for name, amount in resources.items() if amount),
        default=0,
    )
