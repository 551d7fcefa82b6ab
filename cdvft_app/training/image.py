"""Classification of images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import Dataset
from torchvision.transforms import InterpolationMode, v2

from cdvft_app.catalog import Plan
from cdvft_app.catalog.backbones import load_image_backbone
from cdvft_app.catalog.download import Progress, ShouldStop
from cdvft_app.catalog.rows import Rows, Split
from cdvft_app.training.tasks import Task, commits


class ImageExamples(Dataset[dict[str, Any]]):
    """Rows of a split, transformed when they are asked for: a large set never lies in memory decoded."""

    def __init__(self, split: Split, transform: v2.Transform) -> None:
        self.split = split
        self.transform = transform

    def __len__(self) -> int:
        return len(self.split)

    def __getitem__(self, place: int) -> dict[str, Any]:
        image = self.split.inputs[place]
        if hasattr(image, "convert"):  # PIL, of any mode
            image = image.convert("RGB")
        return {"x": self.transform(image), "labels": int(self.split.labels[place])}


def image_task(plan: Plan, rows: Rows, progress: Progress, should_stop: ShouldStop) -> Task:
    """A timm model with a linear head; images are resized, cropped to squares, normalized, not augmented."""
    size = plan.settings.image_size
    assert size is not None
    loaded = load_image_backbone(plan.model, size, progress, should_stop)
    model: Any = loaded.model  # timm's own methods and settings
    model.reset_classifier(len(rows.labels))
    transform = v2.Compose([squared(size), normalized(loaded.mean, loaded.std)])
    return Task(
        model=model,
        head=model.pretrained_cfg["classifier"],
        train=ImageExamples(rows.train, transform),
        evaluation=ImageExamples(rows.evaluation, transform),
        lengths=[1] * len(rows.train),
        collate=stack,
        metric_name=plan.dataset.metric,
        throughput_unit="images/s",
        commits=commits(plan, loaded.commit, rows.commit),
    )


def squared(size: int) -> v2.Transform:
    """An image of any shape and kind to (3, size, size) uint8: resized, and its middle cut out."""
    resize = v2.Resize(size, InterpolationMode.BICUBIC, antialias=True)
    return v2.Compose([v2.ToImage(), v2.RGB(), resize, v2.CenterCrop(size)])


def normalized(mean: Sequence[float], std: Sequence[float]) -> v2.Transform:
    """(3, H, W) uint8 to what a model takes: float32, each channel less `mean` and divided by `std`."""
    return v2.Compose([v2.ToDtype(torch.float32, scale=True), v2.Normalize(list(mean), list(std))])


def stack(examples: Sequence[dict[str, Any]]) -> dict[str, Tensor]:
    """A batch: "x" (B, 3, H, W), "labels" (B)."""
    return {
        "x": torch.stack([example["x"] for example in examples]),
        "labels": torch.tensor([example["labels"] for example in examples]),
    }
