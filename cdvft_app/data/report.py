"""An inspection as JSON: what the command line, the API and the page tell of data."""

from __future__ import annotations

from typing import Any

from cdvft_app.catalog.uploaded_entry import starting_values
from cdvft_app.data.inspect import Inspection
from cdvft_app.data.lengths import EDGES
from cdvft_app.data.library import because, nearest


def facts(looked: Inspection) -> dict[str, Any]:
    """Lengths are in tokens; `cut` is the share of the rows that are longer than `max_length`: texts are cut
    there, prompts with answers left out."""
    kept, data, lengths = looked.kept, looked.data, looked.lengths
    recipe = nearest(looked.kind)
    return {
        "sha256": kept.sha256,
        "format": kept.format,
        "kind": looked.kind,
        "encoding": kept.encoding,
        "separator": kept.separator,
        "rows": kept.rows,
        "bytes": kept.bytes,
        "columns": [vars(column) for column in looked.columns],
        "inputs": list(looked.roles.inputs),
        "label": looked.roles.label,
        "split": looked.roles.split,
        "task": looked.task,
        "why": looked.why,
        "problem": looked.problem,
        "classes": [
            {"name": name, "train": train, "evaluation": evaluation}
            for name, train, evaluation in looked.classes
        ],
        "train_rows": data.train_rows if data else 0,
        "evaluation_rows": data.evaluation_rows if data else 0,
        "metric": data and data.metric,
        "held_out": bool(data and not data.split and not data.evaluation_sha256),
        "held_out_share": data and data.held_out,
        "split_seed": data and data.split_seed,
        "duplicates": looked.division.doubled if looked.division else 0,
        "lengths": lengths
        and {
            "mean": lengths.mean,
            "usual": lengths.usual,
            "longest": lengths.longest,
            "exact": lengths.exact,
            "edges": list(EDGES),
            "shares": list(lengths.bars),
        },
        "max_length": (length := data and starting_values(data, recipe).get("max_length")),
        "cut": lengths.share_over(int(length)) if lengths and length else 0.0,
        "majority": looked.majority and {"label": looked.majority[0], "share": looked.majority[1]},
        "left_out": looked.left_out,
        "faults": list(looked.faults),
        "notes": list(looked.notes),
        "warnings": list(looked.warnings),
        "recipe": recipe.key,
        "because": because(recipe),
    }
