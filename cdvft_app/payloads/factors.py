"""Payloads of the Factors tab: runs, their layers and numbers. Arrays are base64 of little-endian bytes."""

from __future__ import annotations

from typing import Literal

from typing_extensions import TypedDict

from cdvft_app.payloads.shared import Method


class FactorsRequest(TypedDict):
    """`run`: its id, or that of a recorded one."""

    run: str


class FromLayerRequest(FactorsRequest):
    """A request about a run's layers from the one of index `first` on."""

    first: int


class LayerRequest(FactorsRequest):
    """`module`: the layer's name in the model."""

    module: str


class TogetherRequest(LayerRequest):
    """`beside`: another run; None: none."""

    beside: str | None


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
    """Losses are [step, loss]; `weights` are norms of frozen weights by module, as far as known.

    `first` is the layer to show first, where that is known without computing.
    """

    losses: list[list[float]]
    steps: list[int]
    layers: list[Layer]
    weights: dict[str, float] | None
    first: str | None
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


class Answered(TypedDict):
    """The answers to held-out rows.

    `right`: how many are; None: they are numbers. `lost` and `gained`: the rows that the whole change alone
    gets right, or wrong.
    """

    right: int | None
    loss: float
    lost: int
    gained: int


class LayerEffect(TypedDict):
    """The effect of a change on a layer's real inputs.

    `ratio` are quartiles of ||dW x|| / ||W x|| over tokens, `common` is the part of the effect that all of
    them have in common, `used` the part of ||dW||^2 along the `directions`, of `width`, where inputs lie.
    """

    module: str
    ratio: list[float]
    common: float
    used: float
    directions: int
    width: int
    without: Answered


class Effects(TypedDict):
    """The effects of some layers; `next` is the index of the first that is left.

    `shifts` answers with each layer's change replaced by its mean over tokens, `off` without any change.
    """

    layers: list[LayerEffect]
    next: int | None
    unit: Literal["tokens", "patches"]
    tokens: int
    rows: int
    trained: Answered
    off: Answered
    shifts: Answered


class Direction(TypedDict):
    """A direction of the effects of one run, or of two.

    `shares`: of each run's effect along it; `common`: the part of that which all tokens have in common.
    `cosine` is between the two runs' effects along it, `tokens` are those that it moves most.
    """

    shares: list[float]
    common: list[float]
    cosine: float | None
    tokens: list[str]


class ExampleAnswers(TypedDict):
    """A held-out row and its right answer.

    `answers[run][set]` is [place in `labels`, probability]; bit k of `set` says that direction k is off. The
    last two are without the layer's change, and without all changes.
    """

    text: str | None
    picture: str | None
    right: str
    labels: list[str]
    answers: list[list[tuple[int, float | None]]]


class Together(TypedDict):
    """A layer of one run, or of two: cosines of the updates and of their effects, with and without what is
    common to all tokens, the part of each that is outside the other's, and what they do along directions."""

    updates: float | None
    effects: float | None
    centred: float | None
    alone: list[float]
    common: list[float]
    directions: list[Direction]
    examples: list[ExampleAnswers]
