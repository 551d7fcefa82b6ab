"""A class on the Learn tab: a teacher and a pupil, each in a browser of their own."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect
from studio import Visit, axe_violations

pytestmark = pytest.mark.browser

TEACHING = "?tab=learn&lesson=teaching"


def test_a_class_votes_before_its_teacher_reveals(visit: Visit) -> None:
    teacher = visit(TEACHING, ready="#class-start button")
    teacher.get_by_role("button", name="Start a class").click()
    code = teacher.locator(".class-code")
    expect(code).to_have_text(re.compile(r"^[A-Z]{5}$"))
    expect(teacher.locator("#class-start img")).to_have_attribute("src", re.compile("^data:image/svg"))
    assert not axe_violations(teacher)

    pupil = visit(f"?tab=learn&class={code.inner_text().lower()}", ready="#class-bar section:visible")
    bar = pupil.locator("#class-bar")
    expect(bar).to_contain_text(re.compile(f"Class {code.inner_text()}. In its table you are [A-Z]{{4}}."))
    expect(pupil).not_to_have_url(re.compile("class="))
    expect(teacher.locator("#class-bar")).to_contain_text("1 follows")

    # The teacher leads to a lesson; the vote is in, and nothing is shown before the reveal.
    teacher.get_by_role("navigation", name="Lessons").get_by_role("link", name="The rank machine").click()
    teacher.get_by_role("button", name="Show this to all").click()
    lesson = pupil.locator("#lesson-rank")
    expect(lesson.locator("h2")).to_be_visible()
    lesson.locator(".question:visible").get_by_role("button", name="See").click()
    expect(lesson.locator(".question:visible .feedback")).to_contain_text("Your vote is in.")
    expect(lesson.locator(".machine-matrix dd").first).to_have_text("?")
    votes = teacher.locator("#class-bar .histogram li")
    expect(votes).to_have_text([re.compile("^4")])
    expect(bar.locator(".histogram")).to_have_count(0)
    teacher.get_by_role("button", name="Reveal this question").click()
    expect(lesson.locator(".question:visible .feedback")).to_contain_text("Not quite. It is 7.")
    expect(lesson.locator(".machine-matrix dd").first).to_have_text("7 of 8")
    expect(bar.locator(".histogram li")).to_have_text([re.compile("^4")])
    assert not axe_violations(pupil)


def test_sealed_answers_end_in_the_teachers_table(visit: Visit) -> None:
    teacher = visit(TEACHING, ready="#class-start button")
    teacher.get_by_role("button", name="Start a class").click()
    code = teacher.locator(".class-code").inner_text()
    pupil = visit(f"?tab=learn&class={code}", ready="#class-bar section:visible")
    bar = pupil.locator("#class-bar")
    bar.get_by_role("button", name="Sealed question: rank").click()
    bar.get_by_label("Your answer").fill("0")
    bar.get_by_role("button", name="Answer", exact=True).click()
    expect(bar).to_contain_text("Not quite. It is ")
    bar.get_by_role("button", name="Hand in this state").click()
    expect(bar).to_contain_text("whoever runs it sets CDVFT_CLASS_KEY")  # this server has none
    with teacher.expect_download() as taken:
        teacher.get_by_role("button", name="Table as CSV").click()
    table = taken.value.path().read_text()
    assert taken.value.suggested_filename == f"class-{code}.csv"
    assert len(table.splitlines()) == 2 and "sealed question" in table
    bar.get_by_role("button", name="Leave").click()
    expect(pupil.locator("#class-bar section")).to_be_hidden()


def test_a_worksheet_has_all_questions_of_a_lesson(visit: Visit) -> None:
    page = visit(TEACHING, ready="#worksheets select")
    sheet = page.locator(".worksheet")
    page.get_by_label("Lesson", exact=True).select_option("The rank machine")
    expect(sheet.locator("ol > li")).to_have_count(6)
    expect(sheet).not_to_contain_text("Answer: 7")
    page.get_by_label("with answers").check()
    expect(sheet).to_contain_text("Answer: 7")
    page.evaluate("document.body.classList.add('prints-worksheet')")
    page.emulate_media(media="print")
    expect(page.locator(".masthead")).to_be_hidden()
    expect(page.locator("#lesson-teaching table").first).to_be_hidden()
    expect(sheet).to_be_visible()


def test_a_code_that_is_no_class_is_said(visit: Visit) -> None:
    page = visit("?tab=learn&class=QQQQQ", ready="#class-bar section:visible")
    expect(page.locator("#class-bar")).to_contain_text("There is no class of this code")
