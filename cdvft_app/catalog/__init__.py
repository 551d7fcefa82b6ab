"""What can be chosen: recipes, models and datasets, and the plan that a choice makes.

Importing this loads no torch. What fetches and loads things is in `offline`, `hub`, `backbones` and
`dataset_readers`.
"""

from cdvft_app.catalog.entries import (
    DATASETS,
    MODELS,
    RECIPES,
    DatasetEntry,
    ModelEntry,
    Recipe,
)
from cdvft_app.catalog.plan import Plan, fits, get_dataset, get_model, get_recipe, hub_ids_allowed, resolve

__all__ = [
    "DATASETS",
    "MODELS",
    "RECIPES",
    "DatasetEntry",
    "ModelEntry",
    "Plan",
    "Recipe",
    "fits",
    "get_dataset",
    "get_model",
    "get_recipe",
    "hub_ids_allowed",
    "resolve",
]
