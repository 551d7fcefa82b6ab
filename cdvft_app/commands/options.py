"""Command-line options: of a run from the fields of `RunSettings`, and what several commands share."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from cdvft_app.costs.request import CostRequest, parse_cost
from cdvft_app.methods import METHODS, InvalidChoice, Method, flat
from cdvft_app.settings import FormField, RunSettings, form_fields, parse_run

if TYPE_CHECKING:
    from rich.progress import Progress

Json = Annotated[bool, typer.Option("--json", help="Print the result as one line of JSON.")]
Cluster = Annotated[
    str | None,
    typer.Option(
        envvar="CDVFT_CLUSTER", help="Train on this Ray cluster: ray://host:10001, host:6379 or auto."
    ),
]


def table(headings: Sequence[str], rows: Iterable[Sequence[str]], *, numbers: bool = False) -> Table:
    """Return a table without broken rows; with `numbers` all columns but the first are aligned right."""
    made = Table(box=None, header_style="bold")
    for place, heading in enumerate(headings):
        made.add_column(heading, justify="right" if numbers and place else "left", no_wrap=True)
    for row in rows:
        made.add_row(*row)
    return made


def console(width: int) -> Console:
    """Return standard output, at least as wide as a table needs so that nothing of it is cut."""
    found = Console()
    found.width = max(found.width, width)
    return found


def progress_bar(description: str, total: int | None = None) -> Progress:
    """Return a bar of one task on standard error, which goes away when it has ended."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    made = Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
    )
    made.add_task(description, total=total)
    return made


def hub_token() -> str:
    """Return HF_TOKEN, or the token of `hf auth login`; "" without either."""
    from huggingface_hub import get_token

    return os.environ.get("HF_TOKEN") or get_token() or ""


DEFAULT_METHOD = "cdvft"
NOT_OF_METHOD = "{options} belongs to {titles}, but --method is {method}. Remove it, or change --method."
MIN_SHORT_ID = 4  # characters


def full_run_id(given: str) -> str:
    """Return the id of the one run whose id begins so, else what was given.

    Raises:
        UnknownRun: the ids of several runs do.
    """
    from cdvft_app.store.records import UnknownRun
    from cdvft_app.store.runs import RunStore

    found = RunStore.default().ids_beginning(given) if len(given) >= MIN_SHORT_ID else []
    if len(found) > 1:
        raise UnknownRun(f"The ids of several runs begin with {given[:40]!r}. Pass more letters.")
    return found[0] if found else given


def _full_run_ids(given: list[str]) -> list[str]:
    return [full_run_id(one) for one in given]


_ID_HELP = f"A run id, or its first letters ({MIN_SHORT_ID} or more)."
RunId = Annotated[str, typer.Argument(callback=full_run_id, help=_ID_HELP)]
RunSource = Annotated[
    str,
    typer.Argument(
        metavar="RUN", help=f"A run id or its first {MIN_SHORT_ID} letters, an exported folder, or a Hub id."
    ),
]
RunIds = Annotated[list[str], typer.Argument(callback=_full_run_ids, help=_ID_HELP)]


def help_of(key: str, name: str) -> str:
    """Return the help of a method's option: "CDVFT: diagonal vectors (m)", for one."""
    one = METHODS[key].settings()[name]
    of = f" One of {', '.join(value for _, value in one.choices)}." if one.choices else ""
    return f"{METHODS[key].title}: {one.long}.{of}"


_OF_KINDS: dict[tuple[str, ...], str] = {
    ("generation",): " For models that write.",
    ("image",): " For images.",
}
_RUN = form_fields(RunSettings)


def _help(one: FormField) -> str:
    of = f" One of {', '.join(map(str, one.choices))}." if one.choices else ""
    return f"{one.hint}{of}{_OF_KINDS.get(one.kinds, '')}"


def _of_group(*groups: str) -> dict[str, tuple[Any, str]]:
    return {
        name: (list[str] if name == "target_modules" else one.kind, _help(one))
        for name, one in _RUN.items()
        if one.group in groups
    }


# Each field's type on the command line and what it means. Its range is checked by RunSettings.
OPTIONS: dict[str, tuple[Any, str]] = {
    "recipe": (str, RunSettings.model_fields["recipe"].description or ""),
    "method": (str, f"One of {', '.join(METHODS)}."),
    **_of_group("data"),
    **{
        name: (METHODS[key].settings()[own].kind, help_of(key, own)) for name, (key, own) in flat.FLAT.items()
    },
    "learning_rate": (float, "Peak learning rate of the method."),
    "evaluate_on": (str, _RUN["evaluate_on"].hint),
    **_of_group("training", "more"),
}
SIZES = tuple(name for name, (key, own) in flat.FLAT.items() if METHODS[key].settings()[own].size)
"""Options that decide how many numbers a method trains."""

# Those of what is counted and measured; its ranges are checked by CostRequest.
COST_OPTIONS: dict[str, tuple[Any, str]] = {
    **{
        name: (str if name in ("targets", "methods") else one.kind, one.hint)
        for name, one in form_fields(CostRequest).items()
        if name in ("model", "targets", "methods", "batch", "sequence", "image_size")
    },
    **{name: (int, OPTIONS[name][1]) for name in SIZES},
    **{name: OPTIONS[name] for name, (key, own) in flat.FLAT.items() if METHODS[key].settings()[own].is_text},
}


def with_settings(command: Callable[..., None]) -> Callable[..., None]:
    """Fill `command`'s first parameter with `RunSettings`, by one option for each of its fields."""

    def with_options(**values: Any) -> None:
        given = {name: value for name in OPTIONS if (value := values.pop(name)) not in (None, [])}
        settings = parse_run({"method": DEFAULT_METHOD} | given)
        _require_own_options(settings.method, given)
        command(settings, **values)

    own = own_parameters(command)
    settings = [option(name, *of, _default_text(name)) for name, of in OPTIONS.items()]
    return with_signature(with_options, command, [*settings, *own])


def _require_own_options(method: Method, given: Iterable[str]) -> None:
    """Raise InvalidChoice where an option of another method is given, which would do nothing."""
    others = [name for name in given if name in flat.FLAT and flat.FLAT[name][0] != method.key]
    if others:
        named = ", ".join(f"--{name.replace('_', '-')}" for name in others)
        titles = " and ".join(dict.fromkeys(METHODS[flat.FLAT[name][0]].title for name in others))
        raise InvalidChoice(NOT_OF_METHOD.format(options=named, titles=titles, method=method.key))


def with_cost_request(**more: str) -> Callable[..., Callable[..., None]]:
    """Fill `command`'s first parameter with a `CostRequest`; `more` are further options and their help."""
    options = COST_OPTIONS | {name: (str, meaning) for name, meaning in more.items()}

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        def with_options(**values: Any) -> None:
            chosen = {name: value for name in options if (value := values.pop(name)) is not None}
            split = {name: chosen[name].split(",") for name in ("targets", "methods") if name in chosen}
            command(parse_cost(chosen | split), **values)

        parameters = [
            option(name, kind, meaning, required=name == "model") for name, (kind, meaning) in options.items()
        ]
        return with_signature(with_options, command, [*parameters, *own_parameters(command)])

    return decorate


def own_parameters(command: Callable[..., None]) -> list[inspect.Parameter]:
    """Return the command's parameters without the first."""
    _, *rest = inspect.signature(command, eval_str=True).parameters.values()
    return [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in rest]


def with_signature(
    with_options: Callable[..., None], command: Callable[..., None], parameters: Sequence[inspect.Parameter]
) -> Callable[..., None]:
    """Give `with_options` the name and words of `command`, and these parameters for typer to read."""
    with_options.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    with_options.__name__, with_options.__doc__ = command.__name__, command.__doc__
    return with_options


def option(
    name: str, kind: Any, meaning: str, default_text: str | None = None, required: bool = False
) -> inspect.Parameter:
    """Return the parameter by which typer takes an option that is None unless it is given."""
    return inspect.Parameter(
        name,
        inspect.Parameter.KEYWORD_ONLY,
        default=typer.Option(... if required else None, help=meaning, show_default=default_text or False),
        annotation=kind if required else kind | None,
    )


def _default_text(name: str) -> str:
    """Return the default of an option in words."""
    if name in flat.FLAT:
        key, own = flat.FLAT[name]
        one = METHODS[key].settings()[own]
        return one.empty if one.default is None else str(one.default)
    default = DEFAULT_METHOD if name == "method" else None
    if name in RunSettings.model_fields and name != "method":
        default = RunSettings.model_fields[name].get_default()
    return "the recipe's" if default is None else str(default)
