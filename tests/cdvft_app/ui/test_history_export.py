"""Export of the visitor's own history as one file."""

from __future__ import annotations

import zipfile

import pytest
from ended_runs import trained

from cdvft_app.results.finished_run import ResultsError
from cdvft_app.ui.train import history_file


def runs_in(file):
    with zipfile.ZipFile(file) as archive:
        return {name.partition("/")[0] for name in archive.namelist()}


def test_export_has_the_visitors_own_runs(app):
    another = trained(app.store, "another's")
    with pytest.raises(ResultsError, match="ended"):
        history_file.export(app, "mine", {"runs": [another]})
    first, second = (trained(app.store, "mine") for _ in range(2))
    assert runs_in(history_file.export(app, "mine", {"runs": [first, second]})[0]) == {first, second}
    assert runs_in(history_file.export(app, "mine", {"runs": [second, another]})[0]) == {second}
