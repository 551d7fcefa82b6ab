"""Measure a training step of each method on a model of random weights, which take as long as trained ones.

`background.measuring` runs it in a child process, so that peak memory is this measurement's alone, and the
process can be ended at any moment.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from cdvft_app.costs.request import CostRequest
from cdvft_app.costs.table import cost_table
from cdvft_app.measuring import comparison_times
from cdvft_app.measuring.background import too_large
from cdvft_app.measuring.step_time import step_time, warm_up
from cdvft_app.methods import Method, flat
from cdvft_app.shapes import model_shapes

SECONDS = 3.0
Report = Callable[[dict[str, Any]], None]


def measure(request: CostRequest, report: Report, seconds: float = SECONDS) -> None:
    """Measure every method of the request, `seconds` each, and report each as it comes.

    With match seconds_per_step, values of r, n and b are tried until a step takes about as long as CDVFT's.
    The reports by "kind":
        begin: method, setting; number and of: which one of how many methods; more: how many steps are
            measured after it, about;
        pace: seconds that this one still takes, about;
        result: what `step_time` returns, with model, method, setting, targets, batch, sequence, the FLOPs
            that are counted for the step, and time;
        refused: method, setting, why.

    Raises:
        InvalidChoice: the model or a setting cannot be.
    """
    request = request.as_measured
    bench = _Bench(request, report, seconds)
    if request.match == "seconds_per_step":
        _match(bench)
        return
    rows = cost_table(request)
    for number, row in enumerate(rows, 1):
        bench.measured(row, number, len(rows), len(rows) - number)


class _Bench:
    def __init__(self, request: CostRequest, report: Report, seconds: float) -> None:
        self.request, self.report, self.seconds = request, report, seconds
        self.shapes = model_shapes(request.model, request.image_size)
        self.forward: float | None = None

    def row(self, method: Method, **changes: Any) -> dict[str, Any]:
        """The method's row of a cost table."""
        request = self.request.model_copy(update={"methods": (method,), "match": None, **changes})
        return cost_table(request)[0]

    def measured(self, row: dict[str, Any], number: int, total: int, more: int) -> float | None:
        """Measure and report the row's step: its seconds; None where it is refused."""
        about = {name: row[name] for name in ("method", "setting")}
        why = row["unavailable"] or too_large(row)
        if why:
            self.report({"kind": "refused", **about, "why": why})
            return None
        self.report({"kind": "begin", **about, "number": number, "of": total, "more": more})
        if self.forward is None:
            warm_up(row, self.request, self.shapes)
        result = step_time(
            row,
            self.request,
            self.shapes,
            seconds=self.seconds,
            forward=self.forward,
            pace=self._pace,
        )
        self.forward = result["forward_seconds"]
        facts = {name: row[name] for name in ("model", "targets", "batch", "sequence")}
        flops = self._flops(row)
        self.report({"kind": "result", **about, **facts, **result, "step_flops": flops, "time": time.time()})
        return result["seconds"]

    def _flops(self, row: dict[str, Any]) -> int:
        """The step's FLOPs as executed (real FFTs), whatever convention the request has."""
        if row["convention"] != "real_fft":
            row = self.row(flat.method_of(row["method"], row["setting"]), convention="real_fft")
        return row["total_flops_per_step"]

    def _pace(self, left: float) -> None:
        self.report({"kind": "pace", "seconds": left})


def _match(bench: _Bench) -> None:
    adapted = bench.shapes.select(bench.request.targets or bench.shapes.default_targets)
    others = [method for method in bench.request.methods if method != bench.request.reference]
    ladders = {method: method.ladder(adapted) for method in others}
    total = 1 + len(ladders)

    def remaining(after: int) -> int:
        return sum(comparison_times.tries(values) or 1 for values in [*ladders.values()][after:])

    target_seconds = bench.measured(bench.row(bench.request.reference), 1, total, remaining(0))
    for number, (method, values) in enumerate(ladders.items(), 2):
        after = remaining(number - 1)
        if not values:  # head and full have nothing to match by
            bench.measured(bench.row(method), number, total, after)
        seconds: dict[int, float] = {}
        while (
            target_seconds
            and (value := comparison_times.next_value(values, seconds, target_seconds)) is not None
        ):
            more = comparison_times.tries(values) - len(seconds) - 1 + after
            result = bench.measured(bench.row(method.matched(value)), number, total, more)
            if result is None:  # it does not fit, and what is slower would not either
                break
            seconds[value] = result
