"""How this room refuses."""

from __future__ import annotations


class ResultsError(Exception):
    """It cannot be done; the text is a sentence for the person who asked."""
