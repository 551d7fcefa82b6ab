"""Payloads of the Factors tab: runs, their layers and numbers. Arrays are base64 of little-endian bytes."""

from __future__ import annotations

from typing import Literal

from typing_extensions import TypedDict

from cdvft_app.payloads.shared import Method, Styles


class FactorsFixed(TypedDict):
    """`factors`: the tints of the input diagonal, the circulant and the output diagonal."""

    lines: Styles
    factors: dict[str, str]


class Refused(TypedDict):
    """Why a question was not answered; `busy`: asking again later helps."""

    error: str
    busy: bool


class SourceFacts(TypedDict):
    """A run of the store, or one that was `recorded`: when and where."""

    name: str
    group: str | None
    created: float | None
    state: str
    metric_name: str | None
    metric: float | None
    recorded: str | None


class InspectedRun(SourceFacts):
    """A run whose snapshots can be looked into."""

    id: str
    method: Method
    label: str
    summary: str
    rank: int | None
    m: int
    targets: str


class InspectedRuns(TypedDict):
    runs: list[InspectedRun]


class Module(TypedDict):
    """A layer by its name: `depth` is its block's number, `kind` its place there."""

    module: str
    depth: int | None
    kind: str
    d_out: int
    d_in: int


class Layer(Module):
    """A layer with the constant factor of its update."""

    scale: float


class OpenedRun(InspectedRun):
    """Losses are [step, loss]; `weights` are norms of frozen weights by module, as far as known."""

    losses: list[list[float]]
    steps: list[int]
    layers: list[Layer]
    weights: dict[str, float] | None
    kind: Literal["text", "image"]


class Vector(TypedDict):
    """A vector at every snapshot, one after another; `shape` is that of one."""

    shape: list[int]
    type: Literal["float32", "int32"]
    data: str


class KeptVectors(Module):
    """A layer's vectors over the snapshots, by name."""

    steps: list[int]
    vectors: dict[str, Vector]
    trained: int  # numbers that training may change
    bytes: int


class LayerVectors(KeptVectors):
    """A layer's vectors; `texts` are the examples whose inputs are recorded."""

    texts: list[str]


class SingularValues(TypedDict):
    """Singular values of the update at each step, `count` each, descending."""

    steps: list[int]
    count: int
    values: str
    effective_rank: list[float]
    norm: list[float]


class NoSingularValues(TypedDict):
    reason: str


class LayerNumbers(TypedDict):
    """Norms of the update by step (None: not computed), and how far each vector moved since the first."""

    module: str
    steps: list[int]
    norm: list[float | None]
    moved: dict[str, list[float]]
    effective_rank: float | None


class Overview(TypedDict):
    """Numbers of some layers; `next` is the index of the first that is left."""

    layers: list[LayerNumbers]
    next: int | None


class Weights(TypedDict):
    weights: dict[str, float]


class MostChanged(TypedDict):
    """The layer that the tab opens first."""

    module: str


class Image(TypedDict):
    """An image as a data address, and what it shows."""

    label: str
    picture: str


class Images(TypedDict):
    """Images in so many rows and columns of patches; `before` names the tokens before them."""

    images: list[Image]
    before: tuple[str, ...]
    rows: int
    columns: int


class LayerInputs(TypedDict):
    """A layer's input for an example: a vector of `width` numbers a token."""

    tokens: list[str]
    width: int
    data: str
    output_norms: list[float]
