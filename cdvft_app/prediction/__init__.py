"""What a run will take, said before it begins, and learned from the runs that ended, and the
steps that were measured, on the same device.

Counts come from `cdvft.cost`; seconds are counted FLOPs times the seconds a FLOP took before; memory
is a step's, by formula, beside what the program itself took in earlier runs.
"""

from cdvft_app.prediction.observations import Estimate
from cdvft_app.prediction.predicting import (
    GROWTH,
    GUESS_OF_GPU,
    Prediction,
    admit,
    admit_again,
    admitted,
    predict,
    step_seconds,
)

__all__ = [
    "GROWTH",
    "GUESS_OF_GPU",
    "Estimate",
    "Prediction",
    "admit",
    "admit_again",
    "admitted",
    "predict",
    "step_seconds",
]
