"""Runs out of a history's file that somebody gives to a page: nothing in it is trusted.

What is not a run's own kind of file is left out; facts and rows are read, checked and written anew.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import stat
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from cdvft_app import events
from cdvft_app.settings import InvalidChoice, RunSettings
from cdvft_app.store import rows, states
from cdvft_app.store.database import store_errors
from cdvft_app.store.folders import FACTS, ROWS
from cdvft_app.store.identifiers import ID, one_line
from cdvft_app.store.owners import token_hash
from cdvft_app.store.records import StoreError
from cdvft_app.store.runs import RunStore

MOST_BYTES = 64 * 10**6  # of the file
MOST_UNPACKED = 512 * 10**6
MOST_MEMBERS, MOST_RUNS, MOST_ROWS = 20_000, 200, 200_000
MOST_FACTS = 2 * 10**6  # bytes of one run's facts
GIVEN = "given"  # in the folder of a run that came this way
ADAPTER = "adapter"
_FILE = re.compile(
    r"(?P<run>[\w-]+)/(?:run\.json|rows\.jsonl|predictions\.safetensors|written_answers\.jsonl"
    r"|snapshots/step-\d{6,9}\.safetensors|adapter/[\w-][\w.-]*\.(?:safetensors|json|txt|md|jinja))",
    re.ASCII,
)
_EVENTS = {kind.__name__.lower(): kind for kind in events.Event.__args__ if kind is not events.Sent}
_READ: dict[str, TypeAdapter[Any]] = {name: TypeAdapter(kind) for name, kind in _EVENTS.items()}


class _Facts(BaseModel):
    """What is taken of `run.json`."""

    model_config = ConfigDict(extra="ignore")
    group_id: str = Field(max_length=200)
    position: int = Field(ge=0, lt=10_000)
    name: str = Field(max_length=1000)
    settings: str
    state: str
    reason: str | None = Field(None, max_length=5000)
    created: float
    queued: float
    started: float | None = None
    ended: float | None = None
    sweep: bool = False
    family: int | None = None


@dataclass(frozen=True)
class Taken:
    """The ids of what was taken, how many runs were here before, and why others were not taken."""

    ids: list[str]
    known: int
    refused: list[str]


def take(
    store: RunStore, file: Path, token: str, private: bool, check: Callable[[RunSettings], None]
) -> Taken:
    """Take the runs of a file that `export_history` wrote; they become the token's.

    Args:
        store, file, token: as said.
        private: whether nobody else sees them.
        check: raises `InvalidChoice` for settings that may not be had here.

    Raises:
        StoreError: nothing was taken; why.
    """
    taken: list[str] = []
    refused: list[str] = []
    groups: dict[str, str] = {}
    with store_errors(store.root), _opened(file) as archive:
        members = _members(archive)
        new = {name: of for name, of in members.items() if not (store.folders.path / name).exists()}
        with tempfile.TemporaryDirectory(prefix=".given-", dir=store.root) as place:
            for name, of_run in new.items():
                folder = Path(place, name)
                try:
                    facts = _facts(archive, of_run, name, check)
                except InvalidChoice as error:
                    refused.append(str(error))
                    continue
                facts |= {
                    "group_id": groups.setdefault(facts["group_id"], secrets.token_hex(16)),
                    "token_hash": token_hash(token),
                    "private": private,
                }
                for member in of_run:
                    if not member.filename.endswith((f"{name}/{FACTS}", f"{name}/{ROWS}")):
                        archive.extract(member, place)
                folder.mkdir(exist_ok=True)
                lines = [json.dumps(row) + "\n" for row in _rows(archive, of_run, name)]
                (folder / ROWS).write_text("".join(lines), encoding="utf-8")
                (folder / FACTS).write_text(json.dumps(facts), encoding="utf-8")
                (folder / GIVEN).touch()
                os.replace(folder, store.folders.path / name)
                taken.append(name)
    adopted = set(store.folders.adopt())
    return Taken([one for one in taken if one in adopted], len(members) - len(new), refused)


def given_bytes(store: RunStore) -> int:
    """What all runs that came this way take of the disk."""
    found = (mark.parent for mark in store.folders.path.glob(f"*/{GIVEN}"))
    return sum(path.stat().st_size for folder in found for path in folder.rglob("*") if path.is_file())


def _opened(file: Path) -> zipfile.ZipFile:
    if file.stat().st_size > MOST_BYTES:
        raise StoreError(f"The file has {file.stat().st_size / 1e6:.0f} MB; {_LIMIT}")
    try:
        return zipfile.ZipFile(file)
    except zipfile.BadZipFile:
        raise StoreError("This is not the file of a history, as it is made here.") from None


_LIMIT = (
    f"at most {MOST_BYTES / 1e6:.0f} are taken by the page. `python -m cdvft_app history import` takes more, "
    "on the machine itself."
)


def _members(archive: zipfile.ZipFile) -> dict[str, list[zipfile.ZipInfo]]:
    """What is taken of the archive, by the run that it is of."""
    found: dict[str, list[zipfile.ZipInfo]] = {}
    infos = archive.infolist()
    if len(infos) > MOST_MEMBERS:
        raise StoreError(f"The file holds {len(infos):,} files; at most {MOST_MEMBERS:,} are taken.")
    if (size := sum(info.file_size for info in infos)) > MOST_UNPACKED:
        raise StoreError(
            f"The file unpacks to {size / 1e6:,.0f} MB; at most {MOST_UNPACKED / 1e6:.0f} are taken."
        )
    for info in infos:
        name = _FILE.fullmatch(info.filename)
        if stat.S_ISLNK(info.external_attr >> 16) or info.filename.startswith("/") or ".." in info.filename:
            raise StoreError(
                f"The file holds {info.filename[:80]!r}, which leads elsewhere: nothing is taken."
            )
        if name and ID.fullmatch(name["run"]):
            found.setdefault(name["run"], []).append(info)
    if not found:
        raise StoreError("The file holds no run; the page's own export makes one that does.")
    if len(found) > MOST_RUNS:
        raise StoreError(f"The file holds {len(found)} runs; at most {MOST_RUNS} are taken at once.")
    return found


def _read(archive: zipfile.ZipFile, members: list[zipfile.ZipInfo], name: str) -> str:
    member = next((one for one in members if one.filename.endswith(f"/{name}")), None)
    if member is None:
        return ""
    try:
        return archive.read(member).decode("utf-8", "replace")
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, OSError, ValueError) as error:
        raise StoreError(f"The file is damaged: {str(error)[:100]}.") from None


def _facts(
    archive: zipfile.ZipFile,
    members: list[zipfile.ZipInfo],
    run_id: str,
    check: Callable[[RunSettings], None],
) -> dict[str, Any]:
    written = _read(archive, members, FACTS)
    if len(written) > MOST_FACTS:
        raise InvalidChoice("A run's facts are too long to be true.")
    try:
        facts = _Facts.model_validate_json(written)
        settings = RunSettings.model_validate_json(facts.settings)
    except ValidationError:
        raise InvalidChoice("A run's facts cannot be read, or are of another version.") from None
    if settings.data is not None:
        raise InvalidChoice(f"“{one_line(facts.name)}” learned from data of one's own, which is not here.")
    check(settings)
    state = facts.state if facts.state in states.FINAL else "interrupted"
    return {
        **facts.model_dump(),
        "id": run_id,
        "name": one_line(facts.name) or settings.recipe,
        "settings": settings.model_dump_json(),
        "method": settings.method.key,
        "state": state,
        "result": "{}",
        "step": 0,
        "visitor": None,
        "hidden": False,
        "ended": facts.ended if facts.ended is not None else facts.queued,
    }


def _rows(archive: zipfile.ZipFile, members: list[zipfile.ZipInfo], run_id: str) -> Iterator[dict[str, Any]]:
    """The run's rows, each an event that can be; others are left out."""
    folder = Path("/", run_id)  # of no disk: paths in it become relative to it
    for line in _read(archive, members, ROWS).splitlines()[:MOST_ROWS]:
        with suppress(ValueError, KeyError, TypeError, AttributeError):
            row = json.loads(line)
            event = _event(row["kind"], {**json.loads(row["data"]), "step": row["step"]}, folder)
            values = rows.facts(event, folder)
            yield {"kind": row["kind"], "step": values.pop("step", None), "data": json.dumps(values)}


def _event(kind: str, values: dict[str, Any], folder: Path) -> Any:
    known = {field.name: field.type for field in fields(_EVENTS[kind])}
    if kind == "note":
        values["kind"] = values.get("level")
    given = {name: value for name, value in values.items() if name in known}
    given |= {name: float("nan") for name, value in given.items() if value is None and known[name] == "float"}
    if kind == "done":
        given["adapter_folder"] = folder / ADAPTER
    if kind == "snapshot":
        given["file"] = f"snapshots/step-{int(values['step']):06d}.safetensors"
    return _READ[kind].validate_python(given)
