"""A visitor's own data, given and chosen on the Train tab."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import Page, expect


def give(page: Page, file: Path) -> str:
    """Choose the file; what is then said of it."""
    page.locator("#own-file input[type=file]").set_input_files(file)
    expect(page.locator("#own-found h2")).to_have_text(file.stem)
    expect(page.locator("#own-found")).to_contain_text("rows to learn from")
    return page.locator("#own-found").inner_text()


def learns(page: Page, title: str) -> None:
    """What was given is what Start trains on."""
    expect(page.locator("#start")).to_have_text(f"Start on “{title}”")
    expect(page.locator("#start")).to_be_enabled()


def more(page: Page) -> None:
    """Open the fold with evaluation, name and Delete."""
    page.get_by_role("button", name="Evaluation, name, delete").click()


def mine(page: Page) -> list[str]:
    """The data that the page offers, which is this visitor's."""
    if not page.locator("#own-mine").is_visible():
        return []
    page.locator("#own-mine input").click()
    options = page.get_by_role("listbox").get_by_role("option")
    options.first.wait_for()
    offered = options.all_inner_texts()
    page.keyboard.press("Escape")
    return offered
