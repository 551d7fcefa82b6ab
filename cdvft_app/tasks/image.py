"""Classification of images."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL.Image import Image
from torch import Tensor
from torch.utils.data import Dataset
from torchvision.transforms import InterpolationMode, v2

from cdvft_app.catalog import Plan
from cdvft_app.catalog.backbones import ImageBackbone, load_image_backbone
from cdvft_app.progress import Progress, ShouldStop
from cdvft_app.tasks.base import Examples, InvalidInput, LabelledTask


class ImageTask(LabelledTask):
    """A timm model under a linear head; images are resized, cropped to squares, normalized, not augmented."""

    name = "image-classification"
    throughput_unit = "images/s"

    def __init__(self, plan: Plan, labels: tuple[str, ...], loaded: ImageBackbone) -> None:
        assert plan.settings.image_size is not None
        self.labels = labels
        self.metric_name = plan.dataset.metric
        self.commit = loaded.commit
        self.size, self.mean, self.std = plan.settings.image_size, loaded.mean, loaded.std
        self.transform = v2.Compose([squared(self.size), normalized(self.mean, self.std)])
        model: Any = loaded.model  # timm's own methods and settings
        model.reset_classifier(len(labels))
        self.model, self.head = model, model.pretrained_cfg["classifier"]
        self.is_sized = loaded.is_sized

    @classmethod
    def open(
        cls, plan: Plan, labels: tuple[str, ...], progress: Progress, should_stop: ShouldStop
    ) -> ImageTask:
        assert plan.settings.image_size is not None
        loaded = load_image_backbone(plan.model, plan.settings.image_size, progress, should_stop)
        return cls(plan, labels, loaded)

    def examples(self, inputs: Sequence[Any], labels: Sequence[Any] | np.ndarray | None = None) -> Examples:
        """Take images: PIL ones of any mode, or uint8 arrays (H, W) or (H, W, 3)."""
        return _Images(inputs, labels, self.transform)

    def lengths(self, examples: Examples) -> list[int]:
        return [1] * len(examples)

    def collate(self, examples: Sequence[dict[str, Any]]) -> dict[str, Tensor]:
        """Return a batch: "x" (B, 3, H, W), and "labels" (B)."""
        batch = {"x": torch.stack([example["x"] for example in examples])}
        if "labels" in examples[0]:
            batch["labels"] = torch.tensor([example["labels"] for example in examples])
        return batch

    def units(self, inputs: dict[str, Tensor]) -> Tensor:
        """Return the number of images."""
        return torch.tensor(len(inputs["x"]), device=inputs["x"].device)

    def save_config(self, folder: Path, whole: bool) -> None:
        """timm's config.json: architecture, labels, size and normalization.

        timm builds the model's shape from it by "local-dir:<folder>", and transformers its image processor.
        """
        model: Any = self.model
        config = {
            "architecture": model.pretrained_cfg["architecture"],
            "num_classes": len(self.labels),
            "num_features": model.num_features,
            "model_args": {"img_size": self.size} if self.is_sized else {},
            "label_names": list(self.labels),
            "pretrained_cfg": {
                "input_size": [3, self.size, self.size],
                "mean": list(self.mean),
                "std": list(self.std),
                "interpolation": "bicubic",
                "crop_pct": 1.0,
                "crop_mode": "center",
                "num_classes": len(self.labels),
                "classifier": self.head,
            },
        }
        (folder / "config.json").write_text(json.dumps(config, indent=2), encoding="utf-8")


class _Images(Dataset[dict[str, Any]]):
    """Images, transformed when they are asked for: a large set never lies in memory decoded."""

    def __init__(
        self, inputs: Sequence[Any], labels: Sequence[Any] | np.ndarray | None, transform: v2.Transform
    ) -> None:
        self.inputs, self.labels, self.transform = inputs, labels, transform

    def __len__(self) -> int:
        return len(self.inputs)

    def __getitem__(self, place: int) -> dict[str, Any]:
        example = {"x": self.transform(_checked_image(self.inputs[place]))}
        return example if self.labels is None else {**example, "labels": int(self.labels[place])}


def _checked_image(image: Any) -> Image | np.ndarray:
    if isinstance(image, Image):
        return image.convert("RGB")
    if not isinstance(image, np.ndarray):
        got = type(image).__name__
    elif image.dtype == np.uint8 and (image.ndim == 2 or image.shape[2:] == (3,)):
        return image
    else:
        got = f"an array of {image.dtype} {image.shape}"
    raise InvalidInput(f"Got {got}; an image must be a PIL one, or a uint8 array (H, W) or (H, W, 3).")


def squared(size: int) -> v2.Transform:
    """Return what makes an image of any shape and kind (3, size, size) uint8: resized, its middle cut out."""
    resize = v2.Resize(size, InterpolationMode.BICUBIC, antialias=True)
    return v2.Compose([v2.ToImage(), v2.RGB(), resize, v2.CenterCrop(size)])


def normalized(mean: Sequence[float], std: Sequence[float]) -> v2.Transform:
    """Return what turns (3, H, W) uint8 into float32, each channel less `mean` and divided by `std`."""
    return v2.Compose([v2.ToDtype(torch.float32, scale=True), v2.Normalize(list(mean), list(std))])
