"""The tabs of the page of plain files, laid out by the same functions as the studio's."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl

import gradio as gr

from cdvft_app.payloads.page import StudioLink
from cdvft_app.store.runs import RunStore
from cdvft_app.ui.compare import outcomes, pages, sweep
from cdvft_app.ui.factors import tab as factors
from cdvft_app.ui.learn import tab as learn
from cdvft_app.ui.learn.lab_table import lab_view
from cdvft_app.ui.learn.lab_targets import TARGETS
from cdvft_app.ui.learn.lesson_texts import LESSONS
from cdvft_app.ui.shared import form_address
from cdvft_app.ui.shared.component import component
from cdvft_app.ui.shared.controls import html
from cdvft_app.ui.shared.state import AppState
from cdvft_app.ui.static.answers import LESSONS as RECORDED_LESSONS
from cdvft_app.ui.train.run_view import run_view, shown_recorded

LEFT_OUT = ("decide", "growth")  # of Compare's pages: they count for any choice
PAGES = [(key, title) for key, title in pages.PAGES if key not in LEFT_OUT]
DECIDE = (
    "These are recorded. Which method to take for a model and a device, and how costs grow, is counted for "
    "any choice in the studio."
)
INVITATION = "In the studio you can run your own."
FIRST_FIT = {"target": "smooth_kernel", "n": "32"}
LAB = r"""## Fit a matrix

How much of a given matrix can each form say, with how many numbers? For each target $m = 1, 2, 3$
circulant-diagonal factors were searched, and circulant blocks between two diagonals, and beside them the best
low rank (by SVD), the best Fourier entries (places counted, since they were chosen for the target), random
ones as FourierFT has them, and the best circulant blocks.
"""


@dataclass(frozen=True)
class StaticTab:
    """A tab by its name in the address; `links` lead from figures to the studio, by their parts' ids."""

    key: str
    title: str
    lay_out: Callable[[AppState], None]
    links: Mapping[str, tuple[StudioLink, ...]]


def tabs(store: RunStore) -> tuple[StaticTab, ...]:
    return (
        StaticTab("learn", learn.TITLE, _learn, _lesson_links()),
        StaticTab("factors", factors.TITLE, factors.build, {"factors": _FACTORS}),
        StaticTab("train", "A race", _race, {"run": (_race_link(store),)}),
        StaticTab("compare", "Compare", _compare, _COMPARE),
    )


def _link(figure: str, label: str, **address: str) -> StudioLink:
    return {"figure": figure, "address": address, "label": label}


_FACTORS = (
    _link(".overview", "this run", tab="factors", show="overview"),
    _link(".views", "this layer", tab="factors", show="vectors"),
    _link(".effects", "its effect", tab="factors", show="effects"),
    _link(".ranks", "its singular values", tab="factors", show="ranks"),
    _link(".forward", "this example", tab="factors", show="forward"),
)
_COMPARE = {
    "outcomes": (_link("", "these results", tab="compare", page="results"),),
    "sweep": (_link("", "this sweep", tab="compare", page="settings"),),
    "evidence": (_link("", "this evidence", tab="compare", page="evidence"),),
    "paper": (_link("", "the paper's figures", tab="compare", page="paper"),),
}


def _lesson_links() -> dict[str, tuple[StudioLink, ...]]:
    of_lessons = {
        f"play-{lesson.key}": (_link("", "this lesson", tab="learn", lesson=lesson.key),)
        for lesson in LESSONS
    }
    return {**of_lessons, "lab-view": (_link("", "this fit", tab="learn", lesson="lab"),)}


def _learn(_: AppState) -> None:
    learn.lay_out({}, _lab, measured_where="in this browser")


def _lab() -> None:
    record = json.loads(RECORDED_LESSONS.read_text(encoding="utf-8"))
    fitted = {fit["target"] for fit in record["fits"]}
    with gr.Column(elem_id="lesson-lab", elem_classes=["lab"]):
        gr.Markdown(LAB, elem_classes=["lesson-text"])
        component(
            "static/lab_form.js",
            targets=[(title, key) for title, key in TARGETS if key in fitted],
            sizes=sorted({fit["n"] for fit in record["fits"]}),
            first=FIRST_FIT,
            how=f"Fitted {record['date']} by {record['command']}, on {record['cpu']}. Matrices of your own, "
            "other sizes and more factors are fitted in the studio.",
            elem_id="lab-form",
        )
        lab_view()


def _race_link(store: RunStore) -> StudioLink:
    """To the form with the race's settings."""
    asked = form_address.query(run.settings for run in store.recorded())
    return _link("", "a race with these settings", **dict(parse_qsl(asked)))


def _race(app: AppState) -> None:
    with gr.Column(elem_classes=["watch"]):
        run_view(app.store, shown_recorded(app.store, ""), INVITATION, elem_id="run")


def _compare(app: AppState) -> None:
    component("compare/pages.js", PAGES[0][0], pages=PAGES, elem_id="compare-pages")
    with gr.Column(elem_classes=pages.on("results")):
        outcomes.section(app)
    with gr.Column(elem_classes=pages.on("settings")):
        sweep.sweep_view(app, elem_id="sweep")
    pages.recorded()
    html(f'<p class="quiet static-more">{DECIDE}</p>')
