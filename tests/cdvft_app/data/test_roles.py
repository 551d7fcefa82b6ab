"""What is taken for text, label, prompt and answer of common files, and where a person is asked."""

from __future__ import annotations

from pathlib import Path

import pytest

from cdvft_app.data import library
from cdvft_app.data.imported_table import import_file
from cdvft_app.data.inspect import inspect
from cdvft_app.store.runs import RunStore

FILES = Path(__file__).parent / "roles"
TEXT_AND_LABEL = (
    "text_label.csv label_first.csv id_text_label.csv split_column.csv label_and_label_text.csv "
    "lang_label.csv text_label.jsonl text_label.parquet text_label.csv.gz "
)
CONVERSATIONS = (
    "messages.jsonl messages_121_rows.jsonl messages.parquet messages_in_csv.csv sharegpt.jsonl "
    "sharegpt.json sharegpt.parquet conversation_column.jsonl prompt_completion_messages.jsonl "
    "messages.jsonl.gz "
)
LEARNED = [
    *((name, "classification", ("text",), "label") for name in TEXT_AND_LABEL.split()),
    *((name, "generation", ("prompt",), "answer") for name in CONVERSATIONS.split()),
    ("sentence_sentiment.tsv", "classification", ("sentence",), "sentiment"),
    ("review_stars.csv", "classification", ("review",), "stars"),
    ("idx_sentence_label.csv", "classification", ("sentence",), "label"),
    ("unnamed_index.csv", "classification", ("tweet",), "class"),
    ("uuid_date_text_label.csv", "classification", ("message",), "intent"),
    ("headline_category_author.csv", "classification", ("headline",), "category"),
    ("unnamed_columns.csv", "classification", ("spoken",), "kind"),
    ("no_head.csv", "classification", ("column 1",), "column 2"),
    ("spam_v1_v2.csv", "classification", ("v2",), "v1"),
    ("title_body_label.csv", "classification", ("body",), "label"),
    ("Review Text.csv", "classification", ("Review Text",), "Rating"),
    ("ticket_description.csv", "classification", ("Ticket Description",), "Ticket Type"),
    ("url_title_topic.csv", "classification", ("title",), "topic"),
    ("email_comment_toxic.csv", "classification", ("comment_text",), "toxic"),
    ("fine_and_coarse.csv", "classification", ("text",), "fine_label"),
    ("only_language.csv", "classification", ("text",), "lang"),
    ("text_score.csv", "regression", ("text",), "score"),
    ("sentence_a_b_similarity.csv", "regression", ("sentence_a", "sentence_b"), "similarity"),
    ("stsb.tsv", "regression", ("sentence1", "sentence2"), "score"),
    ("sick.csv", "regression", ("sentence_A", "sentence_B"), "relatedness_score"),
    ("premise_hypothesis.csv", "classification", ("premise", "hypothesis"), "label"),
    ("nli_gold_label.csv", "classification", ("sentence1", "sentence2"), "gold_label"),
    ("quora.csv", "classification", ("question1", "question2"), "is_duplicate"),
    ("text_1_text_2.csv", "classification", ("text_1", "text_2"), "same"),
    ("query_passage.csv", "classification", ("query", "passage"), "relevance"),
    ("satz1_satz2.csv", "regression", ("Satz1", "Satz2"), "Ähnlichkeit"),
    ("kategorie_prioritaet.csv", "classification", ("Betreff",), "Kategorie"),
    ("prioritaet_vor_kategorie.csv", "classification", ("Beschreibung",), "Kategorie"),
    ("bewertung_sterne.csv", "classification", ("Bewertung",), "Sterne"),
    ("rezension_stimmung.csv", "classification", ("Rezension",), "Stimmung"),
    ("nachricht_abteilung.csv", "classification", ("Nachricht",), "Abteilung"),
    ("texte_categorie.csv", "classification", ("texte",), "catégorie"),
    ("avis_note.csv", "classification", ("avis",), "note"),
    ("commentaire_sentiment_langue.csv", "classification", ("commentaire",), "sentiment"),
    ("texto_etiqueta.csv", "classification", ("texto",), "etiqueta"),
    ("resena_sentimiento.csv", "classification", ("reseña",), "sentimiento"),
    ("frage_antwort.csv", "generation", ("Frage",), "Antwort"),
    ("question_reponse.csv", "generation", ("question",), "réponse"),
    ("pregunta_respuesta.csv", "generation", ("pregunta",), "respuesta"),
    ("alpaca.json", "generation", ("instruction", "input"), "output"),
    ("alpaca_few_answers.jsonl", "generation", ("instruction", "input"), "output"),
    ("alpaca_text.jsonl", "generation", ("instruction",), "output"),
    ("dolly.jsonl", "generation", ("instruction", "context"), "response"),
    ("prompt_completion.jsonl", "generation", ("prompt",), "completion"),
    ("question_answer.csv", "generation", ("question",), "answer"),
    ("gsm8k.jsonl", "generation", ("question",), "answer"),
    ("source_target.csv", "generation", ("source",), "target"),
    ("article_summary.csv", "generation", ("article",), "summary"),
    ("anweisung_ausgabe.csv", "generation", ("Anweisung", "Eingabe"), "Ausgabe"),
    ("question_yes_no.csv", "classification", ("question",), "answer"),
    ("question_answer_label.csv", "classification", ("question", "answer"), "label"),
    ("tickets.xlsx", "classification", ("Betreff",), "Kategorie"),
    ("title_above.xlsx", "classification", ("Nachricht",), "Stimmung"),
    ("scores.xlsx", "regression", ("text",), "score"),
    ("score_decimal_comma.csv", "regression", ("text",), "Bewertung"),
    ("avis.ods", "classification", ("avis",), "note"),
]
ASKED = [
    ("two_unnamed_categories.csv", "“colour” and “shape”"),
    ("sentiment_and_topic.csv", "“sentiment” and “topic”"),
    ("many_flags.csv", "“toxic”, “obscene”, “threat” and “insult”"),
    ("two_unnamed_texts.csv", "“left” and “right”"),
    ("department_region.csv", "“Werk” and “Schicht”"),
    ("miete_haustiere.csv", "“Haustiere” and “Miete”"),
    ("only_ids_and_dates.csv", "No column holds text"),
    ("one_column.csv", "It has one column"),
    ("text_and_ids.csv", "No column looks like a label"),
    ("text_and_dates.csv", "No column looks like a label"),
    ("preference.jsonl", "preference pairs"),
    ("preference_without_prompt.jsonl", "preference pairs"),
    ("preference_better_worse.csv", "preference pairs"),
    ("preference_conversations.jsonl", "preference pairs"),
    ("preference_conversations.parquet", "preference pairs"),
]


@pytest.mark.parametrize(("name", "task", "inputs", "label"), LEARNED)
def test_roles_of_common_files_are_found(name, task, inputs, label):
    found = inspect(import_file(FILES / name), name)
    assert (found.task, found.roles.inputs, found.roles.label) == (task, inputs, label)
    assert found.problem is None and (found.data.kind == "generation") is (task == "generation")


@pytest.mark.parametrize(("name", "problem"), ASKED)
def test_a_person_is_asked_where_nothing_or_several_columns_fit(name, problem):
    found = inspect(import_file(FILES / name), name)
    assert found.data is None
    assert problem in found.problem
    store = RunStore.default()
    given = library.give(store, FILES / name, "me")
    assert library.look(store, given.id, "me").problem == found.problem  # as the page and `train` ask


def test_every_file_is_a_case():
    assert {file.name for file in FILES.iterdir()} == {name for name, *_ in (*LEARNED, *ASKED)}
