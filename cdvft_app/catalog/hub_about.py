"""What the hub says of a model before anything of it is downloaded."""

from __future__ import annotations

from dataclasses import dataclass

from cdvft_app.catalog.hub_download import is_wanted
from cdvft_app.catalog.reachability import hub_status

SECONDS_TO_ANSWER = 5.0


@dataclass(frozen=True)
class About:
    """`licence` as its card states it, None where it does not; `fetched_bytes` of all files that a run takes;
    `safetensors`: whether there are weights that can be read without running code."""

    licence: str | None
    fetched_bytes: int
    safetensors: bool


def about(repository: str) -> About | None:
    """Asks the hub once, for some seconds at most; None where it does not answer."""
    if not hub_status().reachable:
        return None
    from huggingface_hub import HfApi

    try:
        info = HfApi().model_info(repository, files_metadata=True, timeout=SECONDS_TO_ANSWER)
    except Exception:  # the hub's client has a family of errors for each way of not connecting
        return None
    sizes = {
        file.rfilename: file.size or 0
        for file in info.siblings or ()
        if is_wanted(file.rfilename, "model", None)
    }
    licence = info.card_data.get("license") if info.card_data else None
    return About(
        licence if isinstance(licence, str) else None,
        sum(sizes.values()),
        any(name.endswith(".safetensors") for name in sizes),
    )
