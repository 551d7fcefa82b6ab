"""A class on the Learn tab: a teacher and a pupil, each in a browser of their own."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from contextlib import suppress

import pytest
from playwright.sync_api import Error, Page, Route, expect
from studio import Server, Visit, axe_violations, downloaded, look_again

TEACHING = "?tab=learn&lesson=teaching"


@pytest.fixture(scope="module", autouse=True)
def signing_key() -> Iterator[None]:
    """Of the server of these tests, which reads it when it begins."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CDVFT_CLASS_KEY", "a key of the operator's")
        yield


def table(teacher: Page) -> list[dict[str, str]]:
    file = downloaded(teacher.get_by_role("button", name="Table as CSV"))
    return [*csv.DictReader(file.read_text().splitlines())]


def started(visit: Visit) -> tuple[Page, str]:
    """A class: its teacher's page, and its code."""
    teacher = visit(TEACHING, ready="#class-start button")
    teacher.get_by_role("button", name="Start a class").click()
    return teacher, teacher.locator(".class-code").inner_text()


def test_a_class_votes_before_its_teacher_reveals(visit: Visit) -> None:
    teacher = visit(TEACHING, ready="#class-start button")
    teacher.get_by_role("button", name="Start a class").click()
    code = teacher.locator(".class-code")
    expect(code).to_have_text(re.compile(r"^[A-Z]{5}$"))
    expect(teacher.locator("#class-start img")).to_have_attribute("src", re.compile("^data:image/svg"))
    assert not axe_violations(teacher)
    her_own_link_leaves_the_teacher_her_key(teacher, code.inner_text())

    pupil = visit(f"?tab=learn&class={code.inner_text().lower()}", ready="#class-bar section:visible")
    bar = pupil.locator("#class-bar")
    expect(bar).to_contain_text(re.compile(f"Class {code.inner_text()}. In its table you are [A-Z]{{4}}."))
    expect(pupil).not_to_have_url(re.compile("class="))
    expect(teacher.locator("#class-bar")).to_contain_text("2 follow")

    # The teacher leads to a lesson; the vote is in, and nothing is shown before the reveal.
    teacher.get_by_role("navigation", name="Lessons").get_by_role("link", name="The rank machine").click()
    teacher.evaluate("history.replaceState(null, '', `${location.search}&class=QQQQQ`)")  # never joined
    teacher.get_by_role("button", name="Show this to all").click()
    lesson = pupil.locator("#lesson-rank")
    expect(lesson.locator("h2")).to_be_visible()
    for page in (pupil, teacher):
        expect(page).not_to_have_url(re.compile("class="))
    lesson.locator(".question:visible").get_by_role("button", name="See").click()
    expect(lesson.locator(".question:visible .feedback")).to_contain_text("Your vote is in.")
    expect(lesson.locator(".machine-matrix dd").first).to_have_text("?")
    votes = teacher.locator("#class-bar .histogram li")
    expect(votes).to_have_text([re.compile("^4")])
    a_server_that_cannot_keep_classes_for_a_while_is_waited_for(teacher)
    expect(bar.locator(".histogram")).to_have_count(0)
    teacher.get_by_role("button", name="Reveal this question").click()
    expect(lesson.locator(".question:visible .feedback")).to_contain_text("Not quite. It is 7.")
    expect(lesson.locator(".machine-matrix dd").first).to_have_text("7 of 8")
    expect(bar.locator(".histogram li")).to_have_text([re.compile("^4")])
    assert not axe_violations(pupil)

    # Who goes elsewhere is led back where the same is shown again.
    pupil.get_by_role("navigation", name="Lessons").get_by_role("link", name="One column").click()
    expect(lesson.locator("h2")).to_be_hidden()
    teacher.get_by_role("button", name="Show this to all").click()
    expect(lesson.locator("h2")).to_be_visible()


def a_server_that_cannot_keep_classes_for_a_while_is_waited_for(teacher: Page) -> None:
    refused = {"error": "The server cannot keep classes now (database is locked).", "busy": False}
    said = teacher.locator("#class-bar .class-said")
    teacher.route("**/class_bar/seen", lambda route: route.fulfill(json=refused))
    expect(said).to_contain_text("database is locked")
    teacher.unroute("**/class_bar/seen")
    look_again(teacher)
    expect(said).to_be_empty()


def her_own_link_leaves_the_teacher_her_key(teacher: Page, code: str) -> None:
    link = teacher.locator("#class-start a", has_text=f"class={code}")
    with teacher.expect_popup() as opened:
        link.click()
    expect(opened.value.locator("#class-bar")).to_contain_text("In its table you are ")
    opened.value.close()
    teacher.goto(f"{teacher.url}&class={code}")
    expect(teacher.locator("#class-bar")).to_contain_text(f"Class {code}: 1 follows.")
    expect(teacher).not_to_have_url(re.compile("class="))


def test_a_vote_is_sent_until_it_arrives_and_the_last_one_counts(visit: Visit) -> None:
    teacher, code = started(visit)
    teacher.get_by_role("navigation", name="Lessons").get_by_role("link", name="The rank machine").click()
    pupil = visit(f"?tab=learn&lesson=rank&class={code}", ready="#class-bar section:visible")
    expect(pupil.locator("#class-bar")).to_contain_text("In its table you are ")
    held: list[Route] = []
    sent = "**/class_bar/vote"
    pupil.route(sent, lambda route: held.append(route), times=2)  # noqa: PLW0108 (Playwright keeps notes on it)
    question = pupil.locator("#lesson-rank .question:visible")
    feedback = question.locator(".feedback")
    with pupil.expect_request(sent):
        question.get_by_role("button", name="See").click()
        question.get_by_role("slider").press("ArrowRight")
        question.get_by_role("button", name="See").click()
    expect(feedback).to_have_text("Your vote is on its way.")
    (first,) = held  # one at a time, or the older may arrive last
    with pupil.expect_request(sent):
        first.abort()
    expect(feedback).to_have_text("Your vote is on its way.")
    held[1].abort()
    votes = teacher.locator("#class-bar .histogram li")
    expect(votes).to_have_text([re.compile("^5")])
    expect(feedback).to_have_text("Your vote is in. Your teacher reveals the answer.")
    teacher.reload()  # on which the question may come before the bar
    expect(votes).to_have_text([re.compile("^5")])


def test_what_a_pupil_answers_and_hands_in_outlives_a_new_server(visit: Visit, server: Server) -> None:
    teacher, code = started(visit)
    pupil = visit(f"?tab=learn&lesson=rank&class={code}", ready="#class-bar section:visible")
    bar = pupil.locator("#class-bar")
    expect(bar).to_contain_text("In its table you are ")
    (name,) = re.findall(r"you are ([A-Z]{4})\.", bar.inner_text())
    sealed_answers_end_in_the_teachers_table(pupil, teacher)
    receipt = homework_is_handed_in_with_its_state(pupil, teacher, name, visit)
    a_receipt_is_checked(teacher, receipt, rf"Handed in 20\d\d-.* UTC to class {code} by {name}: \?tab=learn")
    for page in (teacher, pupil):
        page.evaluate("() => { window.ofTheServerBefore = true; }")
    server.restart()
    for page in (teacher, pupil):
        with suppress(Error):  # where it just loads itself anew, for it has found the server again
            page.reload()
        page.wait_for_function("() => !window.ofTheServerBefore")
    expect(bar.locator("p").first).to_have_text(f"Class {code}. In its table you are {name}.")
    expect(teacher.locator("#class-bar")).to_contain_text(f"Class {code}: 1 follows")
    assert [row["what"] for row in table(teacher)] == ["sealed question", "homework"]
    bar.get_by_role("button", name="Leave").click()
    expect(pupil.locator("#class-bar section")).to_be_hidden()
    a_worksheet_has_all_questions_of_a_lesson(teacher)


def sealed_answers_end_in_the_teachers_table(pupil: Page, teacher: Page) -> None:
    bar = pupil.locator("#class-bar")
    expect(bar.get_by_text("Sealed question:")).to_have_attribute("aria-hidden", "true")  # buttons say it
    bar.get_by_role("button", name="Sealed question: rank").click()
    bar.get_by_label("Your answer").fill("0")
    bar.get_by_role("button", name="Answer", exact=True).click()
    expect(bar).to_contain_text("Not quite. It is ")
    (row,) = table(teacher)
    assert (row["what"], row["answer"], row["right"]) == ("sealed question", "0", "false")


def homework_is_handed_in_with_its_state(pupil: Page, teacher: Page, name: str, visit: Visit) -> str:
    """The receipt."""
    handle = pupil.locator("#lesson-rank").get_by_role("slider", name="c 2", exact=True)
    handle.press("End")
    expect(pupil).to_have_url(re.compile("values="))
    lessons = pupil.get_by_role("navigation", name="Lessons")
    lessons.get_by_role("link", name="One column").click()  # and back: what was done there is still handed in
    lessons.get_by_role("link", name="The rank machine").click()
    expect(pupil).to_have_url(re.compile("lesson=rank&values="))
    pupil.get_by_role("button", name="Hand in this state").click()
    receipt = pupil.locator("#class-bar").get_by_label("Receipt")
    expect(receipt).to_have_value(re.compile(r"^[\w.-]+$"))
    assert not axe_violations(pupil, "#class-bar")

    (_, row) = table(teacher)
    assert (row["pupil"], row["what"], row["answer"]) == (name, "homework", re.sub(r"^[^?]*", "", pupil.url))
    other = visit(row["answer"], ready="#lesson-rank .question")  # the teacher opens what was handed in
    shown = other.locator("#lesson-rank").get_by_role("slider", name="c 2", exact=True)
    expect(shown).to_have_attribute("aria-valuetext", handle.get_attribute("aria-valuetext") or "")
    return receipt.input_value()


def a_receipt_is_checked(teacher: Page, receipt: str, proof: str) -> None:
    teacher.get_by_text("Check a receipt of homework").click()
    given = teacher.get_by_label("A receipt of homework")
    said = teacher.locator("#class-start details")
    given.fill(receipt)
    teacher.get_by_role("button", name="Check", exact=True).click()
    expect(said).to_contain_text(re.compile(proof))
    given.fill(receipt[:-3] + "AAA")
    teacher.get_by_role("button", name="Check", exact=True).click()
    expect(said).to_contain_text("was not signed by this server")


def a_worksheet_has_all_questions_of_a_lesson(page: Page) -> None:
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
