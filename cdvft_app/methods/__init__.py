"""The methods of fine-tuning, one file each; a new one is a file that holds a `METHOD`, and a line here."""

from __future__ import annotations

from collections.abc import Mapping
from functools import reduce
from importlib import import_module
from operator import or_
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from cdvft_app.methods.base import InvalidChoice, Method, labels

# By their files' names, in the order in which the page shows them.
METHODS: Mapping[str, type[Method]] = {
    name: import_module(f"{__name__}.{name}").METHOD
    for name in (
        "cdvft",
        "lora",
        "fourierft",
        "c3a",
        "dora",
        "vera",
        "head",
        "full",
    )
}
ORDER = tuple(METHODS)
ADAPTERS = tuple(key for key, method in METHODS.items() if method.adapter)

if TYPE_CHECKING:
    AnyMethod = Method
else:
    AnyMethod = Annotated[reduce(or_, METHODS.values()), Field(discriminator="method")]
"""One of the methods with its settings, told apart by `method`."""

__all__ = [
    "ADAPTERS",
    "METHODS",
    "ORDER",
    "AnyMethod",
    "InvalidChoice",
    "Method",
    "labels",
]
