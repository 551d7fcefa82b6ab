"""The settings of a race before Start: what a visit asks, what is refused, what fields and buttons say."""

from __future__ import annotations

import json

from playwright.sync_api import Page, expect
from studio import Server, Visit, all_is_asked, fill_in, setting, without_app

COUNT_WRAPPED_EVENTS = """window.wrapped = 0;
  window.Proxy = new Proxy(Proxy, { construct(proxy, given) {
    if (given[0].targets) window.wrapped += 1;  // which an event of Gradio's has
    return new proxy(...given);
  } });"""


def test_a_visit_asks_for_no_event_of_what_is_as_it_was_built(visit: Visit, server: Server) -> None:
    """An event costs the browser time for every field of the page; a proxy of each, when it is opened."""
    page = without_app(visit)
    protocol = page.context.new_cdp_session(page)
    protocol.send("Page.enable")
    protocol.send("Page.addScriptToEvaluateOnNewDocument", {"source": COUNT_WRAPPED_EVENTS})
    bodies: list[str] = []
    page.on("request", lambda asked: "/run/predict" in asked.url and bodies.append(asked.post_data or ""))
    page.goto(page.url.replace("theme.css", ""))
    page.locator("#start:enabled").wait_for()
    page.wait_for_function("() => document.cookie.includes('cdvft-viewer=')")
    all_is_asked(page)
    asked = [server.page.fns[json.loads(body)["fn_index"]].fn.__name__ for body in bodies]
    assert {*asked} == {"visited", "answered", "held"}  # the visit, the count of the form, data of one's own
    assert len(asked) <= 4  # the form is counted again where the hub is out of reach
    assert page.evaluate("window.wrapped") == 0
    protocol.detach()  # which takes its script out of this window


TEXT_UNDER_ARROW = """() => [...document.querySelectorAll('input[role=combobox]')]
  .filter((field) => field.checkVisibility() && field.nextElementSibling?.matches('.icon-wrap'))
  .map((field) => {
    const {textOverflow: cut, paddingRight} = getComputedStyle(field);
    const end = field.getBoundingClientRect().right - parseFloat(paddingRight);
    return {name: field.ariaLabel, cut, under: end - field.nextElementSibling.getBoundingClientRect().left};
  })"""


def test_what_is_chosen_from_a_list_ends_before_the_arrow(visit: Visit) -> None:
    narrow = {"width": 390, "height": 844}
    page = visit("?tab=use", viewport=narrow, ready="#tab-use [role=combobox]")
    for tab, width, last in (
        ("Use", 390, "With the label"),
        ("Use", 1280, "With the label"),
        ("Compare", 1280, "Precision"),
    ):
        page.set_viewport_size({"width": width, "height": 844})
        page.get_by_role("tab", name=tab).click()
        page.get_by_label(last).first.wait_for()
        lists = page.evaluate(TEXT_UNDER_ARROW)
        assert len(lists) >= 3
        assert [one for one in lists if one["under"] > 0 or one["cut"] != "ellipsis"] == []


def test_what_cannot_be_trained_is_said_before_start_and_marks_its_field(visit: Visit) -> None:
    page = visit()
    a_refused_value_marks_its_field(page)
    impossible_choices_are_explained(page)
    a_chosen_layer_is_removed_by_name(page)
    what_the_hub_cannot_give_is_said(page)


def a_refused_value_marks_its_field(page: Page) -> None:
    field = setting(page, "m")
    fill_in(field, "two")
    expect(page.locator("#counts .problem")).to_contain_text("it must be a whole number from 2 to 16")
    expect(field).to_have_attribute("aria-invalid", "true")
    fill_in(field, "3")
    expect(field).not_to_have_attribute("aria-invalid", "true")
    expect(page.locator("#start")).to_be_enabled()


def impossible_choices_are_explained(page: Page) -> None:
    for name, value, sentence in (
        ("m", "1", "Diagonal vectors (m): got 1; it must be from 2 to 16."),
        ("m", "2.5", "Diagonal vectors (m): got 2.5;"),
        (
            "block_size",
            "9999",
            "Block size (p): got 9999; attention.self.query is 384 x 384, so it can be at most 384.",
        ),
    ):
        field = setting(page, name)
        was = field.input_value()
        field.fill(value)
        expect(page.locator("#counts .problem")).to_contain_text(sentence)
        expect(page.locator("#start")).to_be_disabled()
        field.fill(was)
        expect(page.locator("#start")).to_be_enabled()
    setting(page, "m").fill("3")
    expect(page.locator(".promise b")).to_have_text("23,040")
    setting(page, "block_size").fill("64")
    page.get_by_role("button", name="The method").click()
    expect(page.locator("#blocks")).to_contain_text("6 × 6 circulant blocks of 64")


def a_chosen_layer_is_removed_by_name(page: Page) -> None:
    page.get_by_role("button", name="Model and data").click()
    layers = page.locator("#set-target_modules")
    layers.get_by_role("button", name="Remove query").press("Enter")  # what the fold brings still moves it
    expect(layers.locator(".token")).to_have_count(1)
    expect(layers.get_by_role("button", name="Remove value")).to_be_visible()


def what_the_hub_cannot_give_is_said(page: Page) -> None:
    expect(page.locator("#start")).to_be_enabled()
    page.locator(".hub summary").click()
    page.locator(".hub label.recipe").first.click()
    expect(page.locator("#counts .problem")).to_contain_text("cannot be fetched. HF_HUB_OFFLINE is set")
    expect(page.locator("#start")).to_be_disabled()
    page.get_by_role("radio", name="Tiny handwritten digits").check()
    expect(page.locator("#start")).to_be_enabled()
    expect(page.locator("#counts .problem")).to_have_count(0)


def test_the_buttons_leave_small_screens_to_the_settings_and_the_keyboard_is_not_under_them(
    visit: Visit,
) -> None:
    page = visit(viewport={"width": 640, "height": 450})
    expect(page.locator("#start")).to_be_enabled()
    assert top_of_buttons(page) > 450
    page.set_viewport_size({"width": 390, "height": 844})
    assert top_of_buttons(page) > 844 - 90
    for width, height in ((390, 844), (1280, 900)):
        page.set_viewport_size({"width": width, "height": height})
        what_the_keyboard_comes_to_is_not_under_the_buttons(page)


def top_of_buttons(page: Page) -> float:
    return page.locator(".go-buttons").first.evaluate("(row) => row.getBoundingClientRect().top")


def what_the_keyboard_comes_to_is_not_under_the_buttons(page: Page) -> None:
    setting(page, "m").focus()
    passed = set()
    for _ in range(30):
        page.keyboard.press("Tab")
        name, bottom, buttons = page.evaluate(
            """() => [document.activeElement.closest("[id]").id,
                document.activeElement.getBoundingClientRect().bottom,
                Math.max(...[".go", ".go-buttons"].map(
                    (part) => document.querySelector(part).getBoundingClientRect().top))]"""
        )
        if name == "start":
            break
        passed.add(name)
        assert bottom <= buttons, name
    assert name == "start" and "set-alpha" in passed
