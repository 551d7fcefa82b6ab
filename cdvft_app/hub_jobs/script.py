"""The script of a Job: this program's code, fetched or beside it, trains a run and publishes what it learned.

It is a script of `uv`: the packages that it needs stand in its head, with the versions that are installed
here. `uv run train.py`, or `python train.py` where they are installed, runs it anywhere.
"""

from __future__ import annotations

import json
import sys
import zipfile
from importlib.metadata import version
from pathlib import Path

from cdvft_app import ASSETS
from cdvft_app.catalog import Plan
from cdvft_app.results.escaping import docstring
from cdvft_app.settings import RunSettings

SCRIPT, CODE = "train.py", "studio.zip"
PACKAGES = (
    "torch", "torchvision", "transformers", "peft", "wrapt", "accelerate", "timm", "datasets", "duckdb",
    "huggingface_hub", "plotly", "scikit-learn", "scipy", "onnx", "gguf", "pydantic", "safetensors", "psutil",
    "filelock", "sacrebleu", "pip",
)  # fmt: skip
OF_BITS = "bitsandbytes"
FOLDERS = ("cdvft", "cdvft_app")
NOT_NEEDED = ("js", "css", "screenshots", "recorded_adapters", "recorded_factors")  # of the assets
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

from cdvft_app.hub_jobs.in_job import main

if __name__ == "__main__":  # processes that share the run import this file again
    sys.exit(main(SETTINGS, REPOSITORY))
'''


def write_job(folder: Path, plan: Plan, repository: str | None = None) -> str:
    """Make the folder with script and code, all that a Job needs; returns the script's text."""
    folder.mkdir()
    text = script_text(plan.settings, plan.title, repository)
    (folder / SCRIPT).write_text(text, encoding="utf-8")
    pack_code(folder / CODE)
    return text


def script_text(settings: RunSettings, title: str, repository: str | None = None) -> str:
    """The script; the settings are a plan's, and so complete."""
    names = [*PACKAGES, *([OF_BITS] if settings.bits in (4, 8) else [])]
    return _TEXT.format(
        python=f"{sys.version_info.major}.{sys.version_info.minor}",
        dependencies="\n".join(f'#   "{name}=={_version(name)}",' for name in names),
        title=docstring(title),
        script=SCRIPT,
        settings=json.loads(settings.model_dump_json(exclude_none=True)),
        repository=repository,
        code=CODE,
    )


def _version(name: str) -> str:
    return version(name).partition("+")[0]


def pack_code(file: Path) -> None:
    """What of this program a Job needs, as a zip."""
    root = ASSETS.parent if (ASSETS.parent / FOLDERS[0]).is_dir() else ASSETS.parents[1]
    found = [path for folder in FOLDERS for path in (root / folder).rglob("*")]
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(path for path in found if path.suffix in (".py", ".c", ".h", ".json")):
            archive.write(path, path.relative_to(root))
        for name in ("cdvft_startup.py", "cdvft.pth"):
            archive.write(root / name, name)
        for path in sorted(path for path in ASSETS.rglob("*") if path.is_file()):
            inside = path.relative_to(ASSETS)
            if inside.parts[0] not in NOT_NEEDED:
                archive.write(path, Path("assets") / inside)
