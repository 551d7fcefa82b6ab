"""Types of payloads and server functions, and states of runs, for scripts.

`python -m cdvft_app.ui.typescript` writes them; a test checks that they are current.
"""

from __future__ import annotations

import json
import tempfile
import types
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, NotRequired, Union, get_args, get_origin, get_type_hints

from typing_extensions import get_original_bases, is_typeddict

from cdvft_app import ASSETS
from cdvft_app.executors.queue import RunQueue
from cdvft_app.metrics import METRICS
from cdvft_app.payloads import compare, factors, learn, page, shared, train, use
from cdvft_app.store import states
from cdvft_app.store.runs import RunStore
from cdvft_app.ui.build import build
from cdvft_app.ui.shared.server_functions import Encoded, ServerFunction, known, types_of
from cdvft_app.ui.shared.state import AppState

FILE = ASSETS / "js" / "payloads.d.ts"
CONSTANTS_FILE = ASSETS / "js" / "shared" / "constants.js"
MODULES = (shared, page, train, compare, use, factors, learn)
HEAD = """// What Python sends and may be asked: written by cdvft_app/ui/typescript.py, do not edit.

import type { Ask } from "./shared/part.js";
import type { Figure, Layout, Styles } from "./shared/plotly_types.js";
"""
PLAIN: dict[Any, str] = {
    str: "string",
    int: "number",
    float: "number",
    bool: "boolean",
    None: "null",
    type(None): "null",
    Any: "unknown",
    object: "object",
}


def page_functions() -> dict[str, ServerFunction]:
    """Return the functions that the page's scripts may ask, by "part/function"."""
    with tempfile.TemporaryDirectory() as folder:
        store = RunStore(Path(folder))
        try:
            page = build(AppState.make(store, RunQueue(store)))
            return {name: endpoint.function for name, endpoint in known(page).items()}
        finally:
            store.close()


def declarations(functions: Mapping[str, ServerFunction]) -> str:
    """Return every TypedDict of the payloads as an interface, by module, and the interface `Servers`."""
    named = [(found, module) for module in MODULES for found in vars(module).values() if is_typeddict(found)]
    own = dict.fromkeys(one for one, module in named if one.__module__ == module.__name__)
    names = [one.__name__ for one in own]
    if twice := {name for name in names if names.count(name) > 1}:
        raise ValueError(f"Two payloads are called {', '.join(sorted(twice))}; scripts import them by name.")
    return "\n".join([HEAD, *map(interface, own), servers(functions)])


def servers(functions: Mapping[str, ServerFunction]) -> str:
    """Return the functions as an interface, by the part that asks them."""
    parts: dict[str, list[str]] = {}
    for key, function in sorted(functions.items()):
        part, _, name = key.rpartition("/")
        asked, answer = types_of(function)
        parts.setdefault(part, []).append(f"    {name}: Ask<{script_type(asked)}, {script_type(answer)}>;")
    blocks = [line for part, lines in parts.items() for line in (f'  "{part}": {{', *lines, "  };")]
    return "\n".join(
        ["/** What each part may ask the server. */", "export interface Servers {", *blocks, "}\n"]
    )


def constants() -> str:
    """Return the tables that scripts share with Python, as a module of theirs."""
    named = {
        "FINAL": states.FINAL,
        "ACTIVE": states.ACTIVE,
        "USABLE": states.USABLE,
        "STATES": states.STATES,
        "SHARES": [key for key, metric in METRICS.items() if metric.percent],
        "REGRESSIONS": [key for key, metric in METRICS.items() if metric.regression],
    }
    about = dict.fromkeys(named, "states of a run")
    about |= {"SHARES": "metrics that are shown as per cent", "REGRESSIONS": "metrics of numbers"}
    lines = ["// Written by cdvft_app/ui/typescript.py of store/states.py and metrics, do not edit."]
    for name, of in named.items():
        lines += ["", f"/** @type {{readonly string[]}} {about[name]} */"]
        lines += [f"export const {name} = {json.dumps([*of])};"]
    return "\n".join(lines) + "\n"


def interface(payload: Any) -> str:
    """Return a TypedDict as an interface, with the fields that its bases have not."""
    bases = [base.__name__ for base in get_original_bases(payload) if is_typeddict(base)]
    extends = f" extends {', '.join(bases)}" if bases else ""
    lines = [f"export interface {payload.__name__}{extends} {{", *_fields(payload), "}\n"]
    return "\n".join([f"/** {' '.join(payload.__doc__.split())} */", *lines] if payload.__doc__ else lines)


def _fields(payload: Any) -> Iterator[str]:
    hints = get_type_hints(payload, include_extras=True)
    inherited = {
        name for base in get_original_bases(payload) for name in getattr(base, "__annotations__", ())
    }
    for name in [name for name in payload.__annotations__ if name not in inherited]:
        optional = get_origin(hints[name]) is NotRequired or not payload.__total__
        inner = get_args(hints[name])[0] if get_origin(hints[name]) is NotRequired else hints[name]
        yield f"  {name}{'?' if optional else ''}: {script_type(inner)};"


def script_type(hint: Any) -> str:
    """Return a Python type as one of TypeScript.

    Raises:
        TypeError: the type has no counterpart here.
    """
    origin, inner = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return inner[1]
    if is_typeddict(hint):
        return str(hint.__name__)
    if origin is Encoded:
        return script_type(inner[0])
    if origin is Literal:
        return " | ".join(f'"{one}"' if isinstance(one, str) else str(one).lower() for one in inner)
    if origin in (Union, types.UnionType):
        return " | ".join(script_type(one) for one in inner)
    if origin is list or inner[1:] == (...,):  # "..." as in tuple[str, ...]
        item = script_type(inner[0])
        return f"({item})[]" if " | " in item else f"{item}[]"
    if origin is tuple:
        return f"[{', '.join(map(script_type, inner))}]"
    if origin is dict:
        return f"Record<string, {script_type(inner[1])}>"
    if hint in PLAIN:
        return PLAIN[hint]
    raise TypeError(f"{hint} has no counterpart in TypeScript: write a TypedDict of plain JSON.")


if __name__ == "__main__":
    FILE.write_text(declarations(page_functions()), encoding="utf-8")
    CONSTANTS_FILE.write_text(constants(), encoding="utf-8")
