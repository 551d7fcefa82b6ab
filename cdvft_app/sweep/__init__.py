"""A grid of runs around one race: what is asked for, what came out, and what it says."""

from cdvft_app.sweep.request import SweepRequest, numbers, parse_sweep

__all__ = ["SweepRequest", "numbers", "parse_sweep"]
