"""One setting of a method: its limits, and its labels for the page, the command line and sentences."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import Field

Named = Literal["always", "changed", "never"]


@dataclass(frozen=True)
class Setting:
    """A setting's labels, derived from the pydantic field.

    `size`: it determines the number of trained parameters, and a sweep can vary it. `empty` says what None
    stands for. `named`: whether a method's label names it always, only when changed, or never.
    """

    name: str
    symbol: str
    title: str
    hint: str
    size: bool
    empty: str
    named: Named
    default: Any
    choices: tuple[tuple[str, str], ...] = ()

    @property
    def kind(self) -> type:
        """The type of its values."""
        return str if self.choices else type(self.default or 0)

    @property
    def long(self) -> str:
        """rank (r)."""
        return f"{self.title} ({self.symbol})" if self.symbol != self.title else self.title

    @property
    def label(self) -> str:
        """Rank (r)."""
        return self.long[:1].upper() + self.long[1:]

    def text(self, value: object) -> str:
        """r = 8; α = 0.5; a choice by its title."""
        value_text = dict((key, title) for title, key in self.choices).get(str(value)) or (
            self.empty if value is None else f"{value:,}" if isinstance(value, int) else f"{value:g}"
        )
        return f"{self.symbol}\u00a0=\u00a0{value_text}"


def setting(
    default: Any,
    *,
    symbol: str,
    title: str,
    hint: str,
    size: bool = False,
    empty: str = "automatic",
    named: Named = "never",
    choices: Sequence[tuple[str, str]] = (),
    **limits: Any,
) -> Any:
    """A pydantic field of a method: its default, its labels, and pydantic's limits (ge, le, gt, ...)."""
    extra: dict[str, Any] = {"symbol": symbol, "size": size, "empty": empty, "named": named}
    extra["choices"] = tuple(choices)
    if not choices:
        limits["strict"] = True
    if isinstance(default, float):
        limits["allow_inf_nan"] = False
    return Field(default, title=title, description=hint, json_schema_extra=extra, **limits)
