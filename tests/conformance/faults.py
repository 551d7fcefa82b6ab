"""Deliberate faults: what a careless change to the tuner could break, each of which PEFT's suite must notice.

Importing this file does not import the tuner, so that the runner can list the faults.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from unittest import mock


def merge() -> None:
    """merged weights are 5 % off"""
    from cdvft.layer import CDVFTLayer

    right = CDVFTLayer._shifted_base_weight

    def wrong(self: CDVFTLayer, adapters: Any, sign: int) -> Any:
        weight = self.get_base_weight()
        return weight + 1.05 * (right(self, adapters, sign) - weight)

    mock.patch.object(CDVFTLayer, "_shifted_base_weight", wrong).start()


def forgotten_dict() -> None:
    """a per-adapter dict is missing from other_param_names, so that deleted adapters leave a rest"""
    mock.patch("cdvft.layer.CDVFTLayer.other_param_names", ()).start()


def shared_list() -> None:
    """all layers share one list of merged adapters"""
    from cdvft.layer import CDVFTLayer

    right, shared = CDVFTLayer.__init__, []  # type: ignore[var-annotated]

    def wrong(self: CDVFTLayer, *arguments: Any) -> None:
        right(self, *arguments)
        self.merged_adapters = shared

    mock.patch.object(CDVFTLayer, "__init__", wrong).start()


def not_identity() -> None:
    """training does not start at the pretrained model"""
    mock.patch("cdvft.layer._initialize", lambda _, circulants, __: [c.normal_() for c in circulants]).start()


FAULTS: dict[str, Callable[[], None]] = {
    fault.__name__.replace("_", "-"): fault for fault in (merge, forgotten_dict, shared_list, not_identity)
}
