"""Dropdowns by keyboard and mouse: a model's field left as it was changes nothing, and typing replaces it."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from typing import NamedTuple

import pytest
from playwright.sync_api import Locator, Page, Request, expect
from studio import Server, Visit, two_frames

from cdvft_app.ui.compare import tab as compare_tab
from cdvft_app.ui.train import tab as train_tab


class Choice(NamedTuple):
    """A model's field, the one after it, and that of the model's layers."""

    model: str
    after: str
    layers: str


COMPARE = Choice("cost-model", "cost-device", "cost-targets")
TRAIN = Choice("set-model", "find-model", "set-target_modules")


def chosen(page: Page, layers: str) -> Locator:
    return page.locator(f"#{layers} .token")


def asked_by(request: Request) -> int | None:
    """The number of the component whose event this request tells."""
    return request.post_data_json.get("trigger_id") if "/run/predict" in request.url else None


def leaving_a_models_field_keeps_its_layers(page: Page, server: Server, choice: Choice) -> None:
    expect(chosen(page, choice.layers)).to_have_count(2)
    chosen(page, choice.layers).last.locator(".token-remove").click()
    expect(chosen(page, choice.layers)).to_have_count(1)
    page.locator(f"#{choice.model} input").focus()
    (field,) = (one for one in server.page.blocks.values() if getattr(one, "elem_id", None) == choice.model)
    with page.expect_response(lambda answer: asked_by(answer.request) == field._id):
        page.keyboard.press("Tab")  # which Gradio tells the server as an input
    expect(page.locator(f"#{choice.after} input")).to_be_focused()
    two_frames(page)
    expect(chosen(page, choice.layers)).to_have_count(1)


def typing_replaces_a_model_and_brings_its_layers(page: Page, choice: Choice) -> None:
    page.locator(f"#{choice.model} input").click()
    page.keyboard.type("RoBERTa-large", delay=20)
    expect(page.locator("ul[role=listbox] li")).to_have_count(1)
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(page.locator(f"#{choice.model} input")).to_have_value(re.compile("^RoBERTa-large ", re.IGNORECASE))
    expect(chosen(page, choice.layers)).to_have_text(["query", "value"])


WATCHED = """(place) => {
  window.refusals = [];
  const look = () => {
    const said = document.querySelector(`${place} .problem`)?.textContent;
    if (said) window.refusals.push(said);
  };
  new MutationObserver(look).observe(document.body, { childList: true, subtree: true, characterData: true });
}"""


def _waiting(answer: Callable[..., object], ready: threading.Event) -> Callable[..., object]:
    def slowly(*given: object) -> object:
        ready.wait()
        return answer(*given)

    return slowly


@pytest.fixture
def slow_answers(monkeypatch: pytest.MonkeyPatch):
    """Answers to a choice of model or recipe, which wait for `set()`."""
    ready = threading.Event()
    for tab, answer in ((train_tab, "targets"), (compare_tab, "fields_of")):
        monkeypatch.setattr(tab, answer, _waiting(getattr(tab, answer), ready))
    yield ready
    ready.set()


def test_a_model_that_is_trained_is_chosen_by_a_recipe_left_and_typed(
    visit: Visit, server: Server, slow_answers: threading.Event
) -> None:
    slow_answers.set()
    page = visit()
    a_recipe_that_was_chosen_brings_its_layers_and_refuses_nothing(page, slow_answers)
    page.get_by_role("radio", name="Sentiment of film reviews").check()
    expect(chosen(page, TRAIN.layers)).to_have_text(["query", "value"])
    leaving_a_models_field_keeps_its_layers(page, server, TRAIN)
    typing_replaces_a_model_and_brings_its_layers(page, TRAIN)


def test_a_model_that_is_compared_is_left_typed_and_chosen(
    visit: Visit, server: Server, slow_answers: threading.Event
) -> None:
    slow_answers.set()
    page = visit("?tab=compare", ready="#costs h2")
    page.get_by_role("button", name="Methods, sizes, layers").click()
    leaving_a_models_field_keeps_its_layers(page, server, COMPARE)
    typing_replaces_a_model_and_brings_its_layers(page, COMPARE)
    a_model_is_counted_with_its_own_layers_until_its_choice_is_answered(page, slow_answers)


def a_recipe_that_was_chosen_brings_its_layers_and_refuses_nothing(
    page: Page, slow_answers: threading.Event
) -> None:
    page.evaluate(WATCHED, "#counts")
    slow_answers.clear()
    page.get_by_role("radio", name=re.compile("^Handwritten digits")).check()
    expect(page.locator("#counts")).to_contain_text("trains 46,080")
    expect(page.locator("#start")).to_be_enabled()
    slow_answers.set()
    page.get_by_role("button", name="Model and data").click()
    expect(chosen(page, "set-target_modules")).to_have_text(["attn.qkv", "attn.proj"])
    assert page.evaluate("window.refusals") == []


def a_model_is_counted_with_its_own_layers_until_its_choice_is_answered(
    page: Page, slow_answers: threading.Event
) -> None:
    page.evaluate(WATCHED, "#costs")
    slow_answers.clear()
    page.locator("#cost-model input").click()
    page.keyboard.type("gpt2 ")
    page.get_by_role("option", name=re.compile(r"^gpt2 ·")).click()
    expect(page.locator("#costs h2").first).to_have_text(re.compile("gpt2$"))
    assert chosen(page, "cost-targets").all_inner_texts()[0].startswith("query")
    slow_answers.set()
    expect(chosen(page, "cost-targets")).to_have_text(["c_attn"])
    expect(page.locator("#costs h2").first).to_have_text(re.compile("gpt2$"))
    assert page.evaluate("window.refusals") == []
