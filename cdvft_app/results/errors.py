"""The error of everything that is asked of finished runs."""

from __future__ import annotations


class ResultsError(Exception):
    """It cannot be done; the text is a sentence for the person who asked."""
