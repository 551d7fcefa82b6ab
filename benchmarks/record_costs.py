"""Write assets/costs.json: what the Compare tab shows before torch is imported.

    python -m benchmarks.record_costs

Everything in it is computed and nothing measured; a test recomputes it and compares.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from benchmarks.machine import write_compact
from benchmarks.paper import paper_rows
from cdvft_app.catalog.entries import KNOWN_MODELS
from cdvft_app.costs.request import parse_cost
from cdvft_app.decision.comparison import compare, grown
from cdvft_app.shapes import model_shapes
from cdvft_app.ui.compare.form import COSTS, START, cost_request, model_entry


def models() -> list[dict[str, Any]]:
    """Every model whose dimensions are known here, with what its controls offer."""
    return [model_entry(model_shapes(model.id)) for model in KNOWN_MODELS]


def costs() -> dict[str, Any]:
    first = parse_cost(cost_request(START))
    return {
        "models": models(),
        "first": compare(first),
        "growth": grown(first),
        "paper": [asdict(row) for row in paper_rows()],
    }


def main() -> None:
    write_compact(COSTS, costs())


if __name__ == "__main__":
    main()
