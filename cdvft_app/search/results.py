"""What a search has found so far, with its doubt, for the terminal and for the page."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

from cdvft_app.format import counted
from cdvft_app.judging.compared_runs import compared_run, contestant
from cdvft_app.judging.judge import Pair, band, judge
from cdvft_app.judging.verdict_text import result
from cdvft_app.methods import Method
from cdvft_app.metrics import get_metric
from cdvft_app.payloads.train import SearchedMethod, SearchTrial
from cdvft_app.search import RATE
from cdvft_app.search.study import PRUNED, RUN, Search, final_loss
from cdvft_app.store.records import RunRecord
from cdvft_app.store.runs import RunStore

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

EDGE = 0.05
"""Of the searched range, in logarithms: a best rate so near to an end says that the range was too narrow."""


def methods(store: RunStore, search: Search) -> list[SearchedMethod]:
    """Return each method's trials and what they show, without figures."""
    runs = {run.id: run for run in store.group(search.group_id)}
    return [_method(store, search, runs, index) for index in range(len(search.studies))]


def _method(store: RunStore, search: Search, runs: Mapping[str, RunRecord], index: int) -> SearchedMethod:
    method, trials = search.request.base.methods[index], search.trials(index)
    best = search.best(index)
    return {
        "method": method.key,
        "label": method.label(),
        "trials": [_trial(store, method, runs.get(one.user_attrs.get(RUN, "")), one) for one in trials],
        "budget": search.request.budgets()[index],
        "best": None if best is None else best.number,
        "sentences": _sentences(store, search, runs, index),
        "figures": [],
    }


def _trial(store: RunStore, method: Method, run: RunRecord | None, trial: FrozenTrial) -> SearchTrial:
    metric = get_metric(run.metric_name) if run and run.metric_name else None
    given_up = trial.user_attrs.get(PRUNED)
    state = "deleted" if run is None else run.state
    return {
        "number": trial.number,
        "run": run.id if run else None,
        "state": state if given_up is None else f"given up at step {given_up}",
        "settings": described(method, trial),
        "loss": final_loss(store, run) if run else None,
        "score": metric.format(run.metric) if metric and run and run.metric is not None else None,
    }


def described(method: Method, trial: FrozenTrial) -> str:
    """Learning rate 0.0213, m = 3."""
    sizes = method.settings()
    named = [
        f"learning rate {value:.3g}"
        if name == RATE
        else sizes[name].text(value)
        if name in sizes
        else f"{name.replace('_', ' ')} = {value}"
        for name, value in trial.params.items()
    ]
    return ", ".join(named)


def _sentences(store: RunStore, search: Search, runs: Mapping[str, RunRecord], index: int) -> list[str]:
    from optuna.trial import TrialState

    best, trials = search.best(index), search.trials(index)
    method = search.request.base.methods[index]
    label = method.label()
    if best is None:
        failed = sum(run.state == "failed" for run in search.runs(index, runs))
        return [f"{label}: no trial has finished yet{f'; {failed} failed' if failed else ''}."]
    given_up = sum(PRUNED in one.user_attrs for one in trials)
    best_text = (
        f"{label}: the best of {counted(len(trials), 'trial')}"
        + (f", {given_up} of them given up early," if given_up else "")
        + f" is {described(method, best)}: validation loss {best.value:.4g}"
    )
    edge = at_the_edge(search, index, best)
    run = runs.get(best.user_attrs[RUN])
    if run is None or run.metric is None or run.metric_name is None:
        return [f"{best_text}. Its run was deleted.", *edge]
    done = [one for one in trials if one.state == TrialState.COMPLETE]
    metric = get_metric(run.metric_name)
    sides = {
        one.number: contestant(described(method, one), [compared_run(runs[one.user_attrs[RUN]], store)])
        for one in done
        if one.user_attrs[RUN] in runs
    }
    doubt = band(sides[best.number], run.metric_name)
    between = f" ({metric.format(doubt[0])} to {metric.format(doubt[1])})" if doubt else ""
    rows = run.result.get("evaluation_examples") or 0
    found = [
        f"{best_text}, {metric.title.lower()} {metric.format(run.metric)}{between} on the "
        f"{counted(rows, 'validation row')} that chose it."
    ]
    others = [one for one in done if one.number in sides and one.number != best.number]
    if others:
        second = min(others, key=lambda one: one.value or 0.0)
        pair = Pair((sides[best.number],), (sides[second.number],))
        (verdict,) = judge([pair], run.metric_name, family=len(done) - 1)  # it was chosen from all of them
        found.append(result(verdict))
    return [*found, *edge]


def at_the_edge(search: Search, index: int, best: FrozenTrial) -> list[str]:
    """Return a sentence where the best rate is next to an end of the searched range, else none."""
    rates, chosen = search.request.space(index)[RATE], best.params[RATE]
    low, high = min(rates), max(rates)
    if search.request.grid:
        at_edge = low < high and chosen in (low, high)
    else:
        at_edge = not EDGE < math.log(chosen / low) / math.log(high / low) < 1 - EDGE
    beyond = (
        f"That rate is at the edge of what was searched ({low:g} to {high:g}): one beyond it may be better."
    )
    return [beyond] if at_edge else []
