"""The language of texts is named, and the model that reads it is chosen."""

from __future__ import annotations

import random

import pytest
from given_tables import looked, table_of

from cdvft_app.catalog import get_recipe, resolve
from cdvft_app.catalog.uploaded import suited_model
from cdvft_app.data.inspect import as_dict
from cdvft_app.data.language import language_of
from cdvft_app.settings import RunSettings

ENGLISH = "The delivery of my order {} was late and nobody answered."
FRENCH = "La livraison de ma commande {} est arrivée en retard, personne ne répond."
GERMAN = "Die Lieferung meiner Bestellung {} kam viel zu spät und niemand hat geantwortet."


def inspected(tmp_path, *texts):
    rows = (f'"{texts[n % len(texts)].format(n)}",{("bad", "good")[n // 3 % 2]}' for n in range(42))
    return looked(table_of(tmp_path, "text,label", rows))


ANIMALS = "cat", "dog", "bird", "fish", "horse", "mouse", "lion", "tiger"


@pytest.mark.parametrize(
    ("texts", "language"),
    [
        ([ENGLISH] * 20, "en"),
        ([GERMAN] * 20, "de"),
        ([FRENCH] * 20, "fr"),
        (["De levering van mijn bestelling {} was te laat en niemand antwoordde."] * 20, "nl"),
        (["Доставка моего заказа {} опоздала, и никто не ответил на письмо."] * 20, "ru"),
        (["Short {}"] * 20, None),
        ([ENGLISH] * 3, None),  # too few say nothing
        ([ENGLISH, GERMAN] * 20, "mul"),
        ([ENGLISH, GERMAN, FRENCH] * 10, "mul"),
        ([ENGLISH] * 700 + [GERMAN] * 300, "mul"),  # sorted by language
        ([ENGLISH] * 19 + [GERMAN], "en"),  # one in twenty makes no mixture
        # Short texts of few words: of many of them another language is the likeliest by a little.
        ([f"sample {{}} class {('alpha', 'beta', 'gamma')[place % 3]} item" for place in range(80)], None),
        ([" ".join(random.Random(place).choices(ANIMALS, k=6)) for place in range(80)], "en"),
    ],
)
def test_the_language_of_most_texts_is_known_and_that_they_are_in_several(texts, language):
    assert language_of(text.format(place) for place, text in enumerate(texts)) == language


def test_a_model_of_many_languages_is_chosen_where_texts_are_in_several(tmp_path):
    found = inspected(tmp_path, GERMAN, ENGLISH, ENGLISH)
    assert any(one.startswith("The texts are in several languages. MiniLM") for one in found.notes)
    assert as_dict(found)["model"] == "e5_small"


def test_the_language_is_named_and_the_model_that_reads_it_is_chosen(tmp_path):
    german, english = inspected(tmp_path, GERMAN), inspected(tmp_path, ENGLISH)
    (said,) = [one for one in german.notes if one.startswith("The texts are in German. MiniLM")]
    assert "Multilingual E5" in said and "The texts are in English." in english.notes
    for found, model in ((german, "e5_small"), (english, "minilm")):
        assert as_dict(found)["model"] == model
        assert resolve(RunSettings(method="cdvft", data=found.data)).model.key == model
    chosen = RunSettings(method="cdvft", data=german.data, model="minilm")
    assert resolve(chosen).model.key == "minilm"
    assert suited_model(german.data, get_recipe("sst2")) == get_recipe("sst2").model
