"""The history as one file: ended runs in a zip, a folder each, and back.

Nothing in a file that is given is trusted. `unpack` reads it, where a stranger gave it in a child that has
limits: what is not a run's own kind of file is left out; facts, rows and adapters are checked and written
anew into a folder beside the history. `import_untrusted` takes the runs from there, one by one.
"""

from __future__ import annotations

import json
import math
import os
import re
import secrets
import shutil
import zipfile
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from itertools import accumulate, islice
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from cdvft_app.archives import DAMAGE, require_safe
from cdvft_app.events import ADAPTER, Sent, decode, encode
from cdvft_app.files import folder_bytes, is_full, remove_left, replacing
from cdvft_app.progress import Progress, silent
from cdvft_app.settings import InvalidChoice, RunSettings
from cdvft_app.store import predictions, recorded, states
from cdvft_app.store.database import store_errors
from cdvft_app.store.folders import FACTS, ROWS
from cdvft_app.store.owners import owner_hash
from cdvft_app.store.records import ID, RunFacts, StoreError, UnknownRun, is_row, visible_name
from cdvft_app.store.runs import RunStore


@dataclass(frozen=True)
class Limits:
    """The most that is taken of a given file: bytes, unpacked bytes, members, runs, and rows of each run.

    With `by_operator` forecasts and Jobs are taken, too.
    """

    file_bytes: int
    unpacked_bytes: int
    members: int
    runs: int
    rows: int
    by_operator: bool = False


PAGE = Limits(64 * 10**6, 512 * 10**6, 20_000, 200, 200_000)
TERMINAL = Limits(20 * 10**9, 20 * 10**9, 10**6, 10**5, 10**7)
OF_THE_OWNER = ("token_hash", "visitor")  # which leave with no file
MAX_FACTS = 2 * 10**6  # bytes of one run's facts, and of one row
MAX_ADAPTER_JSON = 32 * 10**6
MAX_HEADER = 2 * 10**6  # bytes of the JSON that a safetensors file begins with
CHUNK = 1 << 20
GIVEN = ".given-"  # before the names of folders into which runs are unpacked
IMPORTED = "given"  # a file in the folder of a run that was imported
_FILE = re.compile(
    r"(?P<run>[\w-]+)/(?:run\.json|rows\.jsonl|predictions\.safetensors|written_answers\.jsonl"
    r"|snapshots/step-\d{6,9}\.safetensors|adapter/[\w-][\w.-]*\.(?:safetensors|json|txt|md|jinja))",
    re.ASCII,
)
_ADDRESS = re.compile(r"https?://[\w.:-]{1,200}/[\w./-]{1,400}", re.ASCII)  # of a Job
# What PEFT takes for a regular expression where it is one text: one that never ends would hold the server.
_PATTERNS = ("target_modules", "exclude_modules", "layers_pattern", "rank_pattern", "alpha_pattern")
_PLAIN_NAME = re.compile(r"[\w.-]{1,200}")


# Out


def export_history(
    store: RunStore,
    out: Path,
    token: str | None = None,
    max_bytes: float = math.inf,
    only: Collection[str] | None = None,
) -> tuple[int, int]:
    """Write all ended runs into one zip, a folder each; with `token` its owner's, with `only` these ids.

    It has what `import_untrusted` takes: no checkpoints, nor the traceback of an error.

    Whose they were is not in it: who takes them in through the page owns them there.

    Returns:
        How many are in it, and how many, the oldest, were left out: all files take `max_bytes` at most.

    Raises:
        StoreError: it is there already, or the disk refuses it.
    """
    if out.exists():
        raise StoreError(f"{out} is already there; choose another place, or remove it first.")
    runs = [run for run in store.history(None, token) if run.state in states.FINAL]
    runs = [run for run in runs if only is None or run.id in only]
    sizes = accumulate(sum(path.stat().st_size for path in _files(store, run.id)) for run in runs)
    fitting = [run for run, size in zip(runs, sizes, strict=True) if size <= max_bytes]
    try:
        with (
            replacing(out) as unfinished,
            zipfile.ZipFile(unfinished, "w", zipfile.ZIP_DEFLATED) as archive,
        ):
            for run in fitting:
                folder = store.folder(run.id)
                for path in _files(store, run.id):
                    name = Path(run.id, path.relative_to(folder))
                    if path == folder / FACTS:
                        archive.writestr(str(name), _without_owner(path))
                    else:
                        archive.write(path, name)
    except OSError as error:
        advice = "Choose a folder that is there and can be written."
        if is_full(error):
            advice = "The disk is full: free some space, or choose another place."
        raise StoreError(f"{out} cannot be written ({error.strerror or error}). {advice}") from error
    return len(fitting), len(runs) - len(fitting)


def _without_owner(file: Path) -> str:
    """Return a run's facts without who made it: neither the owner's hash nor a visitor's address leaves."""
    with suppress(OSError, ValueError):
        facts = json.loads(file.read_text(encoding="utf-8"))
        return json.dumps(
            {name: value for name, value in facts.items() if name not in OF_THE_OWNER}, indent=1
        )
    return "{}"


def _files(store: RunStore, run_id: str) -> list[Path]:
    """Return the files of a run's folder that an exported history contains."""
    folder = store.folder(run_id)
    found = (path for path in sorted(folder.rglob("*")) if path.is_file() and not path.is_symlink())
    return [path for path in found if _FILE.fullmatch(f"{run_id}/{path.relative_to(folder).as_posix()}")]


# Back


@dataclass(frozen=True)
class ImportResult:
    """The ids of what was taken, how many runs were here before, and why others were not taken."""

    ids: list[str]
    known: int
    refused: list[str]


Unpack = Callable[[Path, Path, list[str], Limits], dict[str, Any]]


def import_untrusted(
    store: RunStore,
    file: Path,
    token: str | None,
    *,
    private: bool = False,
    visitor: str | None = None,
    check: Callable[[RunSettings], None] = lambda settings: None,
    unpack: Unpack | None = None,
    limits: Limits = PAGE,
    by_operator: bool = False,
) -> ImportResult:
    """Take the runs of a file that `export_history` wrote; they become the token's.

    Args:
        store: where to.
        file: the zip.
        token: its owner's; None: a terminal's.
        private: whether nobody else sees them, also those that were not private.
        visitor: whose seconds they spend once they go on.
        check: raises `InvalidChoice` for settings that may not be had here.
        unpack: `unpack` as it is to be called; in a child where a stranger gave the file.
        limits: what is taken.
        by_operator: whether whoever runs this program gives it: the runs stay in the groups in which they
            were, and hidden where they were; those that learned from data that is not here are taken, too,
            and each has its Job and its forecast, from which those of others are learned.

    Raises:
        StoreError: nothing was taken; why.
    """
    with store_errors(store.root):
        here = sorted({*recorded.ids(), *(path.name for path in store.folders.path.iterdir())})
        remove_left(store.root, GIVEN)
        place = store.root / f"{GIVEN}{secrets.token_hex(8)}"
        place.mkdir()
        try:
            found = (unpack or unpack_here)(file, place, here, replace(limits, by_operator=by_operator))
            taken, refused = list[str](), list(found["refused"])
            groups: dict[str, str] = {}
            for run_id in found["runs"]:
                facts = json.loads((place / run_id / FACTS).read_text(encoding="utf-8"))
                facts |= {
                    "token_hash": owner_hash(token),
                    "private": private or facts["private"],
                    "visitor": visitor,
                }
                if not by_operator:
                    group_id = groups.setdefault(facts["group_id"], secrets.token_hex(16))
                    facts |= {"group_id": group_id, "hidden": False}
                try:
                    settings = RunSettings.model_validate_json(facts["settings"])
                    if settings.data is not None and not by_operator:
                        raise InvalidChoice(
                            f"“{facts['name']}” learned from data of its own, which is not here."
                        )
                    check(settings)
                    _adopt(store, place / run_id, facts)
                    if by_operator:  # it takes none of the room that visitors have
                        (store.folders.path / run_id / IMPORTED).unlink(missing_ok=True)
                    taken.append(run_id)
                except InvalidChoice as error:
                    refused.append(str(error))
        finally:
            shutil.rmtree(place, ignore_errors=True)
    return ImportResult(taken, found["known"], refused)


def _adopt(store: RunStore, folder: Path, facts: Mapping[str, Any]) -> None:
    """Make the folder a run of the history; `InvalidChoice` where it cannot be one, and nothing stays."""
    (folder / FACTS).write_text(json.dumps(facts), encoding="utf-8")
    (folder / IMPORTED).touch()
    there = store.folders.path / folder.name
    os.replace(folder, there)
    try:
        store.folders.adopt([there])
    except Exception as error:  # whatever it is about this run, the next start would meet it again
        raise InvalidChoice(_not_taken(facts, type(error).__name__)) from error
    finally:
        taken = _is_of_history(store, there)  # by this call of `adopt`, or by that of another import
        if not taken:  # nor does it stay in the quarantine: whoever gave it has it, and is told
            for left in (there, *store.folders.quarantine.glob(f"{folder.name}*")):
                if (left / IMPORTED).exists():
                    shutil.rmtree(left, ignore_errors=True)
    if not taken:
        raise InvalidChoice(_not_taken(facts, "it is here in another folder"))


def _is_of_history(store: RunStore, folder: Path) -> bool:
    with suppress(UnknownRun):
        return store.folder(folder.name) == folder
    return False


def _not_taken(facts: Mapping[str, Any], why: str) -> str:
    return f"“{facts['name']}” cannot be put into the history here ({why})."


def imported_bytes(store: RunStore) -> int:
    """Return the bytes on the disk of all imported runs, those in the quarantine included."""
    places = store.folders.path, store.folders.quarantine
    found = (mark.parent for place in places for mark in place.glob(f"*/{IMPORTED}"))
    return sum(map(folder_bytes, found))


# In a child


def unpack_here(file: Path, place: Path, here: list[str], limits: Limits) -> dict[str, Any]:
    """Call `unpack` in this process."""
    return unpack(str(file), str(place), here, asdict(limits))


def unpack(
    file: str,
    place: str,
    here: list[str],
    limits: Mapping[str, Any],
    progress: Progress = silent,
) -> dict[str, Any]:
    """Write the runs of `file` that are not `here` into `place`, a folder each.

    Args:
        file, place: the zip, and an empty folder for its runs.
        here: names of the runs that are kept already.
        limits: those of `Limits`, by name.
        progress: told a fraction and a sentence.

    Returns:
        The ids of `runs`, how many are `known`, and why others were `refused`.

    Raises:
        StoreError: the file is none of a history, or too large.
    """
    within = Limits(**limits)
    with _opened(Path(file), within) as archive:
        members = _members(archive, within)
        known, runs, refused = {*here} & {*members}, list[str](), list[str]()
        unpacked = _Unpacked(archive, within)
        for count, (run_id, of_run) in enumerate(members.items()):
            progress(count / len(members), f"Reading run {count + 1:,} of {len(members):,}")
            if run_id in known:
                continue
            try:
                _write_run(unpacked, of_run, run_id, Path(place, run_id))
                runs.append(run_id)
            except InvalidChoice as error:
                refused.append(str(error))
                shutil.rmtree(Path(place, run_id), ignore_errors=True)
    return {"runs": runs, "known": len(known), "refused": refused}


@dataclass
class _Unpacked:
    """An archive whose real bytes are counted while they are read, whatever it says of them."""

    archive: zipfile.ZipFile
    limits: Limits
    size: int = 0

    def chunks(self, member: zipfile.ZipInfo) -> Iterator[bytes]:
        with _damage(), self.archive.open(member) as file:
            while chunk := file.read(CHUNK):
                self._count(chunk)
                yield chunk

    def lines(self, member: zipfile.ZipInfo) -> Iterator[bytes]:
        """Yield the lines of a member without those of more than `MAX_FACTS` bytes."""
        with _damage(), self.archive.open(member) as file:
            whole = True
            while line := file.readline(MAX_FACTS):
                self._count(line)
                ended = line.endswith(b"\n") or len(line) < MAX_FACTS
                if whole and ended:
                    yield line
                whole = ended

    def _count(self, read: bytes) -> None:
        self.size += len(read)
        if self.size > self.limits.unpacked_bytes:
            raise StoreError(
                "The file unpacks to more than it says; at most "
                f"{self.limits.unpacked_bytes / 1e6:,.0f} MB are taken."
            )


@contextmanager
def _damage() -> Iterator[None]:
    """Turn what zipfile and zlib raise, who trust what an archive says of itself, into a sentence."""
    try:
        yield
    except DAMAGE as error:
        raise StoreError(f"The file is damaged: {str(error)[:100]}.") from None


def _opened(file: Path, limits: Limits) -> zipfile.ZipFile:
    try:
        with file.open("rb") as opened:
            size = os.fstat(opened.fileno()).st_size
    except OSError as error:
        why = error.strerror or error
        raise StoreError(f"“{file.name}” cannot be read: {why}. Give the zip of a history.") from None
    if size > limits.file_bytes:
        more = " `python -m cdvft_app history import` takes more, on the machine itself."
        raise StoreError(
            f"The file has {size / 1e6:,.0f} MB; at most {limits.file_bytes / 1e6:,.0f} are taken"
            f"{' by the page.' + more if limits.file_bytes < TERMINAL.file_bytes else '.'}"
        )
    try:
        return zipfile.ZipFile(file)
    except DAMAGE:
        raise StoreError("This is not the file of a history, as it is made here.") from None


def _members(archive: zipfile.ZipFile, limits: Limits) -> dict[str, list[zipfile.ZipInfo]]:
    """Return the members of the archive that are taken, by the id of their run; refuse the archive as a whole
    with `StoreError`."""
    found: dict[str, list[zipfile.ZipInfo]] = {}
    require_safe(archive, members=limits.members, unpacked_bytes=limits.unpacked_bytes, refused=StoreError)
    for info in archive.infolist():
        name = _FILE.fullmatch(info.filename)
        if name and ID.fullmatch(name["run"]):
            found.setdefault(name["run"], []).append(info)
    if not found:
        raise StoreError("The file holds no run; the page's own export makes one that does.")
    if len(found) > limits.runs:
        raise StoreError(f"The file holds {len(found)} runs; at most {limits.runs:,} are taken at once.")
    return found


def _write_run(unpacked: _Unpacked, members: list[zipfile.ZipInfo], run_id: str, folder: Path) -> None:
    """Write the folder of one run; raise `InvalidChoice` where it cannot be taken."""
    by_name = {member.filename.partition("/")[2]: member for member in members}
    facts = _facts(unpacked, by_name, run_id)
    folder.mkdir()
    with (folder / ROWS).open("w", encoding="utf-8") as file:
        for row in _rows(unpacked, by_name[ROWS], run_id) if ROWS in by_name else ():
            file.write(json.dumps(row) + "\n")
    for name, member in by_name.items():
        if name not in (FACTS, ROWS):
            (folder / name).parent.mkdir(exist_ok=True)
            with (folder / name).open("wb") as written:
                for chunk in unpacked.chunks(member):
                    written.write(chunk)
            if name not in _LEFT_OUT_UNLESS:
                _check_file(folder / name, facts["name"])
    for name, is_whole in _LEFT_OUT_UNLESS.items():
        if (folder / name).is_file() and not is_whole(folder):
            (folder / name).unlink()
    (folder / FACTS).write_text(json.dumps(facts), encoding="utf-8")


def _facts(unpacked: _Unpacked, members: Mapping[str, zipfile.ZipInfo], run_id: str) -> dict[str, Any]:
    if FACTS not in members:
        raise InvalidChoice(f"Run {run_id} has no {FACTS} in the file, which says what it is.")
    written = bytearray()
    for chunk in unpacked.chunks(members[FACTS]):
        written += chunk
        if len(written) > MAX_FACTS:
            raise InvalidChoice(f"The {FACTS} of run {run_id} is too long to be true.")
    try:
        facts = RunFacts.model_validate_json(written.decode("utf-8", "replace"))
        settings = RunSettings.model_validate_json(facts.settings)
    except ValidationError as error:
        wrong = error.errors(include_url=False)[0]
        where = ".".join(str(part)[:40] for part in wrong["loc"]) or "all of it"
        raise InvalidChoice(
            f"The {FACTS} of run {run_id} cannot be read, or is of another version ({where}: "
            f"{wrong['msg'][:100]})."
        ) from None
    if facts.id != run_id:
        raise InvalidChoice(f"“{visible_name(facts.name)}” lies in the folder of another run.")
    of_the_run: dict[str, Any] = {
        "id": run_id,
        "group_id": facts.group_id,
        "position": facts.position,
        "name": visible_name(facts.name) or settings.recipe,
        "settings": settings.model_dump_json(),
        "method": settings.method.key,
        "state": facts.state if facts.state in states.FINAL else "interrupted",
        "reason": facts.reason,
        "created": facts.created,
        "queued": facts.queued,
        "started": facts.started,
        "ended": facts.queued if facts.ended is None else facts.ended,
        "sweep": facts.sweep,
        "family": facts.family,
        "private": facts.private,
        "hidden": facts.hidden,
    }
    if unpacked.limits.by_operator:
        of_the_run["forecast"] = facts.forecast
    return of_the_run  # its rows tell the rest


def _rows(unpacked: _Unpacked, member: zipfile.ZipInfo, run_id: str) -> Iterator[dict[str, Any]]:
    """Yield the run's rows, each an event that can be; others are left out."""
    for line in islice(unpacked.lines(member), unpacked.limits.rows):
        with suppress(ValueError, KeyError, TypeError, AttributeError, RecursionError, OverflowError):
            row = json.loads(line.decode("utf-8", "replace"))
            if row["kind"] == "sent" and not unpacked.limits.by_operator:
                continue
            event = decode(row["kind"], {**json.loads(row["data"]), "step": row["step"]}, Path(run_id))
            if isinstance(event, Sent) and event.job_address and not _ADDRESS.fullmatch(event.job_address):
                continue  # a link that no page may show
            values = encode(event)
            step, data = values.pop("step", None), json.dumps(values)
            if is_row(row["kind"], step, data):
                yield {"kind": row["kind"], "step": step, "data": data}


def _has_predictions(folder: Path) -> bool:
    with suppress(KeyError, TypeError, ValueError):
        found = predictions.read(folder)
        if found is not None:
            kinds = [(one.ndim, one.dtype.kind) for one in (found.rows, found.labels, found.outputs)]
            numbers = 0 < found.outputs.size <= predictions.MAX_NUMBERS
            return numbers and kinds in ([(1, "i"), (1, "i"), (2, "f")], [(1, "i"), (1, "f"), (2, "f")])
    return False


def _has_answers(folder: Path) -> bool:
    with suppress(OverflowError):
        found = predictions.read_answers(folder)
        return found is not None and 0 < len(found.rows) <= predictions.MAX_ROWS
    return False


# What the page reads as a whole.
_LEFT_OUT_UNLESS: dict[str, Callable[[Path], bool]] = {
    predictions.FILE: _has_predictions,
    predictions.ANSWERS_FILE: _has_answers,
}


def _check_file(file: Path, title: str) -> None:
    """Raise `InvalidChoice` for a file that would stall whoever opens it later."""
    if file.suffix == ".safetensors" and file.stat().st_size >= 8:
        with file.open("rb") as opened:
            header = int.from_bytes(opened.read(8), "little")
        if header > MAX_HEADER:
            raise InvalidChoice(f"“{title}” has a {file.name} that cannot be true.")
    if file.suffix == ".json" and file.parent.name == ADAPTER:
        if file.stat().st_size > MAX_ADAPTER_JSON:
            raise InvalidChoice(f"“{title}” has a {file.name} that is too large to be true.")
        if file.name == "adapter_config.json":
            _check_adapter_config(file, title)


def _check_adapter_config(file: Path, title: str) -> None:
    try:
        config = json.loads(file.read_bytes()) if file.stat().st_size <= MAX_FACTS else None
    except (ValueError, RecursionError):
        config = None
    if not isinstance(config, dict):
        raise InvalidChoice(f"“{title}” has an adapter_config.json that is no JSON object.")
    for name in _PATTERNS:
        given = config.get(name) or []
        if not (isinstance(given, (list, dict)) and all(_is_plain(one) for one in given)):
            raise InvalidChoice(
                f"“{title}” names layers by a pattern in its adapter_config.json ({name}); give their names, "
                "as a list."
            )


def _is_plain(name: object) -> bool:
    return isinstance(name, str) and _PLAIN_NAME.fullmatch(name) is not None
