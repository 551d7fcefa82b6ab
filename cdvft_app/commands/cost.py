"""`cdvft cost`: recommend a method for a model, and estimate its cost, without downloading anything."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer

from cdvft_app.commands.options import console, table, with_cost_request
from cdvft_app.costs.request import DEVICE_KEYS, HERE, PRECISIONS, CostRequest

if TYPE_CHECKING:
    from cdvft_app.decision.decide import Decision

TABLE_WIDTH = 120


@with_cost_request(
    device=f"Training device: {', '.join(DEVICE_KEYS)}.",
    precision=f"Precision of the base model: {', '.join(PRECISIONS)}.",
    aim="Optimize for: file, memory, time, many (adapters at once), or quality.",
    match="Match CDVFT on trainable_parameters or flops_per_step.",
    convention="real_fft, or asymptotic as in papers.",
)
def cost(
    request: CostRequest,
    *,
    checkpointing: Annotated[bool, typer.Option(help="Use gradient checkpointing.")] = False,
    explain: Annotated[bool, typer.Option(help="Also print the assumptions.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as one line of JSON.")] = False,
) -> None:
    """Recommend a method for a model, and list the cost of each. Nothing is downloaded."""
    from cdvft_app.decision.decide import decide

    made = decide(request.model_copy(update={"gradient_checkpointing": checkpointing}), _here(request))
    if as_json:
        print(json.dumps(made.as_json()))
    else:
        _show(made)
        if explain:
            for text in dict.fromkeys(text for row in made.rows for text in row["assumptions"] or ()):
                print(text)


def _here(request: CostRequest) -> int | None:
    """Return this device's memory where it is asked about; a GPU's takes seconds, as torch alone knows it."""
    if request.device != HERE:
        return None
    from cdvft_app.training.device import device_kind, total_bytes

    return total_bytes(device_kind())


def _show(made: Decision) -> None:
    from cdvft_app.costs.sentences import label

    wide = console(TABLE_WIDTH)
    wide.print(made.sentence, highlight=False, markup=False)
    rows = [
        (label(row), *(answer["texts"][number] or "–" for answer in made.answers))
        for number, row in enumerate(made.rows)
    ]
    wide.print(table(["Method", *(answer["title"] for answer in made.answers)], rows, numbers=True))
    for row in made.rows:
        if row["unavailable"]:
            wide.print(f"{row['method']}: {row['unavailable']}", highlight=False, markup=False)
