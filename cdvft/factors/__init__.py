"""Trained adapters: their vectors, their weight updates, and numbers that describe both.

    layers = factors(model)  # or factors_from_folder("adapter"), without the base model
    delta = delta_weight(layers["encoder.layer.0.attention.self.query"])
    print(effective_rank(singular_values(delta)), circularity(delta))

`weight_updates` gives the same view of the other methods: LoRA, FourierFT, C3A and whatever else has a dW.
"""

from cdvft.circulant import delta_weight
from cdvft.factors.measures import (
    LARGEST_SIDE,
    Spectrum,
    circularity,
    effective_rank,
    factor_changes,
    norm_ratio,
    shift_energy,
    singular_values,
    spectrum,
)
from cdvft.factors.reading import WeightUpdate, factors, factors_from_folder, weight_updates

__all__ = [
    "LARGEST_SIDE",
    "Spectrum",
    "WeightUpdate",
    "circularity",
    "delta_weight",
    "effective_rank",
    "factor_changes",
    "factors",
    "factors_from_folder",
    "norm_ratio",
    "shift_energy",
    "singular_values",
    "spectrum",
    "weight_updates",
]
