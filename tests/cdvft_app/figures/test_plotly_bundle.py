"""The page's plotly.js has every kind of trace that figures have.

One that it lacks it would draw as points and lines, and say nothing.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

import optuna
from plotly.offline import get_plotlyjs, get_plotlyjs_version

from cdvft_app import ASSETS
from cdvft_app.figures.search import MIN_TRIALS, figures
from cdvft_app.ui.shared.component import PLOTLY

ROOT = Path(__file__).parents[3]
BUNDLE = PLOTLY.read_text(encoding="utf-8")
TRACE = re.compile(r'moduleType:"trace",name:"(\w+)"')
TRACES = set(TRACE.findall(BUNDLE))
LACKING = set(TRACE.findall(get_plotlyjs())) - TRACES  # of the package's plotly.js, which is whole
NAMED = re.compile(r"""\btype["']?: ?["'](\w+)["']""")


def test_it_is_of_the_same_major_version_as_the_package_that_makes_figures() -> None:
    (version,) = re.findall(r"^\* plotly\.js \(basic - minified\) v([\d.]+)$", BUNDLE, re.MULTILINE)
    assert version.split(".")[0] == get_plotlyjs_version().split(".")[0]


def test_no_source_names_a_trace_that_it_lacks() -> None:
    assert {"scatter", "bar"} <= TRACES and "parcoords" in LACKING
    files = [
        *ROOT.glob("cdvft_app/**/*.py"),
        *ROOT.glob("benchmarks/**/*.py"),
        *(ASSETS / "js").rglob("*.js"),
    ]
    named = {(str(file), name) for file in files for name in NAMED.findall(file.read_text(encoding="utf-8"))}
    assert [(file, name) for file, name in sorted(named) if name in LACKING] == []


def test_recorded_evidence_and_figures_of_a_search_have_its_traces() -> None:
    evidence = json.loads((ASSETS / "evidence.json").read_text(encoding="utf-8"))
    drawn = [one["figure"] for one in evidence if one["figure"]]
    study = optuna.create_study()
    study.optimize(lambda trial: trial.suggest_int("m", 2, 3) + trial.suggest_float("rate", 0, 1), MIN_TRIALS)
    searched = [figure for _, figure in figures(study)]
    assert drawn and len(searched) == 3
    assert {trace["type"] for figure in drawn + searched for trace in figure["data"]} == {"scatter", "bar"}
