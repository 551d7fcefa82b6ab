"""What a Job of the hub is: its script and this program's code, the run inside it, and the events in its log.

The script is one of `uv`: the packages that it needs stand in its head, with the versions that are installed
here. `uv run train.py`, or `python train.py` where they are installed, runs it anywhere: it fetches the code,
or finds it beside itself, trains a run, and publishes what that learned. Its events come back as lines of the
Job's log.
"""

from __future__ import annotations

import json
import os
import re
import sys
import zipfile
from contextlib import suppress
from pathlib import Path
from typing import Any

from cdvft_app import ASSETS, catalog
from cdvft_app.catalog import Plan
from cdvft_app.events import (
    ADAPTER,
    Answers,
    Done,
    Evaluation,
    Event,
    Note,
    Preparing,
    Started,
    Step,
    decode,
    encode,
)
from cdvft_app.results.escaping import docstring
from cdvft_app.results.exporters import AS_TRAINED, Export
from cdvft_app.results.finished_run import find
from cdvft_app.results.requirements import requirement
from cdvft_app.settings import RunSettings
from cdvft_app.store.processes import this_process
from cdvft_app.store.records import RunRecord
from cdvft_app.store.runs import RunStore
from cdvft_app.store.states import USABLE
from cdvft_app.training.run import run_here

SCRIPT, CODE = "train.py", "studio.zip"
PACKAGES = (
    "torch", "torchvision", "transformers", "peft", "wrapt", "accelerate", "timm", "datasets",
    "huggingface_hub", "plotly", "scikit-learn", "scipy", "onnx", "gguf", "pydantic", "pydantic-settings",
    "safetensors", "psutil", "filelock", "sacrebleu", "pip",
)  # fmt: skip
FOLDERS = ("cdvft", "cdvft_app")
CODE_SUFFIXES = (".py", ".c", ".h", ".json", ".jinja")
NOT_NEEDED = ("js", "css", "plotly", "screenshots", "recorded_runs", "recorded_factors")  # of the assets
_TEXT = '''# /// script
# requires-python = ">={python}"
# dependencies = [
{dependencies}
# ]
# ///
"""{title}, as a Job of the Hugging Face hub, or anywhere: uv run {script}"""

import os
import sys
import zipfile
from pathlib import Path

SETTINGS = {settings!r}
REPOSITORY = {repository!r}  # takes the adapter and its card; None: they stay in the folder adapter

code = Path(__file__).resolve().with_name({code!r})
if not code.is_file():
    from huggingface_hub import hf_hub_download

    code = Path(hf_hub_download(REPOSITORY, {code!r}, token=os.environ["HF_TOKEN"]))
there = Path.cwd() / "studio"
zipfile.ZipFile(code).extractall(there)
sys.path.insert(0, str(there))

from cdvft_app.executors.hub_script import main

if __name__ == "__main__":  # processes that share the run import this file again
    sys.exit(main(SETTINGS, REPOSITORY))
'''
RUNS = "studio-runs"
EVENT_PREFIX = "cdvft-event "
SENT_EVENTS = (Preparing, Started, Step, Evaluation, Answers, Note, Done)
MAX_CHARACTERS = 200_000
_LINE = re.compile(rf"(?:^|\s){EVENT_PREFIX}(?P<event>\{{.*\}})\s*$")


def write_job(folder: Path, plan: Plan, repository: str | None = None) -> str:
    """Make the folder with script and code, all that a Job needs; returns the script's text."""
    folder.mkdir()
    text = script_text(plan.settings, plan.title, repository)
    (folder / SCRIPT).write_text(text, encoding="utf-8")
    pack_code(folder / CODE)
    return text


def script_text(settings: RunSettings, title: str, repository: str | None = None) -> str:
    """Return the script; the settings are a plan's, and so complete."""
    names = [*PACKAGES, *(["bitsandbytes"] if settings.bits in (4, 8) else [])]
    return _TEXT.format(
        python=f"{sys.version_info.major}.{sys.version_info.minor}",
        dependencies="\n".join(f'#   "{requirement(name)}",' for name in names),
        title=docstring(title),
        script=SCRIPT,
        settings=json.loads(settings.model_dump_json(exclude_none=True)),
        repository=repository,
        code=CODE,
    )


def pack_code(file: Path) -> None:
    """Write what a Job needs of this program as a zip."""
    root = ASSETS.parent if (ASSETS.parent / FOLDERS[0]).is_dir() else ASSETS.parents[1]
    found = [path for folder in FOLDERS for path in (root / folder).rglob("*")]
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(path for path in found if path.suffix in CODE_SUFFIXES):
            archive.write(path, path.relative_to(root))
        for path in sorted(path for path in ASSETS.rglob("*") if path.is_file()):
            inside = path.relative_to(ASSETS)
            if inside.parts[0] not in NOT_NEEDED:
                archive.write(path, Path("assets") / inside)


def main(settings: dict[str, Any], repository: str | None) -> int:
    """Train, write the adapter and its card into the folder `adapter`, and upload it; 0 if all of it worked.

    HF_TOKEN must have the right to write to the repository.
    """
    here = Path.cwd()
    store = RunStore(here / RUNS)
    os.environ["RUNS_DIR"] = str(store.root)
    plan = catalog.resolve(RunSettings.model_validate(settings))

    def take(store: RunStore) -> RunRecord:
        (run,) = store.create([plan.settings], None, plan.title, this_process())
        return run

    run = run_here(store, take, tell)
    if run.reason:
        print(run.reason, flush=True)
    if run.state not in USABLE or not run.step:
        return 1
    AS_TRAINED.write_folder(Export(store, find(store, run.id)), here / ADAPTER)
    if repository is not None:
        from cdvft_app.results.hub import push

        print(push(here / ADAPTER, repository, os.environ["HF_TOKEN"], private=True), flush=True)
    return 0


def tell(event: Event) -> None:
    line = event_line(event)
    if line is not None:
        print(line, flush=True)


def event_line(event: Event) -> str | None:
    """Return an event as a line of the log; None for a snapshot, whose file stays where it was made."""
    if not isinstance(event, SENT_EVENTS):
        return None
    return EVENT_PREFIX + json.dumps({"event": type(event).__name__, "fields": encode(event)})


def read_event(line: str, folder: Path) -> Event | None:
    """Return the event of a line, which may begin with a time, as one of the run in `folder`.

    Any other line gives None.
    """
    found = _LINE.search(line) if len(line) <= MAX_CHARACTERS else None
    if found is None:
        return None
    # What is no event has been written by something else.
    with suppress(AttributeError, KeyError, OverflowError, RecursionError, TypeError, ValueError):
        told = json.loads(found["event"])
        event = decode(told["event"].lower(), told["fields"], folder)
        return event if isinstance(event, SENT_EVENTS) else None
    return None
