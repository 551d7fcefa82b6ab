"""A race of one method with two values of a setting: wherever its runs are named, the names differ."""

from __future__ import annotations

import pytest
import run_events
from form_values import EMPTY, refusal

from cdvft_app import catalog
from cdvft_app.format import plain
from cdvft_app.results.finished_run import find
from cdvft_app.settings import RaceRequest
from cdvft_app.ui.compare import finished_races
from cdvft_app.ui.shared import form
from cdvft_app.ui.shared.actions import buttons
from cdvft_app.ui.use import races

NAMES = ["CDVFT α = 1", "CDVFT α = 5", "LoRA r = 8"]
OWNER = "the visitor's own"


RACE = ({"method": "cdvft"}, {"method": "cdvft", "alpha": 5.0}, {"method": "lora"})


def plans(*methods):
    return [catalog.resolve(one) for one in RaceRequest(methods=methods or RACE).runs()]


def ended(app, state="finished", *, sweep=False):
    """Its runs, each with something to use."""
    made = app.store.create([one.settings for one in plans()], OWNER, "Films", "1:1", sweep=sweep)
    for run in made:
        folder = app.store.make_folder(run.id) / "adapter"
        folder.mkdir()
        (folder / "adapter_model.safetensors").write_bytes(b"")
        app.store.append(run.id, run_events.started(9, evaluation_examples=32))
        app.store.append(run.id, run_events.done(4, folder, state=state, seconds=39.0))
    return made


def test_in_use(app):
    made = ended(app)
    assert [plain(run.label) for run in races.opened(app.store, made[0].group_id)] == NAMES
    assert [plain(find(app.store, run.id).label) for run in made] == NAMES, "asked for by itself"
    title, _ = races.choices(app.store)[0]
    assert plain(title).endswith(" · CDVFT α = 1, CDVFT α = 5, LoRA r = 8")
    assert plain(find(app.store, ended(app, sweep=True)[1].id).label) == "CDVFT", "of a sweep"


def test_in_compare(app):
    (group,) = {run.group_id for run in ended(app)}
    ((title, _),) = finished_races.choices(app.store)
    assert plain(title).endswith(" · CDVFT α = 1, CDVFT α = 5, LoRA r = 8")
    told = plain(finished_races.measured(app.store, group))
    assert [told.count(f"</span>{name} <b>") for name in NAMES] == [1, 1, 1]


def test_where_the_buttons_say_what_goes_on(app):
    made = ended(app, "stopped")
    said = buttons(app.store, [made[1].id], OWNER).reason
    assert "Resume goes on with CDVFT α = 5 from" in plain(said)


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        ({"lora_r": "8, 8.0"}, "LoRA rank (r): got 8, 8.0; "),
        ({"lora_r": "2, 4, 2", "learning_rate.lora": "1, 2, 1"}, "LoRA rank (r): got 2, 4, 2; "),
        ({"learning_rate.lora": "0.1,0.1"}, "Learning rate of LoRA: got 0.1,0.1; "),
        ({"methods": ["cdvft"], "m": "2, 2"}, "Diagonal vectors (m): got 2, 2; "),
    ],
)
def test_the_same_value_twice_is_refused_in_the_words_of_the_page(typed: dict, told: str) -> None:
    assert refusal(lambda: form.race(EMPTY | {"methods": ["lora"]} | typed)) == (
        f"{told}that races the same twice. Give each entry a value of its own, or one value alone."
    )
