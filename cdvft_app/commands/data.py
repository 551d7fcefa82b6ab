"""`cdvft data`: inspect a file of data, or delete imported data."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from inspect import Parameter, signature
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape

from cdvft_app.catalog.cleaning import STEPS, title
from cdvft_app.commands import FAILED
from cdvft_app.commands.options import Json, console, table, with_signature
from cdvft_app.data import library
from cdvft_app.data.imported_table import import_file
from cdvft_app.data.inspect import Inspection, as_dict, nearest_recipe, recipe_reason, roles_of
from cdvft_app.data.inspect import inspect as inspected
from cdvft_app.data.row_errors import Finding
from cdvft_app.format import amount
from cdvft_app.store.runs import RunStore

Text = Annotated[list[str] | None, typer.Option(help="Column of the text; twice for a pair.")]
Label = Annotated[str | None, typer.Option(help="Column of the label.")]
Prompt = Annotated[list[str] | None, typer.Option(help="Column of the prompt; twice for two parts.")]
Answer = Annotated[str | None, typer.Option(help="Column of the answer to generate.")]
HeldOut = Annotated[float | None, typer.Option(help="Share of rows to evaluate on, 0.05 to 0.5.")]
SplitSeed = Annotated[int, typer.Option(help="Seed of the split into training and evaluation rows.")]
STEP_NAMES = ", ".join(f"{key}:{one.argument}" if one.argument else key for key, one in STEPS.items())
CLEAN_HELP = f"Cleaning steps, with commas: {STEP_NAMES}. `data inspect` suggests some."
Clean = Annotated[list[str] | None, typer.Option(help=CLEAN_HELP)]
EvaluationFile = Annotated[Path | None, typer.Option("--eval", help="File of rows to evaluate on.")]
TABLE_WIDTH = 240  # room for any row, so that no id is cut


def print_progress(fraction: float | None, text: str) -> None:
    """Print a progress on standard error; a text that ends with its own share gets none."""
    share = "" if fraction is None or text.endswith("%") else f" ({100 * fraction:.0f} %)"
    typer.echo(text + share, err=True)


def show(looked: Inspection) -> None:
    """Print what was found, for a person."""
    kept = looked.kept
    read = [kept.format, kept.encoding, f"separated by {kept.separator}" if kept.separator else None]
    print(f"{', '.join(filter(None, read))}: {kept.rows:,} rows, {amount('bytes', kept.bytes)}")
    reads, told = ("prompt", "answer") if looked.roles.is_generative else ("input", "label")
    used: dict[str | None, str] = {name: reads for name in looked.roles.inputs}
    used |= {looked.roles.label: told} | ({looked.roles.split: "split"} if looked.roles.split else {})
    rows = [
        (
            escape(column.name[:60]),
            used.get(column.name, ""),
            column.type,
            f"{column.missing:,}",
            f"{column.distinct:,}",
        )
        for column in looked.columns
    ]
    console(TABLE_WIDTH).print(table(("column", "used as", "type", "missing", "different"), rows))
    for line in lines(looked):
        print(line)


def lines(looked: Inspection) -> list[str]:
    """Return the findings, a sentence or two each."""
    found = [*looked.notes, *(f"cleaned: {one}" for one in looked.cleaned)]
    if looked.problem:
        return [
            *found,
            *(f"left out: {one}" for one in looked.faults),
            f"Cannot be learned: {looked.problem}",
            *_mended_by(looked.warnings),
        ]
    found.append(f"{looked.task.capitalize()}: {looked.why}")
    for name, train, evaluation in looked.classes[:20]:
        found.append(f"  {name[:60]}: {train:,} rows to train on, {evaluation:,} to evaluate on")
    if looked.data:
        data = looked.data
        of_each = " of each class" if data.labels else ""
        held = f", held out, {100 * data.held_out:g} %{of_each} by seed {data.split_seed}"
        held = "" if data.evaluation_sha256 or data.split else held
        found.append(f"{data.train_rows:,} rows to train on, {data.evaluation_rows:,} to evaluate on{held}")
    if looked.lengths:
        unit = "tokens" if looked.lengths.exact else "words and marks"
        unit += ", prompt and answer together" if looked.roles.is_generative else ""
        found.append(
            f"Length in {unit}: mean {looked.lengths.mean}, 19 of 20 at most {looked.lengths.p95}, "
            f"longest {looked.lengths.longest}"
        )
    if looked.majority:
        found.append(f"{looked.majority.sentence} A score means what is above that.")
    found += [f"left out: {one}" for one in looked.faults]
    for one in looked.warnings:
        found += [f"warning: {one}", *_mended_by([one])]
    found.append(recipe_reason(nearest_recipe(looked.kind)))
    return found


def _mended_by(findings: Iterable[Finding]) -> list[str]:
    return [f"      --clean {step}: {title(step)}." for one in findings for step in one.steps]


def read_arguments(  # noqa: PLR0917 - typer passes options by name
    text: Text = None,
    label: Label = None,
    prompt: Prompt = None,
    answer: Answer = None,
    held_out: HeldOut = None,
    split_seed: SplitSeed = 0,
    evaluation: EvaluationFile = None,
    clean: Clean = None,
) -> tuple[Path | None, dict[str, Any], dict[str, Any]]:
    """Return the evaluation file, the columns to read, and how the rows are split and cleaned."""
    roles = library.read_roles(text or [], label, prompt or [], answer)
    split = library.read_split(None if held_out is None else 100 * held_out, split_seed)
    return evaluation, roles, split | {"clean": library.read_steps(clean or [])}


def with_reading(command: Callable[..., None]) -> Callable[..., None]:
    """Fill `command`'s parameter `reading` with what `read_arguments` makes of its options."""
    options = signature(read_arguments, eval_str=True).parameters

    def with_options(*values: Any, **more: Any) -> None:
        chosen = {name: more.pop(name) for name in options}
        command(*values, reading=read_arguments(**chosen), **more)

    own = [one for one in signature(command, eval_str=True).parameters.values() if one.name != "reading"]
    added = [one.replace(kind=Parameter.KEYWORD_ONLY) for one in options.values()]
    return with_signature(with_options, command, [*own, *added])


app = typer.Typer(help="Inspect or delete your data.", no_args_is_help=True)


@app.command()
@with_reading
def inspect(file: Path, *, reading: Any, as_json: Json = False) -> None:
    """Read a file, and report its columns, the task, and issues."""
    evaluation, roles, how = reading
    kept = import_file(file, progress=print_progress)
    other = None
    try:
        if evaluation:
            other = import_file(evaluation, progress=print_progress)
        looked = inspected(
            kept,
            library.title_of(file),
            roles_of(kept, **roles),
            evaluation=other,
            evaluation_title=library.title_of(evaluation) if evaluation else "",
            **how,
        )
        if as_json:
            print(json.dumps(as_dict(looked)))
        else:
            show(looked)
        if looked.problem:
            raise typer.Exit(FAILED)
    finally:
        library.forget_unowned(RunStore.default(), filter(None, (kept, other)))


@app.command()
def delete(data_id: str) -> None:
    """Delete imported data, and name the runs that need it."""
    store = RunStore.default()
    lost = library.losses(store, data_id, None)
    library.remove(store, data_id, None)
    print(f"deleted {data_id}")
    for run in lost:
        print(f"cannot be resumed, nor show examples: {run}")
