"""The Train tab's form in an address: ?tab=train&recipe=sentiment&methods=cdvft&m=3, a field a name.

Whoever shows a result can link to the settings behind it; the form opens with them, and nothing starts.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import urlencode

from cdvft_app.settings import RaceRequest, RunSettings
from cdvft_app.ui.shared import form

NEVER = ("data",)  # uploaded rows belong to their owner
NAMES = tuple(name for name in form.FIELDS if name not in NEVER)
LISTS = ("methods", "target_modules")


def query(runs: Iterable[RunSettings]) -> str:
    """tab=train&recipe=… of the form that asks for these runs; what an empty field stands for is left out."""
    values = form.from_runs(runs)
    asked = {"tab": "train", "recipe": values["recipe"]}
    for name in NAMES:
        value = values[name]
        empty = value is None or value is False or value in ("", [])
        if name != "methods" and (empty or value in (form.START.get(name), _unset(name))):
            continue
        asked[name] = ",".join(value) if name in LISTS else "1" if value is True else form.text(value)
    return urlencode(asked, safe=",")


def _unset(name: str) -> Any:
    """Return the value that an empty field stands for in any recipe."""
    if name in form.METHOD_SETTINGS:
        return form.METHOD_SETTINGS[name].default
    return RaceRequest.model_fields[name].default if name in RaceRequest.model_fields else None


def values(asked: Mapping[str, str]) -> dict[str, Any] | None:
    """Return the form's values that an address names, not yet checked; None where it names no recipe."""
    if "recipe" not in asked:
        return None
    found: dict[str, Any] = {name: asked[name] for name in NAMES if name in asked}
    for name in LISTS:
        if name in found:
            found[name] = [one for one in found[name].split(",") if one]
    for name in form.SWITCHES:
        if name in found:
            found[name] = found[name] == "1"
    return found
