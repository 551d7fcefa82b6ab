"""What each method costs, by formula: parameters, adapter bytes, FLOPs and memory of any layers.

>>> from cdvft import cost
>>> layers = [cost.Shape("query", 768, 768, count=12), cost.Shape("value", 768, 768, count=12)]
>>> cost.estimate("cdvft", layers, batch=16, sequence=128).trainable_parameters
55296
"""

from cdvft.cost.estimate import CONVENTIONS, METHODS, Convention, Cost, Method, c3a_block_size, estimate
from cdvft.cost.matching import Match, Quantity, match
from cdvft.cost.shape import Shape

__all__ = [
    "CONVENTIONS",
    "METHODS",
    "Convention",
    "Cost",
    "Match",
    "Method",
    "Quantity",
    "Shape",
    "c3a_block_size",
    "estimate",
    "match",
]
