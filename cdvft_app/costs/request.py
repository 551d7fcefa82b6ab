"""The request for a cost table, frozen and validated, and the devices and precisions that it may name.

Needs no torch. Devices are this one, and GPUs from their makers' data sheets.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from cdvft.cost import Convention
from cdvft_app.methods import METHODS, InvalidChoice, Method, flat
from cdvft_app.settings import Competitors, Name, parse_request

HERE: Literal["here"] = "here"


@dataclass(frozen=True)
class Device:
    """`bytes` of memory, 10⁹ a GB; `bandwidth` of it in bytes a second; None where it is not known.

    `half`: FLOPs a second of dense products in half precision on tensor cores, with sums in float32.
    `reported`: a regular expression of the names by which torch reports it.
    """

    key: str
    title: str
    bytes: int | None
    bandwidth: float | None = None
    bfloat16: bool = True
    source: str = ""
    half: float | None = None
    reported: str = ""

    @property
    def phrase(self) -> str:
        """An RTX 4090 with 24 GB."""
        if self.key == HERE:
            return "this machine"
        article = "an" if self.title[0] in "ALRH" else "a"
        return f"{article} {self.title.partition(' (')[0]} with {self.bytes // 10**9 if self.bytes else 0} GB"


GPUS: tuple[Device, ...] = (
    Device(
        "t4", "T4 (16 GB)", 16 * 10**9, 320e9, False, "NVIDIA T4 product brief PB-09256-001", 65e12,
        r"\bT4\b",
    ),
    Device("l4", "L4 (24 GB)", 24 * 10**9, 300e9, True, "NVIDIA L4 data sheet", 121e12, r"\bL4\b"),
    Device(
        "rtx4090", "RTX 4090 (24 GB)", 24 * 10**9, 1008e9, True, "NVIDIA Ada architecture, appendix A",
        165.2e12, r"\bRTX 4090$",
    ),
    Device(
        "a100-40", "A100 (40 GB)", 40 * 10**9, 1555e9, True, "NVIDIA A100 data sheet, PCIe and SXM",
        312e12, r"\bA100\b.*\b40GB\b",
    ),
    Device(  # with PCIe 1,935 GB/s: what takes at least so long on an SXM does on both
        "a100-80", "A100 (80 GB)", 80 * 10**9, 2039e9, True, "NVIDIA A100 data sheet, SXM", 312e12,
        r"\bA100\b.*\b80GB\b",
    ),
    Device(
        "h100", "H100 PCIe (80 GB)", 80 * 10**9, 2000e9, True, "NVIDIA H100 data sheet, PCIe", 756e12,
        r"\bH100 PCIe\b",
    ),
    Device(
        "h100-sxm", "H100 SXM (80 GB)", 80 * 10**9, 3350e9, True, "NVIDIA H100 data sheet, SXM", 989e12,
        r"\bH100 80GB HBM3\b",
    ),
)  # fmt: skip
DEVICE_KEYS = (HERE, *(gpu.key for gpu in GPUS))


def device(key: str, here_bytes: int | None = None) -> Device:
    """Return the device of this key, one of `DEVICE_KEYS`; `here_bytes`: the memory of this one, None: not
    known."""
    if key == HERE:
        return Device(HERE, "this machine", here_bytes)
    return next(gpu for gpu in GPUS if gpu.key == key)


def named(name: str) -> Device | None:
    """Return the GPU that torch reports by this name; None where its rates are not known."""
    return next((gpu for gpu in GPUS if re.search(gpu.reported, name)), None)


@dataclass(frozen=True)
class StoragePrecision:
    """How a step's numbers are held: bits of a frozen linear layer's weight, and bytes of all others.

    `half` is the arithmetic's: its activations and the weights that are not rounded have two bytes for four.
    Adapters, their gradients and AdamW's moments stay float32, as PEFT and CDVFT's FFT have them.
    """

    bits: Literal[32, 16, 8, 4]
    half: bool

    @property
    def title(self) -> str:
        return {32: "float32", 16: "bfloat16"}.get(self.bits, f"{self.bits} bit")


FLOAT32 = StoragePrecision(32, half=False)
PRECISIONS: dict[str, StoragePrecision] = {
    "float32": FLOAT32,
    "bfloat16": StoragePrecision(16, half=True),
    "8bit": StoragePrecision(8, half=True),
    "4bit": StoragePrecision(4, half=True),
}

MatchBy = Literal["trainable_parameters", "flops_per_step", "seconds_per_step"]
DeviceKey = Literal[DEVICE_KEYS]  # type: ignore[valid-type]
PRECISION_KEYS = tuple(PRECISIONS)
PrecisionKey = Literal[PRECISION_KEYS]  # type: ignore[valid-type]
Aim = Literal["file", "memory", "time", "many", "quality"]


class CostRequest(BaseModel):
    """A model, methods and a step. Ranges are also the limits on what a visitor can ask for."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: Name = Field(
        title="Model", description="Hub id, short name, timm name, or a folder with config.json."
    )
    targets: tuple[Name, ...] | None = Field(
        None,
        min_length=1,
        max_length=32,
        title="Layers",
        description="Linear layers with adapters, separated by commas. Default: the usual ones.",
    )
    methods: Competitors = Field(title="Methods", description="Separated by commas. Default: all.")
    batch: int = Field(
        16, ge=1, le=65_536, strict=True, title="Batch size", description="Sequences or images per step."
    )
    sequence: int | None = Field(
        None,
        ge=1,
        le=1_048_576,
        strict=True,
        title="Length (tokens)",
        description="Tokens per sequence. Default: the model's usual length.",
    )
    image_size: int | None = Field(
        None,
        ge=1,
        le=2048,
        strict=True,
        title="Image size (pixels)",
        description="Pixels per side. Default: the model's size.",
    )
    labels: int = Field(default=2, ge=1, le=100_000, strict=True, description="outputs of the head")
    match: MatchBy | None = Field(
        default=None, title="Match CDVFT on", description="Picks the r, n, and b closest to CDVFT."
    )
    convention: Convention = Field(
        default="real_fft", title="FLOP convention", description="Real FFTs, or the convention of papers."
    )
    device: DeviceKey = Field(default=HERE, title="Device", description="Device to train on.")
    precision: PrecisionKey = Field(
        default="float32", title="Precision", description="Dtype of base weights and compute."
    )
    gradient_checkpointing: bool = Field(
        default=False,
        strict=True,
        title="Gradient checkpointing",
        description="Recomputes activations: less memory, longer steps.",
    )
    aim: Aim = Field(default="quality", title="Optimize for", description="Decides the recommended method.")

    @model_validator(mode="before")
    @classmethod
    def _accept_flat_names(cls, values: Any) -> Any:
        return flat.read_race(values, tuple(METHODS))

    @property
    def as_measured(self) -> CostRequest:
        """Steps are measured in float32 without checkpointing, whatever is asked."""
        return self.model_copy(update={"precision": "float32", "gradient_checkpointing": False})

    @property
    def reference(self) -> Method:
        """The CDVFT whose costs `match` asks for."""
        among = (method for method in self.methods if method.key == "cdvft")
        return next(among, METHODS["cdvft"].model_validate({}))


def parse_cost(values: object) -> CostRequest:
    """Return a `CostRequest`; see `parse_request`."""
    known = (*CostRequest.model_fields, *flat.FLAT, "learning_rates")
    unknown = [str(name) for name in values if name not in known] if isinstance(values, dict) else []
    if unknown:
        allowed = ", ".join(CostRequest.model_fields)
        raise InvalidChoice(
            f"{unknown[0][:80]} is not a setting of a cost table. The settings are: {allowed}."
        )
    return parse_request(CostRequest, values, 'Give one object such as {"model": "roberta-base"}')
