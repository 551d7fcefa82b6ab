"""Settings of runs and races as frozen pydantic models, and validation errors as sentences.

The page, the API and the command line fill in a `RaceRequest`; `RaceRequest.runs()` turns it into one
`RunSettings` a method. Everything below the page receives a `RunSettings` and nothing else. Ranges here are
also the limits for visitors. Names that refer to the catalogue are checked there, not here.
"""

from __future__ import annotations

import re
import reprlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypeVar, get_args, get_origin

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic.config import JsonDict
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails, PydanticCustomError

from cdvft_app.methods import METHODS, AnyMethod, InvalidChoice, Method, flat
from cdvft_app.methods.base import type_of_one

__all__ = [
    "HELD_OUT",
    "MAX_COMPETITORS",
    "MAX_HELD_OUT",
    "MAX_PROMPT",
    "MIN_HELD_OUT",
    "NO_EARLY_STOPPING",
    "USUAL_RACE",
    "Competitors",
    "FormField",
    "InvalidChoice",
    "Kind",
    "Name",
    "RaceRequest",
    "RunSettings",
    "UploadedDataset",
    "explain",
    "form_fields",
    "parse_race",
    "parse_request",
    "parse_run",
    "relabelled",
    "typed_number",
]

Kind = Literal["text", "image", "generation"]
"""Of a model: it reads texts, sees images, or writes."""
Schedule = Literal["linear", "cosine", "constant"]
Precision = Literal["auto", "float32", "bfloat16"]
Keep = Literal["best", "last"]

USUAL_RACE = ("cdvft", "lora", "fourierft")
MAX_COMPETITORS = 12
MAX_PROMPT = 500
"""Characters of a visitor's own prompt."""


Name = Annotated[str, Field(min_length=1, max_length=200)]
MIN_HELD_OUT, HELD_OUT, MAX_HELD_OUT = 0.05, 0.2, 0.5
"""Share of the rows that is kept for evaluation, where data has no split of its own."""
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class UploadedDataset(BaseModel):
    """A dataset that somebody uploaded, and how it is read: all that a run must know of it but its rows.

    The rows are found by the SHA-256 of the file they came in. `inputs` are the columns of the text, of the
    two texts of a pair, of the image, or of the parts of a prompt; `label` is that of the class, the number
    or the answer. `labels` are the classes in the order of the outputs, empty without classes. `metric` is of
    answers that are written. `split` is the column that says which rows are for evaluation; without it and
    without a second file the share `held_out` of the rows is, drawn by `split_seed`. `clean` are the steps by
    which the rows are mended before (`catalog/cleaning.py`). The numbers were counted when it was chosen;
    the lengths are in tokens, those of a prompt with its answer. `label_mean` and `label_deviation` (the
    standard deviation) are of the numbers to train on: these are learned as (number - mean) / deviation, and
    without the two, as in earlier versions, as they are.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    sha256: Sha256
    evaluation_sha256: Sha256 | None = None
    title: Name
    kind: Literal["text", "image", "generation"]
    inputs: tuple[Name, ...] = Field(min_length=1, max_length=2)
    label: Name
    labels: tuple[Name, ...] = Field((), max_length=1000)
    metric: Literal["exact_match", "chrf"] | None = None
    split: Name | None = None
    held_out: float = Field(HELD_OUT, ge=MIN_HELD_OUT, le=MAX_HELD_OUT, allow_inf_nan=False)
    split_seed: int = Field(0, ge=0, le=2**31 - 1, strict=True)
    clean: tuple[Name, ...] = Field((), max_length=32)
    train_rows: int = Field(ge=1, le=10**8, strict=True)
    evaluation_rows: int = Field(ge=1, le=10**8, strict=True)
    mean_length: int | None = Field(None, ge=1, le=10**6, strict=True)
    usual_length: int | None = Field(
        None, ge=1, le=10**6, strict=True, description="of 19 of 20, or of all that write"
    )
    label_mean: float | None = Field(None, allow_inf_nan=False)
    label_deviation: float | None = Field(None, gt=0, allow_inf_nan=False)

    @model_validator(mode="after")
    def _is_of_one_kind(self) -> UploadedDataset:
        if (self.kind == "generation") != (self.metric is not None) or (self.metric and self.labels):
            raise ValueError(
                "metric is given for written answers, which have no labels, and for nothing else"
            )
        if (self.label_mean is None) != (self.label_deviation is None):
            raise ValueError("label_mean and label_deviation are given both, or neither")
        return self

    @property
    def files(self) -> tuple[str, ...]:
        """The SHA-256 of each file that it needs."""
        return tuple(filter(None, (self.sha256, self.evaluation_sha256)))


Group = Literal["data", "training", "more"]


def _setting(
    default: Any,
    title: str,
    hint: str,
    group: Group = "more",
    kinds: tuple[Kind, ...] = ("text", "image", "generation"),
    **limits: Any,
) -> Any:
    """Return a field with pydantic's limits, and with what forms and commands show of it: see `FormField`."""
    extra: JsonDict = {"group": group, "kinds": [*kinds]}
    return Field(default, title=title, description=hint, json_schema_extra=extra, **limits)


class _Choices(BaseModel):
    """What all runs of a race share. A new field needs nothing else: form, options and labels follow."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    recipe: Name = Field("sentiment", description="Model, data, and settings that go together.")
    model: Name | None = _setting(None, "Model", "Base model, by name or Hub id.", "data")
    dataset: Name | None = _setting(None, "Data", "Training data, by name or Hub id.", "data")
    dataset_config: Name | None = _setting(
        None, "Configuration", "Name of a Hub dataset's configuration.", "data"
    )
    train_split: Name | None = _setting(
        None, "Train split", "Split of a Hub dataset. Default: train.", "data"
    )
    evaluation_split: Name | None = _setting(
        None,
        "Evaluation split",
        "Split of a Hub dataset. Default: validation, test, or a held-out part.",
        "data",
    )
    dataset_revision: Name | None = _setting(
        None,
        "Revision",
        "Branch, tag, or commit of a Hub dataset. The commit is stored.",
        "data",
    )
    data: UploadedDataset | None = Field(None, description="your data, instead of a dataset")
    target_modules: tuple[Name, ...] | None = _setting(
        None,
        "Layers",
        "Linear layers that get an adapter, for every method.",
        "data",
        min_length=1,
        max_length=32,
    )

    # The training itself; None means the recipe's value.
    epochs: float | None = _setting(
        None,
        "Epochs",
        "Passes over the training examples.",
        "training",
        gt=0,
        le=100,
        allow_inf_nan=False,
        strict=True,
    )
    max_steps: int | None = _setting(
        None,
        "Max steps",
        "Stop after this many batches. Default: all epochs.",
        "training",
        ge=1,
        le=100_000,
        strict=True,
    )
    batch_size: int | None = _setting(
        None, "Batch size", "Examples per step. Smaller batches use less memory.", "training",
        ge=1, le=512, strict=True,
    )  # fmt: skip
    train_examples: int | None = _setting(
        None, "Training examples", "Number of examples to train on.", ge=8, le=1_000_000, strict=True
    )
    evaluation_examples: int | None = _setting(
        None, "Evaluation examples", "Number of held-out examples.", ge=1, le=100_000, strict=True
    )
    max_length: int | None = _setting(
        None,
        "Max length",
        "Tokens per text. Longer texts are truncated.",
        kinds=("text", "generation"),
        ge=4,
        le=1024,
        strict=True,
    )
    image_size: int | None = _setting(
        None, "Image size", "Pixels per side.", kinds=("image",), ge=14, le=518, strict=True
    )
    schedule: Schedule = _setting("linear", "Schedule", "Learning-rate decay after warm-up.")
    warmup_ratio: float = _setting(
        0.06, "Warm-up", "Fraction of steps with a rising learning rate, 0 to 0.5.", ge=0, le=0.5, strict=True
    )
    weight_decay: float = _setting(
        0.0, "Weight decay", "Shrinks trainable parameters at each step.", ge=0, le=1, strict=True
    )
    adam_beta1: float = _setting(
        0.9,
        "Adam beta1",
        "Momentum of Adam, 0 to 0.999.",
        ge=0,
        le=0.999,
        strict=True,
    )
    seed: int = _setting(
        0, "Seed", "Sets data order and initialization.", "training", ge=0, le=2**31 - 1, strict=True
    )
    precision: Precision = _setting(
        "auto",
        "Precision",
        "Compute and base-weight dtype. Auto: bfloat16 for language models if supported.",
    )
    bits: Literal[4, 8, 32] | None = _setting(
        None,
        "Quantization",
        "Base-model bits. 4 and 8 need bitsandbytes; 32 is off.",
        kinds=("generation",),
    )
    gradient_checkpointing: bool = _setting(
        False,
        "Gradient checkpointing",
        "Recomputes activations: less memory, longer steps.",
        kinds=("generation",),
        strict=True,
    )
    gradient_accumulation: int | None = _setting(
        None,
        "Gradient accumulation",
        "Micro-batches per step. More use less memory; results are unchanged.",
        ge=1,
        le=64,
        strict=True,
    )
    evaluations: int = _setting(
        5,
        "Evaluations",
        "Number of evaluations per run. Each takes time.",
        ge=1,
        le=100,
        strict=True,
    )
    keep: Keep = _setting(
        "best",
        "Checkpoint to keep",
        "The best on the validation set, or the last.",
    )
    early_stopping_patience: int = _setting(
        2,
        "Patience",
        "Stop after this many evaluations without improvement. Single runs only; 0 disables.",
        ge=0,
        le=100,
        strict=True,
    )
    checkpoint_every: int = _setting(
        50,
        "Checkpoint interval",
        "Steps between the checkpoints of a run.",
        ge=1,
        le=10_000,
        strict=True,
    )
    own_prompt: str | None = _setting(
        None,
        "Custom prompt",
        "Generated at every snapshot, next to four held-out prompts.",
        "data",
        ("generation",),
        max_length=MAX_PROMPT,
    )


class RunSettings(_Choices):
    """One run of one method, complete and immutable; its JSON reproduces the run."""

    method: AnyMethod
    evaluate_on: Literal["evaluation", "validation"] = Field(
        "evaluation",
        title="Evaluate on",
        description="Evaluation set, or validation set for tuning.",
    )

    @model_validator(mode="before")
    @classmethod
    def _accept_flat_names(cls, values: Any) -> Any:
        return flat.read_run(values)


NO_EARLY_STOPPING = {"early_stopping_patience": 0}
"""Of runs that are compared: each has the steps, the schedule and the budget of the others."""


_TWICE = "named_twice"  # an error whose sentence has said what came


def _distinct(methods: tuple[Method, ...]) -> tuple[Method, ...]:
    """Return the same methods; a ValueError where one is among them twice."""
    for index, method in enumerate(methods):
        if method in methods[:index]:
            raise PydanticCustomError(
                _TWICE,
                "it names {label} twice; give each its own settings, or name it once",
                {"label": method.label()},
            )
    return methods


Competitors = Annotated[
    tuple[AnyMethod, ...], Field(min_length=1, max_length=MAX_COMPETITORS), AfterValidator(_distinct)
]


class RaceRequest(_Choices):
    """Several competitors on the same model, data, seed and order; each is a method with its own settings."""

    methods: Competitors = Field(
        title="Race",
        description="Methods to train on the same data in the same order. "
        "Two values in a field, such as 8, 16, add two runs.",
    )

    @model_validator(mode="before")
    @classmethod
    def _accept_flat_names(cls, values: Any) -> Any:
        return flat.read_race(values, USUAL_RACE)

    def runs(self) -> tuple[RunSettings, ...]:
        """Return one `RunSettings` for each competitor, in their order."""
        shared = {name: getattr(self, name) for name in _Choices.model_fields}
        if len(self.methods) > 1:
            shared |= NO_EARLY_STOPPING
        return tuple(RunSettings(**shared, method=method) for method in self.methods)


@dataclass(frozen=True)
class FormField:
    """A field of a request as forms and commands show it.

    Attributes:
        group: The part of a form in which it stands.
        kinds: The kinds of models that read it.
        kind: The type of one value.
        choices: All its values, where they are few.
    """

    title: str
    hint: str
    group: Group | None
    kinds: tuple[Kind, ...]
    kind: type
    choices: tuple[Any, ...]


def form_fields(model_type: type[BaseModel]) -> dict[str, FormField]:
    """Return those fields of a request that have a title, in their order."""
    return {name: _form_field(field) for name, field in model_type.model_fields.items() if field.title}


def _form_field(field: FieldInfo) -> FormField:
    extra = field.json_schema_extra if isinstance(field.json_schema_extra, dict) else {}
    values = type_of_one(field.annotation)
    choices = get_args(values) if get_origin(values) is Literal else ()
    kind: Any = type(choices[0]) if choices else values
    group: Any = extra.get("group")
    kinds: Any = extra.get("kinds", get_args(Kind))
    return FormField(field.title or "", field.description or "", group, tuple(kinds), kind, choices)


def typed_number(typed: Any) -> Any:
    """Return the number that was typed, 1e3 being a whole one; what is none stays as it is, for an error to
    quote."""
    if not isinstance(typed, str):
        return typed
    for kind in (int, float):
        try:
            found = kind(typed)
        except ValueError:
            continue
        return int(found) if isinstance(found, float) and found.is_integer() else found
    return typed.strip()


Request = TypeVar("Request", bound=BaseModel)
MAX_LISTED = 3  # problems with a sentence of their own


def explain(error: ValidationError, model_type: type[BaseModel] | None = None) -> str:
    """Return a sentence for each of the first problems: the field, its value, what is allowed; and how many
    more.

    `model_type` is the model that was validated. The work is linear in the number of problems, which
    untrusted input decides.
    """
    problems = error.errors(include_url=False)
    # A list that is too short only because an item of it was refused is no problem of its own.
    containers = {problem["loc"][:depth] for problem in problems for depth in range(len(problem["loc"]))}
    listed = [problem for problem in problems if problem["loc"] not in containers]
    sentences = [_sentence(problem, model_type) for problem in listed[:MAX_LISTED]]
    more = len(listed) - len(sentences)
    if more:
        sentences.append(f"There {'is 1 more problem' if more == 1 else f'are {more:,} more problems'}.")
    return " ".join(sentences)


# What a refusal's sentences begin with, such as "methods.0: got ".
_FIELD = re.compile(r"(?:^|(?<=\. ))[a-z][\w.]*(?=: )")


def relabelled(sentences: str, label: Callable[[str], str | None]) -> str:
    """Return a refusal with each field, such as "methods.0", replaced by its `label`; None leaves it."""
    return _FIELD.sub(lambda field: label(field[0]) or field[0], sentences)


def _sentence(problem: ErrorDetails, model_type: type[BaseModel] | None) -> str:
    kind = _method_in(problem["loc"])
    if kind:
        return _of_method(problem, *kind)
    if not problem["loc"] and problem["type"] == "value_error":  # of several settings, which it names
        message = _allowed(problem)
        return f"{message[:1].upper()}{message[1:]}."
    field = ".".join(str(part)[:80] for part in problem["loc"] if part != "[key]") or "settings"
    if problem["type"] == "missing":
        return f"{field} is missing; it must be given."
    if problem["type"] == "extra_forbidden":
        allowed = ", ".join(sorted((model_type or RaceRequest).model_fields))
        return f"{field[:80]} is not a setting. The settings are: {allowed}."
    if problem["type"] == _TWICE:
        return f"{field}: {problem['msg']}."
    return f"{field}: got {_received(problem)}; {_allowed_in(problem, model_type)}."


def _method_in(loc: tuple[int | str, ...]) -> tuple[type[Method], str] | None:
    """Return the method and the setting that a problem inside a method is about: ("methods", 1, "lora",
    "r")."""
    for index, part in enumerate(loc[1:-1], 1):
        if part in METHODS and loc[0] in ("method", "methods", "base", "vary"):
            return METHODS[str(part)], str(loc[index + 1])
    return None


def _of_method(problem: ErrorDetails, kind: type[Method], name: str) -> str:
    """Return the sentence of `_sentence` with the setting's flat name: lora_r, or learning_rates.lora."""
    loc = problem["loc"]
    if problem["type"] == "extra_forbidden":
        known = ", ".join((*kind.settings(), "learning_rate"))
        return f"{kind.title} has no setting {name[:80]}. It has {known}."
    if name == "learning_rate":
        field = name if loc[0] == "method" else f"learning_rates.{loc[-2]}"
    else:
        field = ".".join([kind.flat_name(name), *(str(part) for part in loc[-1:] if part != name)])
    return f"{field}: got {_received(problem)}; {_allowed_in({**problem, 'loc': (name,)}, kind)}."


def _received(problem: ErrorDetails) -> str:
    value = problem["input"]
    if problem["type"] == "union_tag_invalid":
        value = problem["ctx"]["tag"]
    text = _quote.repr(value)
    return text if len(text) <= 80 else text[:77] + "..."


_quote = reprlib.Repr()  # a list of 50,000 is not written out for the sake of its first 80 characters
_quote.maxstring = _quote.maxlong = _quote.maxother = 100
_quote.maxlist = _quote.maxtuple = _quote.maxdict = 30


# What is allowed, by pydantic's error type; {names} are of the error's `ctx`.
_ALLOWED = {
    "greater_than_equal": "it must be {ge} or more",
    "greater_than": "it must be more than {gt}",
    "less_than_equal": "it must be {le} or less",
    "int_type": "it must be a whole number",
    "float_type": "it must be a number",
    "float_parsing": "it must be a number",
    "finite_number": "it must be a finite number",
    "literal_error": "it must be {expected}",
    "string_type": "it must be text",
    "string_too_short": "it must not be empty",
    "string_too_long": "give at most {max_length} characters",
    "too_short": "give at least {min_length}",
    "too_long": "give at most {max_length}",
    "tuple_type": "it must be a list",
    "dict_type": "it must be an object of names and values",
    "model_type": "it must be an object of names and values",
    "union_tag_invalid": "it must be {expected_tags}",
    "union_tag_not_found": "it must name a method, or be one with its settings",
    "model_attributes_type": "it must name a method, or be one with its settings",
}


_OF_NUMBERS = ("int_type", "float_type", "greater_than_equal", "less_than_equal")


def _allowed_in(problem: ErrorDetails, model_type: type[BaseModel] | None) -> str:
    """Return what is allowed: of a number whose field has two bounds, both of them."""
    loc = problem["loc"]
    field = model_type.model_fields.get(str(loc[0])) if model_type and len(loc) == 1 else None
    bounds = field.metadata if field and problem["type"] in _OF_NUMBERS else []
    ends = [f"{getattr(one, end):,}" for end in ("ge", "le") for one in bounds if hasattr(one, end)]
    if len(ends) != 2:
        return _allowed(problem)
    kind = _ALLOWED.get(problem["type"], "") if problem["type"].endswith("_type") else "it must be"
    return f"{kind} from {' to '.join(ends)}"


def _allowed(problem: ErrorDetails) -> str:
    if problem["type"] in _ALLOWED:
        limits = problem.get("ctx", {}).items()
        return _ALLOWED[problem["type"]].format_map(
            {name: f"{limit:g}" if isinstance(limit, float) else limit for name, limit in limits}
        )
    message = problem["msg"].removeprefix("Value error, ")
    return f"{message[:1].lower()}{message[1:]}"


def parse_run(values: Mapping[str, Any]) -> RunSettings:
    """`RunSettings` from JSON-like values, or `InvalidChoice` with a sentence for each problem."""
    try:
        return RunSettings.model_validate(values)
    except ValidationError as error:
        raise InvalidChoice(explain(error, RunSettings)) from None


def parse_request(model: type[Request], values: object, expected: str) -> Request:
    """Return the request that JSON-like values describe.

    Args:
        model: of the request.
        values: of any type.
        expected: what they must be, a sentence without its full stop.

    Raises:
        InvalidChoice: with a sentence for each problem.
    """
    if not isinstance(values, dict):
        raise InvalidChoice(f"{expected}; got {type(values).__name__}.")
    try:
        return model.model_validate(values)
    except ValidationError as error:
        raise InvalidChoice(explain(error, model)) from None


def parse_race(values: object) -> RaceRequest:
    """Return a `RaceRequest`; see `parse_request`."""
    return parse_request(RaceRequest, values, 'Settings must be one object such as {"recipe": "sentiment"}')
