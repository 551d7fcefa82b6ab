"""Held-out rows of a regression, as the Use tab shows them."""

from __future__ import annotations

import numpy as np

from cdvft_app.store.predictions import Predictions
from cdvft_app.ui.use.held_out_tables import of_numbers


def test_the_ends_of_the_axes_are_read_at_a_glance():
    answers = Predictions(np.arange(2), np.array([400.5, 1253.84]), np.array([[-94.1172], [1100.0]]))
    _, plot = of_numbers([("CDVFT", "cdvft", answers)])
    assert str(plot["quiet"]).count("from −94.1 to 1,254") == 1
    assert "from −94.1 to 1,254" in plot["scatter"]["about"]
