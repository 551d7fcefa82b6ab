"""A grid of runs around one race: what is asked for, what came out, and what it says."""

from cdvft_app.sweep.request import DIMENSIONS, SweepRequest, numbers, parse_sweep

__all__ = ["DIMENSIONS", "SweepRequest", "numbers", "parse_sweep"]
