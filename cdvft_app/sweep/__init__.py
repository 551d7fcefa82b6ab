"""Sweeps: a grid of runs around one race, its request, its results and the payload for the page."""

from cdvft_app.sweep.request import SweepRequest, numbers, parse_sweep

__all__ = ["SweepRequest", "numbers", "parse_sweep"]
