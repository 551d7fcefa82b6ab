"""A search's figures: Optuna's own, on this page's ground."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from cdvft_app.figures.palette import layout

if TYPE_CHECKING:
    from optuna import Study

MIN_TRIALS = 4
"""Completed ones, from which it is told how much each setting matters."""


def figures(study: Study) -> list[tuple[str, dict[str, Any]]]:
    """Titles and plotly figures of a study whose trials' values are validation losses, as far as it goes."""
    from optuna import visualization
    from optuna.trial import TrialState

    done = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    searched = {name for one in done for name in one.params}
    found: dict[str, Callable[..., Any]] = {}
    if done:
        found["Validation loss, trial by trial"] = visualization.plot_optimization_history
        found["Every trial's settings"] = visualization.plot_slice  # of traces that the page has
    if len(done) >= MIN_TRIALS and len(searched) > 1:
        found["How much each setting matters"] = visualization.plot_param_importances
    drawn = {title: draw(study, target_name="validation loss") for title, draw in found.items()}
    return [(title, _on_this_page(json.loads(figure.to_json()))) for title, figure in drawn.items()]


def _on_this_page(figure: dict[str, Any]) -> dict[str, Any]:
    """Return the figure with the page's fonts and colours in place of plotly's template and title."""
    ours, theirs = layout(), figure["layout"]
    for name in ("template", "title", "width"):  # as wide as its place
        theirs.pop(name, None)
    axes = {name: ours[name[:5]] | theirs[name] for name in theirs if name.startswith(("xaxis", "yaxis"))}
    beside = [axis for name, axis in axes.items() if name.startswith("xaxis")]
    for axis in beside:
        axis["rangemode"] = "normal"  # a setting that was tried at 2 and 3 does not begin at zero
        if axis.get("type") != "category":
            axis["nticks"] = max(2, axis["nticks"] // len(beside))  # each has so much less room
    quiet = {name: ours[name] for name in ("paper_bgcolor", "plot_bgcolor", "font", "hoverlabel")}
    return {"data": figure["data"], "layout": theirs | axes | quiet | {"margin": ours["margin"]}}
