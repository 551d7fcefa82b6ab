"""The interface of a fine-tuning method: everything that the rest of the app asks of one.

A `Method` object is one competitor of a race: a method with its settings, such as LoRA with r = 16. Each file
beside this one defines one method completely. Importing them loads neither torch nor peft, since the page is
served before these are there; the functions that build, count or draw import them inside.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import NoneType, UnionType
from typing import (
    TYPE_CHECKING,
    Annotated,
    Any,
    ClassVar,
    Literal,
    Protocol,
    Self,
    Union,
    get_args,
    get_origin,
)

from pydantic import BaseModel, ConfigDict, Field, SerializerFunctionWrapHandler, model_serializer

from cdvft_app.errors import UserError

if TYPE_CHECKING:
    from numpy import ndarray
    from peft import PeftConfig
    from torch import Tensor

    from cdvft.cost import Cost, Shape

Rate = Annotated[float, Field(gt=0, le=10, allow_inf_nan=False, strict=True)]
InLabel = Literal["always", "changed", "never"]


@dataclass(frozen=True)
class Setting:
    """A setting's labels, derived from the pydantic field.

    `size`: it determines the number of trained parameters, and a sweep can vary it. `empty` says what None
    stands for. `in_label`: whether a method's label names it always, only when changed, or never.
    """

    name: str
    symbol: str
    title: str
    hint: str
    size: bool
    empty: str
    in_label: InLabel
    default: Any
    kind: type
    """The type of its values."""
    choices: tuple[tuple[str, str], ...] = ()

    @property
    def is_text(self) -> bool:
        """Whether its value is free text."""
        return self.kind is str and not self.choices

    @property
    def long(self) -> str:
        """The title with the symbol, such as rank (r); the title alone where the symbol is in its words."""
        is_in_title = f" {self.symbol} " in f" {self.title} "
        return self.title if is_in_title else f"{self.title} ({self.symbol})"

    @property
    def label(self) -> str:
        """The long title with a capital letter, such as Rank (r)."""
        return self.long[:1].upper() + self.long[1:]

    def text(self, value: object) -> str:
        """Return the setting with a value, such as r = 8 or α = 0.5; a choice has its title."""
        value_text = dict((key, title) for title, key in self.choices).get(str(value)) or (
            self.empty if value is None else f"{value:,}" if isinstance(value, int)
            else value if isinstance(value, str) else f"{value:g}"
        )  # fmt: skip
        return f"{self.symbol}\u00a0=\u00a0{value_text}"


def setting(
    default: Any,
    *,
    symbol: str,
    title: str,
    hint: str,
    size: bool = False,
    empty: str = "automatic",
    in_label: InLabel = "never",
    choices: Sequence[tuple[str, str]] = (),
    **limits: Any,
) -> Any:
    """Return a pydantic field of a method: its default, its labels, and pydantic's limits (ge, le, gt,
    ...)."""
    extra: dict[str, Any] = {"symbol": symbol, "size": size, "empty": empty, "in_label": in_label}
    extra["choices"] = tuple(choices)
    if not choices:
        limits["strict"] = True
    if isinstance(default, float):
        limits["allow_inf_nan"] = False
    return Field(default, title=title, description=hint, json_schema_extra=extra, **limits)


def type_of_one(annotation: Any) -> Any:
    """Return the type that a field holds beside None: float of `float | None`, str of `tuple[str, ...]`."""
    if get_origin(annotation) in (Union, UnionType):
        annotation = next(one for one in get_args(annotation) if one is not NoneType)
    while get_origin(annotation) in (Annotated, tuple):
        annotation = get_args(annotation)[0]
    return annotation


class InvalidChoice(UserError, ValueError):
    """A choice that cannot be run; its text is a sentence for the person who made it."""


class Layer(Protocol):
    """A linear layer y = W x with W of d_out x d_in."""

    @property
    def name(self) -> str: ...
    @property
    def d_out(self) -> int: ...
    @property
    def d_in(self) -> int: ...


class FrozenWeight(Protocol):
    """Loads the layer's pretrained weight, (d_out, d_in), for the methods whose update depends on it."""

    def __call__(self) -> Tensor: ...


@dataclass(frozen=True)
class GrowthAxis:
    """A setting along which the Compare tab draws costs: its values, and a note for below the chart."""

    setting: str
    values: Sequence[int]
    note: str


class Method(BaseModel):
    """A method with its settings. Subclasses are the methods; see `lora` for a short one."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    title: ClassVar[str]
    light: ClassVar[str]
    """Colour on white, of those of Okabe and Ito, safe for colour-blind readers."""
    dark: ClassVar[str]
    """The same on black, lightened."""
    dash: ClassVar[str]
    """Of its lines: "solid", or pixels as "6px,3px". Dash and marker tell methods apart without colour."""
    marker: ClassVar[str]
    width: ClassVar[float] = 2
    adapter: ClassVar[bool] = True
    """Whether PEFT adds something beside frozen layers, whose update can be shown."""
    option_prefix: ClassVar[str | None] = None
    """Prefix of its settings' flat names (see `flat`); None: the method's key and an underscore."""
    usual_learning_rate: ClassVar[float]
    """Used where a recipe has no searched rate; a usual value from the literature, not measured here."""
    rate_hint: ClassVar[str | None] = None
    matched_by: ClassVar[str | None] = None
    """The setting that "match by" varies until a cost equals CDVFT's."""
    drawn_from_vectors: ClassVar[bool] = True
    """Whether the page rebuilds the update from the vectors; else it is sent whole."""
    fixed_vectors: ClassVar[tuple[str, ...]] = ()
    """Vectors that describe the adapter and are not trained, such as FourierFT's indices."""

    method: str
    learning_rate: Rate | None = Field(None, description="None: the recipe's rate for this method")

    @model_serializer(mode="wrap")
    def _named(self, values: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Always with `method`, which is the discriminator of the union (see `AnyMethod`)."""
        return {"method": self.method, **values(self)}

    @property
    def key(self) -> str:
        return self.method

    @classmethod
    def settings(cls) -> dict[str, Setting]:
        """Return the method's own settings by name, in their order."""
        own = [
            (name, field, field.json_schema_extra)
            for name, field in cls.model_fields.items()
            if isinstance(field.json_schema_extra, dict)
        ]
        return {
            name: Setting(
                name, title=field.title or name, hint=field.description or "", default=field.default,
                kind=str if extra["choices"] else type_of_one(field.annotation), **extra,  # type: ignore[arg-type]
            )
            for name, field, extra in own
        }  # fmt: skip

    @classmethod
    def flat_name(cls, name: str) -> str:
        """Return a setting's name where those of all methods stand side by side: lora_r."""
        prefix = f"{cls.model_fields['method'].default}_" if cls.option_prefix is None else cls.option_prefix
        return f"{prefix}{name}"

    @classmethod
    def label_of(cls, one: Setting) -> str:
        """Return a setting's label among those of all methods: "LoRA rank (r)"; CDVFT's go without its
        title."""
        return one.label if cls.option_prefix == "" else f"{cls.title} {one.long}"

    def matched(self, value: int) -> Self:
        """Return the method with another value of `matched_by`."""
        return self.model_copy(update={str(self.matched_by): value})

    @classmethod
    def largest_match(cls) -> int:
        """Return the largest value that `matched_by` may have."""
        limits = cls.model_fields[str(cls.matched_by)].metadata
        return next(one.le for one in limits if hasattr(one, "le"))

    def setting_values(self) -> dict[str, Any]:
        """Return the values of the method's own settings by name."""
        return {name: getattr(self, name) for name in self.settings()}

    def sizes(self) -> dict[str, Any]:
        """Return the values of the settings that decide how many numbers are trained, by name."""
        return {name: getattr(self, name) for name, one in self.settings().items() if one.size}

    def label(self, more: Sequence[str] = ()) -> str:
        """LoRA r = 8: its title with the settings that are always named or changed, and those in `more`."""
        parts = [
            one.text(value)
            for name, one in self.settings().items()
            if (value := getattr(self, name)) is not None or name in more
            if name in more
            or one.in_label == "always"
            or (one.in_label == "changed" and value != one.default)
        ]
        if "learning_rate" in more and self.learning_rate is not None:
            parts.append(f"rate\u00a0{self.learning_rate:g}")
        return " ".join([self.title, ", ".join(parts)]).strip()

    def changed(self) -> list[str]:
        """Return the settings that are not their start values."""
        return [
            one.text(value)
            for name, one in self.settings().items()
            if (value := getattr(self, name)) not in (None, one.default)
        ]

    def learning_rate_of(self, found: float) -> float:
        """Return the recipe's rate, which was `found` with the default settings, adjusted to these
        settings."""
        return found

    # Which layers it fits

    @classmethod
    def unsupported_reason(cls, layers: Sequence[Any]) -> str | None:
        """Return why it cannot adapt layers of this type, whatever its settings; None where it can."""
        return None

    def require_fitting(self, layers: Sequence[Layer]) -> None:
        """Raise InvalidChoice where a setting is impossible on these layers."""

    def require_useful(self, layers: Sequence[Layer]) -> None:
        """Raise InvalidChoice where a setting is possible, but a waste of training time on these layers."""

    def with_layer_defaults(self, layers: Sequence[Layer]) -> Self:
        """Return the method with settings filled in that default to something of the layers, as C3A's block
        size."""
        return self

    # What it costs

    def estimate(self, shapes: Sequence[Shape], **step: Any) -> Cost:
        """Return the method's cost on these layers, by `cdvft.cost.estimate`."""
        from cdvft import cost

        return cost.estimate(self.key, shapes, **self.sizes(), **step)  # type: ignore[arg-type]

    @classmethod
    def ladder(cls, shapes: Sequence[Shape]) -> tuple[int, ...]:
        """Return values of `matched_by` to try for an equal time, from the quickest step to the slowest."""
        return ()

    @classmethod
    def growth_axes(cls, shapes: Sequence[Shape]) -> Iterator[GrowthAxis]:
        """Yield the settings along which its cost is drawn."""
        yield from ()

    # What is trained

    def peft_config(self, **more: Any) -> PeftConfig:
        """PEFT's configuration of it, initialization included; `more` is what every method's config takes."""
        raise ValueError(f"{self.title} has no adapter.")

    def lr_ratios(self) -> dict[str, float]:
        """Return learning rates in units of the method's, by regular expressions of parameters' names.

        The rate of a parameter of no such name is the method's.
        """
        return {}

    def vectors(self, layer: Any, adapter: str = "default") -> Iterator[tuple[str, Tensor]]:
        """Yield the trained tensors of its adapter on one PEFT layer, by the names that snapshots have for
        them."""
        yield from ()

    # Its update, from the vectors of one layer

    def size(self, vectors: Mapping[str, ndarray]) -> tuple[int, int] | None:
        """Return the layer's (d_out, d_in) where it follows from the vectors' shapes; else None."""
        return None

    def scale(self, d_in: int) -> float:
        """Return the constant that multiplies the update which the page rebuilds from the vectors."""
        return 1.0

    def update(self, d_out: int, d_in: int, vectors: Mapping[str, Tensor], frozen: FrozenWeight) -> Tensor:
        """W' - W, (d_out, d_in)."""
        raise ValueError(f"{self.title} has no adapter.")


def labels(methods: Sequence[Method]) -> list[str]:
    """Return a label for each; methods of the same kind also name every setting in which they differ."""
    seen: dict[str, dict[str, set[object]]] = {}
    for method in methods:
        for name in ("learning_rate", *method.settings()):
            seen.setdefault(method.key, {}).setdefault(name, set()).add(getattr(method, name))
    return [
        method.label([name for name, values in seen[method.key].items() if len(values) > 1])
        for method in methods
    ]


def invalid_setting(method: Method, name: str, sentence: str) -> InvalidChoice:
    """Return the error to raise about one setting, which it calls by its flat name."""
    return InvalidChoice(f"{method.flat_name(name)}: got {getattr(method, name)}; {sentence}")


def shape_text(layer: Layer) -> str:
    return f"{layer.name} is {layer.d_out} x {layer.d_in}"


def common_divisor(layers: Sequence[Layer]) -> int:
    """Return the largest size that divides all of the layers; 0 where there is none."""
    return math.gcd(*(size for layer in layers for size in (layer.d_out, layer.d_in)))


def powers_of_two(largest: int) -> tuple[int, ...]:
    return tuple(2**power for power in range(largest.bit_length()))
