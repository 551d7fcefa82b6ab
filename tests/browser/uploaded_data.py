"""A visitor's own data, given and chosen on the Train tab."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import Page, expect


def give(page: Page, file: Path) -> str:
    """Choose the file; what is then said of it."""
    if not page.locator("#own-file").is_visible():
        page.get_by_role("button", name="Your own data").click()
    page.locator("#own-file input[type=file]").set_input_files(file)
    found = page.locator("#own-found")
    expect(found).to_contain_text("rows to learn from")
    return found.inner_text()


def learn(page: Page, title: str) -> None:
    page.locator("#own-use").click()
    expect(page.locator("#own-chosen")).to_contain_text(f"Learning from your data “{title}”")
    expect(page.get_by_role("checkbox", name="Head only")).to_be_checked()


def mine(page: Page) -> list[str]:
    """The data that the page offers, which is this visitor's."""
    if not page.locator("#own-mine").is_visible():
        page.get_by_role("button", name="Your own data").click()
    page.locator("#own-mine input").click()
    offered = page.get_by_role("option").all_inner_texts()
    page.keyboard.press("Escape")
    return offered
