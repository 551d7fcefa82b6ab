"""Flat names of the methods' settings: lora_r, m, learning_rates, in one object for all methods.

Runs, API requests and forms of earlier versions have them, and command-line options still do. This is the one
place that converts them; everything else knows a method object, such as {"method": "lora", "r": 8}.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from cdvft_app.methods import METHODS, Method

FLAT: Mapping[str, tuple[str, str]] = {
    method.flat_name(name): (key, name) for key, method in METHODS.items() for name in method.settings()
}
"""(method's key, setting's name) by flat name."""


def nested(key: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return a method object as JSON: its key, and those of the flat values that are its own."""
    own = {name: values[flat] for flat, (user, name) in FLAT.items() if user == key and flat in values}
    return {"method": key, **own}


def read_run(values: Any) -> Any:
    """Return a run's JSON with its method as an object; what is no dict, or has a method object, stays as it
    is."""
    if not isinstance(values, dict) or not isinstance(values.get("method"), str):
        return values
    rest = {name: value for name, value in values.items() if name not in (*FLAT, "learning_rate")}
    rate = {"learning_rate": values["learning_rate"]} if "learning_rate" in values else {}
    return rest | {"method": nested(values["method"], values) | rate}


def write_run(settings: BaseModel) -> dict[str, Any]:
    """Return a run's settings by flat names, as options of a command have them; the opposite of
    `read_run`."""
    values = settings.model_dump(mode="json", exclude_none=True)
    own = values.pop("method")
    kind = METHODS[own.pop("method")]
    named = {kind.flat_name(name): own.pop(name) for name in kind.settings() if name in own}
    values = {name: value for name, value in values.items() if value is not False}  # as left out
    first = {"recipe": values.pop("recipe"), "method": kind.model_fields["method"].default}
    return first | named | own | values


def read_race(values: Any, methods: tuple[str, ...]) -> Any:
    """Return a race's JSON with its methods as objects; `methods` is the default where it names none.

    Flat values go to the methods that are named by their key alone.
    """
    if not isinstance(values, dict):
        return values
    named, rates = values.get("methods", list(methods)), values.get("learning_rates", {})
    if not isinstance(named, list | tuple) or not isinstance(rates, dict):
        return values
    rest = {name: value for name, value in values.items() if name not in (*FLAT, "learning_rates")}
    unknown = {f"learning_rates.{key}": rate for key, rate in rates.items() if key not in METHODS}
    return rest | unknown | {"methods": [_read(one, values, rates) for one in named]}


def _read(method: Any, values: Mapping[str, Any], rates: Mapping[str, Any]) -> Any:
    if not isinstance(method, str):
        return method
    return nested(method, values) | ({"learning_rate": rates[method]} if method in rates else {})


def read_sweep(values: Any) -> Any:
    """Return a sweep's JSON with its flat lists under `vary`, by method."""
    if not isinstance(values, dict) or not any(name in FLAT for name in values):
        return values
    vary: dict[str, Any] = {}
    for flat_name, (key, name) in FLAT.items():
        if flat_name in values:
            vary.setdefault(key, {})[name] = values[flat_name]
    return {name: value for name, value in values.items() if name not in FLAT} | {"vary": vary}


def method_of(key: str, setting: Mapping[str, Any]) -> Method:
    """Return the method object of a cost table's row or a measurement; `setting` has flat names or its
    own."""
    kind = METHODS[key]
    known = {
        FLAT[name][1] if name in FLAT and FLAT[name][0] == key else name: value
        for name, value in setting.items()
    }
    return kind.model_validate({"method": key, **known})


def flat_values(method: Method, names: Mapping[str, Any]) -> dict[str, Any]:
    """Return the given settings of the method, under their flat names."""
    return {method.flat_name(name): value for name, value in names.items()}
