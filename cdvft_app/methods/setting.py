"""One setting of a method: its values, and its words for the page, the command line and every sentence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import Field

Named = Literal["always", "changed", "never"]


@dataclass(frozen=True)
class Setting:
    """One setting of a method, in words.

    `size`: it decides how many numbers are trained, and is what a sweep varies. `empty` says what None stands
    for. `named` says when a label has it.
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
        """Of its values."""
        return str if self.choices else type(self.default or 0)

    @property
    def long(self) -> str:
        """r, rank."""
        return f"{self.symbol}, {self.title}" if self.symbol != self.title else self.title

    def text(self, value: object) -> str:
        """r = 8; α = 0.5; the start by its name."""
        shown = dict((key, title) for title, key in self.choices).get(str(value)) or (
            self.empty if value is None else f"{value:,}" if isinstance(value, int) else f"{value:g}"
        )
        return f"{self.symbol}\u00a0=\u00a0{shown}"


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
    """A field of a method: its start value, its words, and pydantic's limits."""
    words: dict[str, Any] = {"symbol": symbol, "size": size, "empty": empty, "named": named}
    words["choices"] = tuple(choices)
    if not choices:
        limits["strict"] = True
    if isinstance(default, float):
        limits["allow_inf_nan"] = False
    return Field(default, title=title, description=hint, json_schema_extra=words, **limits)
