"""Where factors come from: a run of the store, or a real one that was recorded and ships with the app.

A recorded run is two files that benchmarks/record_factors.py writes: <key>.json with its settings, losses,
steps and numbers, and <key>.safetensors with its vectors in float16, keyed "<step>/<module>/<vector>" (those
that never change at the last step only; zeros as empty arrays), and its updates' singular values, keyed
"singular/<module>". What inspection/effects.py computes of them is in effects.json.gz.
"""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol, TypeVar

import numpy as np
from safetensors import safe_open

from cdvft_app import ASSETS
from cdvft_app.errors import UserError
from cdvft_app.methods import ADAPTERS, labels
from cdvft_app.payloads.factors import (
    Effects,
    Overview,
    SingularValues,
    SourceFacts,
    Together,
)
from cdvft_app.settings import RunSettings
from cdvft_app.store import snapshots
from cdvft_app.store.records import RunRecord, label_in
from cdvft_app.store.runs import RunStore

RECORDED = ASSETS / "recorded_factors"
EFFECTS = "effects.json.gz"
MAX_RACES = 20
MAX_LOSSES = 800
Item = TypeVar("Item")


def every_nth(items: list[Item], n: int) -> list[Item]:
    """Return each nth item from the first on, and the last one."""
    return items[::n] + (items[-1:] if (len(items) - 1) % n else [])


class Unavailable(UserError):
    """The requested run, layer or example is not there; the text is a sentence for the page."""


class Source(Protocol):
    """Snapshots of one run.

    `read` gives one module's vectors by name, or all of them, keyed "<module>/<vector>". `version(step)`
    changes when the snapshot of that step is written anew.
    """

    @property
    def id(self) -> str: ...
    @property
    def label(self) -> str: ...
    @property
    def settings(self) -> RunSettings: ...
    def facts(self) -> SourceFacts: ...
    def losses(self) -> list[list[float]]: ...
    def steps(self) -> list[int]: ...
    def read(self, step: int, module: str | None = None) -> dict[str, np.ndarray]: ...
    def version(self, step: int) -> object: ...


@dataclass(frozen=True)
class LiveRun:
    """A run of the store."""

    store: RunStore
    record: RunRecord
    folder: Path
    label: str

    @classmethod
    def of(cls, store: RunStore, record: RunRecord) -> LiveRun:
        """Make it of the run's record."""
        label = label_in(record, store.group(record.group_id))
        return cls(store, record, store.folder(record.id), label)

    @property
    def id(self) -> str:
        return self.record.id

    @property
    def settings(self) -> RunSettings:
        return self.record.settings

    def facts(self) -> SourceFacts:
        run = self.record
        return {
            "name": run.name,
            "group": run.group_id,
            "created": run.created,
            "state": run.state,
            "metric_name": run.metric_name,
            "metric": run.metric,
            "recorded": None,
        }

    def losses(self) -> list[list[float]]:
        rows, _ = self.store.rows(self.id, kinds=("step",), limit=200_000)
        losses = [[row["step"], row["loss"]] for row in rows]
        return every_nth(losses, -(-len(losses) // MAX_LOSSES) or 1)

    def steps(self) -> list[int]:
        return snapshots.steps(self.folder)

    def read(self, step: int, module: str | None = None) -> dict[str, np.ndarray]:
        return snapshots.read(self.folder, step, prefix=f"{module}/" if module else "")

    def version(self, step: int) -> object:
        return snapshots.written(self.folder, step)


@dataclass(frozen=True)
class RecordedRun:
    """A real run that ships with the app."""

    key: str

    @property
    def id(self) -> str:
        return f"recorded-{self.key}"

    @property
    def label(self) -> str:
        return self.settings.method.label()

    @property
    def recording(self) -> dict[str, Any]:
        return _recording(self.key)

    @property
    def settings(self) -> RunSettings:
        return RunSettings.model_validate(self.recording["settings"])

    def facts(self) -> SourceFacts:
        return self.recording["facts"]

    def losses(self) -> list[list[float]]:
        return self.recording["losses"]

    def steps(self) -> list[int]:
        return self.recording["steps"]

    def read(self, step: int, module: str | None = None) -> dict[str, np.ndarray]:
        found: dict[str, np.ndarray] = {}
        with self._vectors() as tensors:
            for at in (self.steps()[-1], step):  # fixed vectors are recorded at the last step only
                start = f"{at}/{module}/" if module else f"{at}/"
                for key in tensors.keys():  # noqa: SIM118 (safetensors' file is no mapping)
                    if key.startswith(start):
                        name, array = key.removeprefix(start), tensors.get_tensor(key)
                        found[name] = array if array.size else np.zeros_like(found[name])
        return {name: a.astype(np.float32) if a.dtype == np.float16 else a for name, a in found.items()}

    def version(self, step: int) -> object:
        return None

    def overview(self) -> Overview:
        """Return what `numbers.overview` computed when the run was recorded."""
        return {"layers": self.recording["numbers"], "next": None}

    def singular(self, module: str) -> SingularValues:
        """Return what `numbers.singular` computed when the run was recorded, rounded to float16."""
        with self._vectors() as tensors:
            values = tensors.get_tensor(f"singular/{module}").astype("<f4")
        return {
            "steps": self.steps(),
            "count": values.shape[1],
            "values": base64.b64encode(values.tobytes()).decode(),
            "effective_rank": self.recording["effective_rank"][module],
            "norm": next(one["norm"] for one in self.recording["numbers"] if one["module"] == module),
        }

    def effects(self) -> Effects | None:
        """Return what `effects.effects` computed; None where it is not recorded."""
        return _effects()["effects"].get(self.key)

    def first(self) -> str | None:
        """Return the layer whose change has the largest effect; None where that is not recorded."""
        known = self.effects()
        return largest_effect(known) if known else None

    def together(self, module: str, other: Source | None) -> Together | None:
        """Return what `effects.together` computed; None where it is not recorded."""
        if other is None:
            return _effects()["together"].get(self.key, {}).get(module)
        if not isinstance(other, RecordedRun):
            return None
        known: dict[str, Any] = _effects()["together"]
        if module in (found := known.get(f"{self.key} {other.key}", {})):
            return found[module]
        turned = known.get(f"{other.key} {self.key}", {}).get(module)
        return turned and _turned(turned)

    def _vectors(self) -> Any:
        return safe_open(RECORDED / f"{self.key}.safetensors", framework="numpy")


def largest_effect(found: Effects) -> str:
    """Return the layer that moves what it gives most, in the median over the inputs."""
    return max(found["layers"], key=lambda one: one["ratio"][1])["module"]


def recorded_weight_norms(source: Source) -> dict[str, float]:
    """||W||_F by module of the run's base model; empty for a model that is not recorded."""
    model = source.settings.model
    return _weight_norms(model) if model in ("minilm", "vit_small") else {}


@lru_cache
def _weight_norms(model: str) -> dict[str, float]:
    return json.loads((RECORDED / f"{model}.weights.json").read_text(encoding="utf-8"))


@lru_cache
def _recording(key: str) -> dict[str, Any]:
    return json.loads((RECORDED / f"{key}.json").read_text(encoding="utf-8"))


@lru_cache
def _effects() -> dict[str, Any]:
    """Return {"effects": {key: Effects}, "together": {key, or two keys: {module: Together}}}."""
    return json.loads(gzip.decompress((RECORDED / EFFECTS).read_bytes()))


def _turned(found: Together) -> Together:
    """Return it with the two runs in the other order."""
    return {
        **found,
        "alone": found["alone"][::-1],
        "common": found["common"][::-1],
        "directions": [
            {**one, "shares": one["shares"][::-1], "common": one["common"][::-1]}
            for one in found["directions"]
        ],
        "examples": [{**one, "answers": one["answers"][::-1]} for one in found["examples"]],
    }


@lru_cache
def recorded_keys() -> tuple[str, ...]:
    """Return the recorded runs, the one that the tab shows first at the front."""
    order = json.loads((RECORDED / "index.json").read_text()) if (RECORDED / "index.json").is_file() else []
    return tuple(order)


def find(store: RunStore, run_id: object) -> Source:
    """Return the run of that id, recorded or of the store.

    Raises:
        Unavailable: there is none, or it kept no factors.
    """
    for key in recorded_keys():
        if run_id == f"recorded-{key}":
            return RecordedRun(key)
    record = store.get(run_id)
    if record is None:
        raise Unavailable(f"There is no run {str(run_id)[:40]!r}; it may have been deleted.")
    run = LiveRun.of(store, record)
    if not run.steps():
        raise Unavailable(
            f"“{record.name}” keeps no factors yet: the first are written when its training begins, and none "
            "by the methods without an adapter."
        )
    return run


def find_with_weights(store: RunStore, run_id: object) -> Source:
    """Return the run that `find` does; for a recorded one whose weights ship with the program, the store's
    own of that race.

    Raises:
        Unavailable: there is none, or it kept no factors.
    """
    source = find(store, run_id)
    if not isinstance(source, RecordedRun):
        return source
    shipped = store.get(f"{source.facts()['group']}-{source.key}")
    return LiveRun.of(store, shipped) if shipped else source


def latest_runs(store: RunStore) -> Iterator[LiveRun]:
    """Yield runs of races, the latest first, then those of the last sweep: its many runs would crowd races
    out."""
    for group in (*store.groups(MAX_RACES, sweeps=False), *store.groups(1, sweeps=True)):
        named = labels([record.settings.method for record in group])
        for record, label in reversed([*zip(group, named, strict=True)]):
            yield LiveRun(store, record, store.folder(record.id), label)


def list_sources(store: RunStore) -> Iterator[Source]:
    """Yield runs with factors, the latest first, and the recorded ones after them."""
    for run in latest_runs(store):
        if run.record.method in ADAPTERS and run.steps():
            yield run
    yield from map(RecordedRun, recorded_keys())
