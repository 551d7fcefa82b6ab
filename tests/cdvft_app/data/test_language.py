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


@pytest.mark.parametrize(
    ("text", "language"),
    [
        (ENGLISH, "en"),
        (GERMAN, "de"),
        (FRENCH, "fr"),
        ("De levering van mijn bestelling {} was te laat en niemand antwoordde.", "nl"),
        ("Доставка моего заказа {} опоздала, и никто не ответил на письмо.", "ru"),
        ("Short {}", None),
    ],
)
def test_the_language_most_texts_are_in_is_known(text, language):
    assert language_of(text.format(number) for number in range(20)) == language


def test_texts_in_several_languages_are_said_to_be():
    assert language_of([ENGLISH, GERMAN] * 20) == "mul"
    assert language_of([ENGLISH] * 700 + [GERMAN] * 300) == "mul"  # sorted by language
    assert language_of([ENGLISH] * 19 + [GERMAN]) == "en"  # one in twenty makes no mixture
    assert language_of([ENGLISH, GERMAN, FRENCH] * 10) == "mul"
    assert language_of([ENGLISH] * 3) is None  # too few say nothing


ANIMALS = "cat", "dog", "bird", "fish", "horse", "mouse", "lion", "tiger"


@pytest.mark.parametrize(
    ("texts", "language"),
    [
        ([f"sample {place} class {('alpha', 'beta', 'gamma')[place % 3]} item" for place in range(80)], None),
        ([" ".join(random.Random(place).choices(ANIMALS, k=6)) for place in range(80)], "en"),
    ],
)
def test_short_texts_of_few_words_are_not_taken_for_several_languages(texts, language):
    """Of many of them another language is the likeliest by a little."""
    assert language_of(texts) == language


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
