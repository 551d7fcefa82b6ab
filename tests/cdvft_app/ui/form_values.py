"""What stands in the fields of a form, and what the page says where it refuses that."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from cdvft_app.settings import InvalidChoice
from cdvft_app.ui.shared import form

EMPTY: dict[str, Any] = dict.fromkeys(form.FIELDS, "") | {"recipe": "sentiment", "methods": ["cdvft"]}
RACE = EMPTY | {"methods": ["cdvft", "lora"]}


def refusal(ask: Callable[[], object], labels: Mapping[str, str] = form.LABELS) -> str:
    """The sentence, with fields as the page labels them."""
    with pytest.raises(InvalidChoice) as refused:
        ask()
    return form.with_titles(str(refused.value), labels)
