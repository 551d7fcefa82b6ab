"""What can be chosen: recipes, models and datasets, and the plan that a choice makes.

Importing this loads no torch. What fetches and loads things is in `mirror`, `hub`, `backbones` and
`dataset_readers`.
"""

from collections.abc import Mapping

from cdvft_app.catalog.entries import (
    DATASETS,
    MODELS,
    RECIPES,
    DatasetEntry,
    Expected,
    LinearGroup,
    ModelEntry,
    Recipe,
)
from cdvft_app.catalog.plan import Plan, fits, get_dataset, get_model, get_recipe, hub_ids_allowed, resolve

__all__ = [
    "DatasetEntry",
    "Expected",
    "LinearGroup",
    "ModelEntry",
    "Plan",
    "Recipe",
    "datasets",
    "fits",
    "get_dataset",
    "get_model",
    "get_recipe",
    "hub_ids_allowed",
    "models",
    "recipes",
    "resolve",
]


def models() -> Mapping[str, ModelEntry]:
    """All models by key, offline ones first."""
    return MODELS


def datasets() -> Mapping[str, DatasetEntry]:
    """All datasets by key, offline ones first."""
    return DATASETS


def recipes() -> Mapping[str, Recipe]:
    """All recipes by key, offline ones first."""
    return RECIPES
