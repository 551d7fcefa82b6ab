"""The runs that the Train tab shows to a visitor at first."""

from __future__ import annotations

from collections.abc import Sequence

from cdvft_app.catalog.entries import HUB_DATASET_FIELDS
from cdvft_app.payloads.train import RunView
from cdvft_app.store.records import RunRecord
from cdvft_app.store.runs import RunStore
from cdvft_app.ui.shared.state import AppState
from cdvft_app.ui.train.run_view import MAX_RUNS, shown, shown_recorded

LOOKED_THROUGH = 50  # races, the latest, for one to show to who has run none
NOT_KEPT = "The address names a run that is not kept here; it may have been deleted. This is another one."


def first_shown(app: AppState, run_ids: str, token: str) -> RunView:
    """The runs in the address; else the visitor's last race, one that others ran, or a recorded one."""
    named = run_ids.split(",")[: MAX_RUNS + 1]  # one more, of which the page says that it is not drawn
    runs = [run_id for run_id in named if app.store.get(run_id)]
    if runs:
        return shown(runs, "linked", token)
    view = _default_view(app, token)
    view["refused"] = NOT_KEPT if run_ids else None
    return view


def before_any_answer(store: RunStore) -> RunView:
    """Return the view of the page as it comes, for a visitor of whom nothing is known yet."""
    return {**(shown_recorded(store, "") or shown([], "waiting", "")), "kind": "waiting"}


def _default_view(app: AppState, token: str) -> RunView:
    last = app.store.groups(1, token, sweeps=False)
    if last:
        return shown([run.id for run in last[0]], "last", token)
    best = _best(app.store.groups(LOOKED_THROUGH, sweeps=False))
    if best:
        return shown([run.id for run in best], "best", token)
    return shown_recorded(app.store, token) or shown([], "last", token)


def _best(races: Sequence[Sequence[RunRecord]]) -> Sequence[RunRecord]:
    """Return the latest finished race of those with the most methods, or a better one on its data.

    Scores of other data, or of another metric, are not compared with its own. Empty where none finished.
    """
    whole = [race for race in races if race and all(run.state == "finished" for run in race)]
    latest = max(whole, key=len, default=())
    alike = [race for race in whole if len(race) == len(latest)]
    alike = [race for race in alike if _scored_on(race) == _scored_on(latest)]
    return max(alike, key=lambda race: max(run.metric or 0.0 for run in race), default=())


def _scored_on(race: Sequence[RunRecord]) -> tuple[object, ...]:
    """Data and metric of its scores."""
    settings = race[0].settings
    dataset = settings.data or [getattr(settings, name) for name in ("dataset", *HUB_DATASET_FIELDS)]
    return dataset, settings.evaluation_examples, {run.metric_name for run in race}
