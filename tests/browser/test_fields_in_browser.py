"""What Gradio's own fields say, and how much of a small screen the buttons take."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect
from studio import Visit, fill_in

pytestmark = pytest.mark.browser


def test_a_chosen_layer_is_removed_by_name(visit: Visit) -> None:
    page = visit()
    layers = page.locator("#set-target_modules")
    layers.get_by_role("button", name="Remove query").click()
    expect(layers.locator(".token")).to_have_count(1)
    expect(layers.get_by_role("button", name="Remove value")).to_be_visible()


def test_a_refused_value_marks_its_field(visit: Visit) -> None:
    page = visit()
    field = page.locator("#set-m input")
    fill_in(field, "two")
    expect(page.locator("#counts .problem")).to_contain_text("it must be a whole number from 2 to 16")
    expect(field).to_have_attribute("aria-invalid", "true")
    fill_in(field, "3")
    expect(field).not_to_have_attribute("aria-invalid", "true")


@pytest.mark.parametrize(("width", "height", "most"), [(640, 450, 0), (390, 844, 90)])
def test_the_buttons_leave_a_small_screen_to_the_settings(
    visit: Visit, width: int, height: int, most: int
) -> None:
    page = visit(viewport={"width": width, "height": height})
    expect(page.locator("#start")).to_be_enabled()
    top = page.locator(".go-buttons").first.evaluate("(row) => row.getBoundingClientRect().top")
    assert top > height - most if most else top > height
