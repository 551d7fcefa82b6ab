"""The Train form in an address: what was linked comes back, what somebody made up is left out."""

from __future__ import annotations

from urllib.parse import parse_qsl

import pytest

from cdvft_app.settings import RaceRequest
from cdvft_app.ui.shared import form, form_address


def opened(query: str) -> dict:
    """The form's values after following a link."""
    asked = form_address.values(dict(parse_qsl(query)))
    assert asked is not None
    return form.remembered(asked)


@pytest.mark.parametrize(
    "race",
    [
        RaceRequest(recipe="mnist", train_examples=300, evaluation_examples=500, epochs=2.0, seed=2,
                    max_steps=9, methods=({"method": "cdvft", "m": 3, "alpha": 0.5, "block_size": 48,
                                           "learning_rate": 0.003},)),
        RaceRequest(recipe="addresses", warmup_ratio=0.0, methods=("cdvft", "lora", "fourierft")),
        RaceRequest(recipe="sentiment", methods=({"method": "lora", "r": 4}, {"method": "lora", "r": 16})),
    ],
    ids=["one setting", "a race", "a method with itself"],
)  # fmt: skip
def test_a_link_opens_the_form_for_the_same_runs(race: RaceRequest) -> None:
    query = form_address.query(race.runs())
    assert query.startswith(f"tab=train&recipe={race.recipe}&methods=")
    assert form.race(opened(query)).runs() == race.runs()


def test_an_address_is_short_and_can_be_read() -> None:
    race = RaceRequest(recipe="sentiment", methods=({"method": "cdvft", "m": 3},))
    assert form_address.query(race.runs()) == "tab=train&recipe=sentiment&methods=cdvft&m=3"


def test_an_address_without_a_recipe_leaves_the_form_as_it_was() -> None:
    assert form_address.values({"tab": "train", "m": "3", "run": "abc"}) is None


@pytest.mark.parametrize(
    "made_up",
    [
        "recipe=../x&methods=cdvft,rm",
        "recipe=mnist&model=/etc&target_modules=,,x",
        "recipe=mnist&data=abc",
    ],
)
def test_what_somebody_made_up_fills_nothing_that_cannot_be(made_up: str) -> None:
    values = opened(made_up)
    assert values["recipe"] in ("sentiment", "mnist")
    assert set(values["methods"]) <= {"cdvft", "lora", "fourierft"}
    assert (values["model"], values["data"]) == (None, None)
    assert values["target_modules"] == []
