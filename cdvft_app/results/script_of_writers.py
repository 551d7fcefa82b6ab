"""The text of the script that trains a model to write again; script.py says with what."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from transformers import LlamaForCausalLM

from cdvft_app.catalog.entries import DatasetEntry
from cdvft_app.results import script_parts_of_writers as parts
from cdvft_app.tasks.generation import PLAIN_TEMPLATE
from cdvft_app.tasks.shared_prefix import cache_argument


def write(
    *,
    about: str,
    dataset: DatasetEntry,
    method: str,
    settings: Mapping[str, Any],
    bits: int | None,
) -> str:
    """The whole script.

    Args:
        about: the docstring, as it stands in the source.
        dataset: says what makes an answer right.
        method: "full", or a call that makes a PEFT config.
        settings: constants by name.
        bits: that the frozen weights are rounded to.
    """
    right, names, imports = _right(dataset)
    unpacked = parts.UNPACKED if bits == 4 else ""
    constants = {**settings, **names, "PLAIN_TEMPLATE": PLAIN_TEMPLATE}
    text = [
        about,
        "\n" + _imports(method, bits, imports),
        "\n# %% What is trained, and how\n"
        + "\n".join(f"{name} = {value!r}" for name, value in constants.items()),
        parts.DATA,
        parts.MODEL.replace("ROUNDING", parts.ROUNDING[bits]).replace("UNPACKED", unpacked),
        parts.ATTENTION,
        parts.FULL if method == "full" else parts.ADAPTER.replace("METHOD", method),
        parts.TRAINER.replace("CACHE_NAME", cache_argument(LlamaForCausalLM)),
        right + parts.WRITTEN,
        parts.SAVED_WHOLE if method == "full" else parts.SAVED_ADAPTER,
    ]
    return "\n".join(text)


def _imports(method: str, bits: int | None, more: list[str]) -> str:
    own = method.partition("(")[0]
    ours = own == "CDVFTConfig"
    lines = ["import math", *(["import re"] if "import re" in more else []), ""]
    lines += ["import cdvft  # makes CDVFT known to PEFT"] if ours else []
    lines += ["import torch"]
    lines += ["from cdvft import CDVFTConfig"] if ours else []
    lines += ["from datasets import load_dataset"]
    if method != "full":
        lines += [f"from peft import {', '.join(sorted(['get_peft_model', *([] if ours else [own])]))}"]
    lines += [line for line in more if line != "import re"]
    lines += ["from torch.nn import functional as F"]
    names = [
        "AttentionInterface",
        "AutoModelForCausalLM",
        "AutoTokenizer",
        "DynamicCache",
        "Trainer",
        "TrainingArguments",
        "set_seed",
    ]
    names += ["BitsAndBytesConfig"] if bits else []
    lines += [f"from transformers import {', '.join(sorted(names))}"]
    lines += ["from transformers.integrations.sdpa_attention import sdpa_attention_forward"]
    return "\n".join([*lines, "from transformers.masking_utils import AttentionMaskInterface, sdpa_mask"])


def _right(dataset: DatasetEntry) -> tuple[str, dict[str, Any], list[str]]:
    """What gives the metric of answers: code, its constants, and imports."""
    if dataset.fields:
        return parts.FIELDS, {"FIELDS": list(dataset.fields)}, ["import re"]
    if dataset.metric == "chrf":
        return parts.CHRF, {}, ["from sacrebleu.metrics.chrf import CHRF"]
    return parts.TEXT, {"ANSWER_MARK": dataset.answer_mark}, []
