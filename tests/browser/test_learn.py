"""The lessons: what is dragged changes picture and numbers, questions answer, links lead back."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest
import torch
from playwright.sync_api import Locator, Page, expect
from studio import (
    Visit,
    axe_violations,
    beyond_the_edge,
    fetched_megabytes,
    own_requests,
    server_calls,
    set_range,
    shortcuts_taken,
    spot,
)
from visitors import MOVING, SIZE

from cdvft_app import ASSETS
from cdvft_app.inspection.sources import recorded_keys
from cdvft_app.ui.learn.lesson_texts import LESSONS, Choice, Estimate, Lesson, Question, Task

LESSON = {lesson.key: lesson for lesson in LESSONS}
KEYS = [*LESSON]
QUESTION = {question.key: question for lesson in LESSONS for question in lesson.questions}
PICTURES = "(part) => [...part.querySelectorAll('canvas:not(.over)')].map((canvas) => canvas.toDataURL())"


@contextmanager
def redrawn(part: Locator) -> Iterator[None]:
    """What happens within changes a picture."""
    before = part.evaluate(PICTURES)
    yield
    part.page.wait_for_function(
        f"([part, before]) => ({PICTURES})(part).join() !== before",
        arg=[part.element_handle(), ",".join(before)],
    )


def opened(visit: Visit, key: str, **options: object) -> tuple[Page, Locator]:
    """A visit to a lesson's link, and that lesson once it has been drawn."""
    page = visit(f"?tab=learn&lesson={key}", ready=f"#lesson-{key} .question", **options)
    lesson = page.locator(f"#lesson-{key}")
    expect(lesson.locator(".stage canvas").first).to_be_visible()
    return page, lesson


def turn_to(page: Page, lesson: Lesson) -> Locator:
    """Another lesson, by its link."""
    page.get_by_role("navigation", name="Lessons").get_by_role("link", name=lesson.title, exact=True).click()
    part = page.locator(f"#lesson-{lesson.key}")
    expect(part.locator(".question:visible")).to_be_visible()
    expect(part.locator(".stage canvas").first).to_be_visible()
    return part


def revealed(visit: Visit, key: str, **options: object) -> tuple[Page, Locator]:
    """The same, without a guess."""
    page, lesson = opened(visit, key, **options)
    lesson.get_by_role("button", name="Show me without a guess").click()
    return page, lesson


def predict(part: Locator, question: Question, right: bool) -> None:
    """Answer the question that is shown; a task is looked at, since each is done in a way of its own."""
    fieldset = part.locator(".question:visible")
    if isinstance(question, Choice):
        other = next(at for at in range(len(question.answers)) if at != question.right)
        fieldset.locator("input").nth(question.right if right else other).check()
    elif isinstance(question, Estimate):
        set_range(fieldset.get_by_role("slider"), question.right if right else question.start)
        fieldset.get_by_role("button", name="See").click()
    else:
        part.get_by_role("button", name=re.compile("^Show me")).locator("visible=true").click()


def test_every_lesson_ends_in_a_layer_that_is_recorded() -> None:
    assert {lesson.real_layer.run for lesson in LESSONS} <= {*recorded_keys()}


MAX_WORDS = 60
# Words of two letters and more that are seen, but for those of formulas.
WORDS = r"""(part) => {
  const seen = [];
  const walker = document.createTreeWalker(part, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const {parentElement: around, data} = walker.currentNode;
    if (around.closest(".katex, .hidden-text, [hidden]") || !around.checkVisibility()) continue;
    seen.push(...(data.match(/\p{L}[\p{L}'’]+/gu) ?? []));
  }
  return seen;
}"""


def test_a_lesson_opens_on_few_words_and_a_machine_that_moves_stands_alone_and_prints_on_a_sheet(
    visit: Visit,
) -> None:
    """Nothing is out of reach but the answer: the first handle changes the picture before any question."""
    page, _ = opened(visit, KEYS[0])
    for lesson in LESSONS:
        part = turn_to(page, lesson)
        said = part.evaluate(WORDS)
        assert len(said) <= MAX_WORDS, f"{lesson.key}: {len(said)} words: {' '.join(said)}"
        assert part.locator("[inert]").count() == 0
        expect(part.locator(".lesson-reasons").first).to_be_hidden()
        handle = part.locator(".lesson-play").locator("[role=slider], input").locator("visible=true").first
        handle.focus()
        with redrawn(part):
            for key in ("End", "Home", "ArrowRight", "Space"):
                page.keyboard.press(key)
        expect(part.locator(".lesson-reasons").first).to_be_hidden()
    a_lesson_stands_alone_works_without_its_server_and_prints_on_a_sheet(page)


def a_lesson_stands_alone_works_without_its_server_and_prints_on_a_sheet(page: Page) -> None:
    page.set_viewport_size({"width": 900, "height": 700})
    expect(page.locator(".masthead")).to_be_visible()
    page.goto(page.url.split("?")[0] + "?tab=learn&lesson=reach&embed=1&values=4")
    part = page.locator("#lesson-reach")
    part.get_by_role("button", name="Show me without a guess").click()  # which shows m = 2
    part.get_by_role("slider", name="m", exact=True).press("ArrowRight")
    expect(part.locator(".figures dd").first).to_have_text("50 of 100")  # m = 3
    for around in (".masthead", "#lessons", ".tab-wrapper", ".pager"):
        expect(page.locator(around).first).to_be_hidden()
    page.context.set_offline(True)
    try:
        part.get_by_role("slider", name="m", exact=True).press("ArrowRight")
        expect(part.locator(".figures dd").first).to_have_text("70 of 100")
        assert len(re.findall(rb"/Type\s*/Page\b", page.pdf())) == 1
    finally:
        page.context.set_offline(False)


MOVED_BY_PREDICTIONS = {"reach": "2", "blocks": "4", "breaking": "16~6~2"}
"""Places on sliders, as the address keeps them: m = 2, p = 8, and 7 bits at a rate of 0.15."""


def answer_all(page: Page, part: Locator, lesson: Lesson) -> None:
    for place, question in enumerate(lesson.questions, 1):
        feedback = part.locator(".question:visible .feedback")
        expect(feedback).to_be_empty()
        if isinstance(question, Task):
            predict(part, question, right=True)
            expect(feedback).to_have_text(question.reply)
        else:
            predict(part, question, right=False)
            expect(feedback).to_contain_text("Not quite. ")
            predict(part, question, right=True)
            expect(feedback).to_contain_text("Yes. ")
        if place < len(lesson.questions):
            part.get_by_role("button", name="Next").click()
    expect(part.locator(".lesson-reasons").first).to_be_visible()
    if not isinstance(lesson.questions[-1], Task):
        expect(page.locator("#lessons a[aria-current]")).to_have_class("answered")
    expect(page).to_have_url(re.compile(rf"lesson={lesson.key}&(values=[^&]*&)?answer=[-\d]+"))
    if lesson.key in MOVED_BY_PREDICTIONS:
        expect(page).to_have_url(re.compile(f"[?&]values={MOVED_BY_PREDICTIONS[lesson.key]}(&|$)"))


def test_machines_are_moved_by_hand_and_keyboard_and_tasks_are_done_on_them(visit: Visit) -> None:
    """What plays comes to its end; a link keeps that a task was done."""
    page, part = opened(visit, "circulant", **MOVING)
    the_column_slides(part)
    feedback = part.locator(".question:visible .feedback")
    for k in range(8):
        part.get_by_role("slider", name=f"c {k}", exact=True).press("End" if k == 2 else "0")
        expect(feedback).to_have_text(re.compile("^$" if k < 7 else r"^Yes\. Only c\[2\] = 1 is left"))
    page.reload()
    expect(feedback).to_contain_text("Yes. Only c[2] = 1 is left")

    part = turn_to(page, LESSON["fft"])
    waves_are_moved(part)
    feedback = part.locator(".question:visible .feedback")
    for name, value in (
        ("constant", 0.5),
        ("1 turn", 1.8),
        ("2 turns", 0.4),
        ("3 turns", 1.4),
        ("alternating", -0.6),
    ):
        bar = part.get_by_role("slider", name=f"FFT(c), {name}")
        step = 0.1 if name in ("constant", "alternating") else 0.05
        for _ in range(round(abs(1 - value) / step)):
            bar.press("ArrowRight" if value < 1 else "ArrowLeft")
        expect(bar).to_have_attribute("aria-valuetext", "1")
    expect(feedback).to_contain_text("Yes. All values of FFT(c) are 1")
    part.get_by_role("button", name="Next").click()
    predict(part, QUESTION["fft-eight"], right=True)
    part.get_by_role("button", name="Next").click()
    answers_are_looked_through_by_keys_before_one_is_given(part)
    predict(part, QUESTION["fft"], right=True)
    part.get_by_role("button", name="Multiply").click()
    expect(part.locator(".hand-said")).to_contain_text("Both come to")
    waves_that_were_dragged_are_kept(part)

    part = turn_to(page, LESSON["start"])
    part.get_by_role("checkbox", name="c₂ = 0").check()
    expect(part.locator(".question:visible .feedback")).to_contain_text("Yes. Exactly one zero")

    part = turn_to(page, LESSON["breaking"])
    part.get_by_role("slider", name="learning rate").press("End")
    expect(part.locator(".outcome")).to_contain_text("Broken at step")
    expect(part.locator(".question:visible .feedback")).to_contain_text("Yes. When a step makes each")


def the_column_slides(part: Locator) -> None:
    column = part.get_by_role("slider", name="The column that slides")
    for key, place in (("Home", 1), ("ArrowRight", 2), ("End", 8), ("ArrowLeft", 7)):
        column.press(key)
        expect(column).to_have_attribute("aria-valuenow", str(place))
    column.drag_to(column, source_position=spot(column, 0.9), target_position=spot(column, 0.02))
    expect(column).to_have_attribute("aria-valuenow", "1")
    part.get_by_role("button", name="Slide again").click()
    expect(column).to_have_attribute("aria-valuenow", "8")


def waves_are_moved(part: Locator) -> None:
    waves, said = part.locator(".wave-stack").first, part.locator(".wave-machine [role=status]")
    waves.press("ArrowDown")
    expect(said).to_have_text("The wave 1 turn")
    for key in ("+", "ArrowRight", "-", "ArrowLeft"):
        with redrawn(part):
            waves.press(key)
    for start, end in (((0.4, 0.25), (0.6, 0.2)), ((0.4, 0.9), (0.4, 0.8))):  # a wave, and their sum
        places = {"source_position": spot(waves, *start), "target_position": spot(waves, *end)}
        with redrawn(part):
            waves.drag_to(waves, **places)
    expect(said).to_have_text("Their sum, x")


def answers_are_looked_through_by_keys_before_one_is_given(part: Locator) -> None:
    """Arrow keys choose, and nothing more; See, Enter, the space bar and a pointer predict."""
    page, (answers, feedback) = (
        part.page,
        (part.locator(f".question:visible {one}") for one in ("input", ".feedback")),
    )
    see, before = part.locator(".question:visible").get_by_role("button", name="See"), part.page.url
    right = QUESTION["fft"].right
    answers.nth((right + 1) % answers.count()).focus()
    expect(see).to_be_hidden()  # a pointer needs no more than the answer
    for step in range(2, 2 + answers.count()):
        page.keyboard.press("ArrowDown")
        expect(answers.nth((right + step) % answers.count())).to_be_checked()
        expect(feedback).to_be_empty()
    assert page.url == before
    page.keyboard.press("Tab")
    expect(see).to_be_focused()
    page.keyboard.press("Enter")
    expect(feedback).to_contain_text("Not quite. ")
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("ArrowUp")  # to the right one
    expect(answers.nth(right)).to_be_checked()
    expect(feedback).to_contain_text("Not quite. ")
    page.keyboard.press("Space")
    expect(feedback).to_contain_text("Yes. ")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(feedback).to_contain_text("Not quite. ")


def waves_that_were_dragged_are_kept(part: Locator) -> None:
    expect(part.page).to_have_url(re.compile("values=64"))  # multiplications by hand
    before = part.page.url
    part.page.reload()
    expect(part.get_by_role("slider", name="FFT(c), alternating")).to_have_attribute("aria-valuetext", "1")
    expect(part.locator(".hand-said")).to_contain_text("Both come to")
    part.locator(".wave-stack").first.press("ArrowDown")  # which keeps x as it stands now
    expect(part.locator(".wave-machine [role=status]")).to_have_text("The wave 1 turn")
    assert part.page.url == before


def rank_shown(part: Locator) -> Locator:
    return part.locator(".machine-matrix dd").first


def test_the_rank_machine_shows_what_zeros_take_and_the_lesson_keeps_what_was_found(visit: Visit) -> None:
    """By pointer, keyboard and address: zeros of a diagonal, of FFT(c), and a state that a link keeps."""
    page, part = opened(visit, "rank")
    expect(rank_shown(part)).to_have_text("?")
    found, questions = part.locator(".found li:visible"), LESSON["rank"].questions
    expect(found).to_have_count(0)
    predict(part, QUESTION["rank-zero"], right=False)
    expect(part.locator(".feedback").first).to_have_text(re.compile("^Not quite. It is 7."))
    expect(rank_shown(part)).to_have_text("7 of 8")  # the machine does what was asked, at once
    expect(part.get_by_role("slider", name="a₁ 2")).to_have_attribute("aria-valuetext", "0")
    expect(part.get_by_role("button", name="Play the wave")).to_be_visible()
    the_question_stays_in_sight_beside_a_machine_that_is_longer_than_the_screen(part)

    track = part.get_by_role("slider", name="a₃ 6").locator(".bar-track")
    track.drag_to(track, source_position=spot(track, 0.2), target_position=spot(track, 0.5), steps=4)
    expect(part.get_by_role("slider", name="a₃ 6")).to_have_attribute("aria-valuenow", "0")
    expect(rank_shown(part)).to_have_text("7 of 8")

    expect(found).to_have_text([questions[0].found])
    part.get_by_role("button", name="Next").click()  # what was found stays while that is asked
    expect(found).to_have_text([questions[0].found])
    predict(part, questions[1], right=False)
    expect(found).to_have_text([one.found for one in questions[:2]])
    part.get_by_role("button", name="Next").click()
    expect(found).to_have_text([one.found for one in questions[:2]])

    part.get_by_role("button", name="As at first").click()
    expect(rank_shown(part)).to_have_text("8 of 8")
    part.get_by_role("slider", name="FFT(c), 2 turns, a pair").press("0")
    expect(rank_shown(part)).to_have_text("6 of 8")
    part.get_by_role("slider", name="FFT(c), alternating, one value").press("Delete")
    expect(rank_shown(part)).to_have_text("5 of 8")
    page.reload()
    expect(rank_shown(part)).to_have_text("5 of 8")
    expect(found).to_have_text([one.found for one in questions[:2]])
    expect(part.get_by_role("slider", name="rank").first).to_have_value("4")
    part.get_by_role("button", name="One entry alone").click()
    expect(rank_shown(part)).to_have_text("1 of 8")
    part.get_by_role("button", name="c all ones").click()
    expect(rank_shown(part)).to_have_text("1 of 8")
    the_slider_silences_waves_of_the_c_that_stands(part)
    forced_colours_leave_data_its_own(part, ".vector-bars .bar-fill", ".sigma .bar-fill", ".signs .positive")

    part = turn_to(page, LESSON["fft"])
    part.get_by_role("button", name="Show me without a guess").click()
    expect(part.locator(".found li:visible")).to_have_text([one.found for one in LESSON["fft"].questions])
    part.get_by_role("slider", name="multiplications").press("ArrowRight")
    forced_colours_leave_data_its_own(part, ".hand-cell.done", ".waves .doubling-bar")


def the_slider_silences_waves_of_the_c_that_stands(part: Locator) -> None:
    left = part.get_by_role("slider", name="values of FFT(c) to keep")
    one, wave = (
        part.get_by_role("slider", name="c 1", exact=True),
        part.get_by_role("slider", name="FFT(c), 2 t"),
    )
    set_range(left, 0)
    expect(one).to_have_attribute("aria-valuetext", "0")
    part.get_by_role("slider", name="a₁ 2").press("ArrowRight")  # which is no other c
    set_range(left, 8)
    expect(one).to_have_attribute("aria-valuetext", "1")
    expect(rank_shown(part)).to_have_text("1 of 8")
    wave.press("End")
    set_range(left, 4)
    expect(wave).to_have_attribute("aria-valuetext", "8")
    part.get_by_role("button", name="c all ones").click()
    expect(left).to_have_attribute("aria-valuetext", "8 of 8")  # of another c


def forced_colours_leave_data_its_own(part: Locator, *data: str) -> None:
    seen = [part.locator(f"{one}:visible").first for one in data]
    look = "(one) => getComputedStyle(one).backgroundColor"
    before = [one.evaluate(look) for one in seen]
    part.page.emulate_media(forced_colors="active")
    assert part.page.evaluate("() => matchMedia('(forced-colors: active)').matches")
    assert [one.evaluate(look) for one in seen] == before
    for track in part.locator(".bar-track:visible").all():
        expect(track).to_have_css("border-top-width", "1px")
    part.page.emulate_media(forced_colors="none")


def the_question_stays_in_sight_beside_a_machine_that_is_longer_than_the_screen(part: Locator) -> None:
    """Half of the window was empty beside what the answer had uncovered."""
    assert part.page.viewport_size == {"width": 1280, "height": 900}
    part.get_by_text("A wave goes in").scroll_into_view_if_needed()
    expect(part.get_by_role("heading", name="The rank machine")).to_be_in_viewport()
    expect(part.locator(".question:visible")).to_be_in_viewport()
    expect(part.get_by_role("button", name="Next")).to_be_in_viewport()


def test_links_lead_to_lessons_and_back_and_with_an_answer_offer_no_look_without_a_guess(
    visit: Visit,
) -> None:
    page, _ = revealed(visit, "fft")
    expect(page.locator("#lesson-rank")).to_be_hidden()
    expect(page.get_by_role("link", name=re.compile("^← "))).to_have_css("max-width", "none")
    expect(page.locator("#play-reach .mount > *")).to_have_count(0)  # not before somebody turns to it
    page.get_by_role("link", name=re.compile(LESSONS[3].title + " →")).click()
    expect(page.locator("#lesson-reach h2")).to_be_visible()
    expect(page.locator("#play-reach .stage canvas").first).to_be_visible()
    expect(page).to_have_url(re.compile("tab=learn&lesson=reach$"))
    page.go_back()
    expect(page.locator("#lesson-fft h2")).to_be_visible()
    page.get_by_role("navigation", name="Lessons").get_by_role("link", name=LESSONS[4].title).click()
    expect(page.locator("#lesson-blocks h2")).to_be_visible()

    for key, answer in (("rank", "2"), ("blocks", "385")):  # one of several questions, and all of them
        part = turn_to(page, LESSON[key])
        expect(part.get_by_role("button", name="Show me without a guess")).to_be_visible()
        page.goto(page.url + f"&answer={answer}")
        expect(part.locator("h2")).to_be_visible()
        expect(part.locator(".feedback").first).not_to_be_empty()
        expect(part.get_by_role("button", name="Show me without a guess")).to_be_hidden()
    page.evaluate("() => { window.same = true; }")  # a reload would forget it
    part.get_by_role("link", name="circulant blocks of a layer that is not square").click()
    expect(page.locator("#factors-run")).to_have_value("recorded-blocks")
    expect(page.locator(".layer-about")).to_contain_text("circulant blocks of")
    page.go_back()
    rank = turn_to(page, LESSON["rank"])
    rank.get_by_role("button", name="Show me without a guess").click()
    rank.locator(".real-layer a").click()
    expect(page.locator("#factors-run")).to_have_value("recorded-cdvft")
    assert page.evaluate("() => window.same") is True


def test_lessons_fit_a_phone_and_break_no_rule_of_axe(visit: Visit) -> None:
    page, _ = opened(visit, KEYS[0], viewport={"width": 390, "height": 844})
    the_links_differ_to_the_eye(page)
    for lesson in LESSONS:
        part = turn_to(page, lesson)
        nothing_is_beyond_the_edge(part, lesson.key)
        the_picture_stays_in_sight_above_the_question(part, lesson.key)
    values_of_the_fft_are_printed_too(turn_to(page, LESSON["fft"]))
    turn_to(page, LESSON["reach"])
    a_lesson_that_is_turned_to_begins_at_its_top(page)
    page.set_viewport_size(SIZE)
    no_lesson_breaks_a_rule_of_axe(page)
    assert not shortcuts_taken(page.locator("main"))  # zoom and Back are the browser's


def the_links_differ_to_the_eye(page: Page) -> None:
    seen = page.locator("#lessons a").evaluate_all(
        """(links) => links.map((link) => [...link.children]
             .filter((part) => part.offsetWidth > 1)
             .map((part) => part.textContent).join(" "))"""
    )
    assert seen == [f"1 {LESSONS[0].title}", *"2345678", "Lab: fit a matrix", "For teachers"]


def nothing_is_beyond_the_edge(part: Locator, key: str) -> None:
    beyond = beyond_the_edge(part.page, "svg, .hidden-text, .katex-display, .katex-mathml", room=0.5)
    assert not beyond, f"lesson {key}:\n" + "\n".join(beyond)
    part.page.evaluate("() => document.fonts.ready.then(() => {})")
    formulas = part.locator(".katex-display")
    cut = formulas.evaluate_all("(all) => all.filter((one) => one.scrollWidth > one.clientWidth + 1).length")
    assert cut == 0, f"lesson {key}: a formula is wider than the page"


def the_picture_stays_in_sight_above_the_question(part: Locator, key: str) -> None:
    question, picture = part.locator(".question:visible"), part.locator(".stage canvas").first
    handle = part.locator(".lesson-play").locator("[role=slider], input").locator("visible=true").last
    for place in (question, handle):
        top, end, below = place.evaluate(  # in one look
            """(place, [picture, question]) => {
              place.scrollIntoView({ block: "end" });
              const seen = picture.getBoundingClientRect();
              return [seen.top, seen.bottom, question.getBoundingClientRect().top];
            }""",
            [picture.element_handle(), question.element_handle()],
        )
        assert top >= 0 and end <= 844, key
        if place is question:
            assert end <= below, key


def values_of_the_fft_are_printed_too(part: Locator) -> None:
    printed = part.locator(".wave-machine .bar-number")
    expect(printed).to_have_text(["0.5", "1.8", "0.4", "1.4", "−0.6"])
    for number in printed.all():
        box, track = number.bounding_box(), number.locator("xpath=../..").bounding_box()
        assert (
            box
            and track
            and track["x"] <= box["x"]
            and box["x"] + box["width"] <= track["x"] + track["width"]
        )


def a_lesson_that_is_turned_to_begins_at_its_top(page: Page) -> None:
    page.locator(".pager .after:visible").click()  # at the end of the lesson
    expect(page.locator("#lesson-blocks h2")).to_be_visible()
    page.wait_for_function("() => window.scrollY === 0")


def no_lesson_breaks_a_rule_of_axe(page: Page) -> None:
    """All at once, one below the other: axe looks at the whole page before it looks at a part."""
    turn_to(page, LESSONS[0])
    assert not axe_violations(page)
    page.add_style_tag(content=".gradio-container .lesson { display: var(--shown) !important; }")
    assert not axe_violations(page, "#lessons, .lesson")
    page.get_by_role("button", name="Show me without a guess").evaluate_all(
        "(all) => all.map((one) => one.click())"
    )
    expect(page.locator(".lesson[data-finished]")).to_have_count(len(LESSONS))
    assert not axe_violations(page, "#lessons, .lesson"), "revealed"


def cells(part: Locator, label: str) -> Locator:
    return part.get_by_role("region", name=label).locator("tbody tr")


def numbers_in(row: Locator) -> list[str]:
    return row.locator("td").all_inner_texts()


def drawn(count: int, seeds: np.ndarray) -> np.ndarray:
    """The page's normal numbers, (seeds, count): mulberry32, and then Box and Muller's cosine."""
    state, uniform = seeds.astype(np.uint64), []
    wrap = np.uint64(0xFFFFFFFF)
    for _ in range(2 * count):
        state = (state + np.uint64(0x6D2B79F5)) & wrap
        mixed = ((state ^ (state >> np.uint64(15))) * (state | np.uint64(1))) & wrap
        more = ((mixed ^ (mixed >> np.uint64(7))) * (mixed | np.uint64(61))) & wrap
        mixed ^= (mixed + more) & wrap
        uniform.append((mixed ^ (mixed >> np.uint64(14))) / 2**32)
    first, second = uniform[0::2], uniform[1::2]
    return np.stack(
        [np.sqrt(-2 * np.log(1 - a)) * np.cos(2 * np.pi * b) for a, b in zip(first, second, strict=True)], 1
    )


PLACE = (np.arange(12)[:, None] - np.arange(12)) % 12  # of a circulant's entries, in its first column


def losses(start: list[np.ndarray], wanted: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """First and last loss of 160 steps of descent on ||a3 circ(c) a1 - wanted||^2 / 24, of each layer."""
    vectors, seen = [torch.tensor(vector, requires_grad=True) for vector in start], []
    for _ in range(161):
        a1, c, a3 = vectors
        missed = a3[:, :, None] * c[:, PLACE] * a1[:, None, :] - torch.tensor(wanted)
        seen.append((missed**2).sum((1, 2)) / 24)
        slopes = torch.autograd.grad(seen[-1].sum(), vectors)
        vectors = [
            (vector - 0.12 * slope).detach().requires_grad_()
            for vector, slope in zip(vectors, slopes, strict=True)
        ]
    return seen[0].detach().numpy(), seen[-1].detach().numpy()


def every_curve_of_longer_products_is_named_and_looks_its_own(part: Locator) -> None:
    keys, names = part.locator(".legend li"), part.locator(".segmented label")
    expect(keys).to_have_text([*names.all_inner_texts(), re.compile("LoRA, ")])
    strokes = part.locator(".legend line")
    look = "(lines) => lines.map((one) => [one.getAttribute('stroke-dasharray'), one.getAttribute('stroke')])"
    before = strokes.evaluate_all(look)
    assert len({dash for dash, _ in before}) == len(before) == 5
    names.last.click()
    after = strokes.evaluate_all(look)
    assert [dash for dash, _ in after] == [dash for dash, _ in before]
    assert [colour for _, colour in after].index("var(--method-cdvft)") == 3


def lora_stands_beside_each_m_with_fewer_numbers_and_with_more(part: Locator) -> None:
    """Errors of the recorded search, and by Eckart and Young those of LoRA's nearest matrices."""
    recorded = json.loads((ASSETS / "lesson_factors.json").read_text(encoding="utf-8"))
    for target in recorded["targets"]:
        part.get_by_text(target["title"], exact=True).first.click()
        expect(part.get_by_role("region", name="What is left by m")).to_contain_text(target["title"])
        values = np.linalg.svd(np.reshape(target["target"], (10, 10)), compute_uv=False)
        rest = [float(np.sqrt((values[r:] ** 2).sum() / (values**2).sum())) for r in range(10)]
        for m, row in enumerate(cells(part, "What is left by m").all(), 1):
            stored, *errors = numbers_in(row)
            assert stored == str(10 * (2 * m - 1))
            for said, error in zip(
                errors, (target["fits"][m - 1]["error"], rest[m - 1], rest[m]), strict=True
            ):
                shown = float(said.removesuffix("\u00a0%").replace(" × 10⁻⁴", "e-4"))
                assert shown == pytest.approx(100 * error, rel=0.01, abs=1e-4), (target["key"], m, said)


def why_a_small_p_is_slow_and_what_the_diagonals_buy_can_be_read_off(part: Locator) -> None:
    for row in cells(part, "Products of spectra by p").all():
        p = int(row.locator("th").inner_text())
        blocks, each, every = (int(one.replace(",", "")) for one in numbers_in(row)[:3])
        assert (blocks, each, every) == (1536 * 384 // p**2, p // 2 + 1, blocks * each)
    bought = cells(part, "What the diagonals buy")
    expect(bought.locator("td")).not_to_have_text(["…"] * 6)
    expect(bought.nth(1).locator("td").nth(1)).to_have_text("under 0.1\u00a0%")
    alone, _, smaller = numbers_in(bought.nth(1))
    assert min(float(one.removesuffix("\u00a0%")) for one in (alone, smaller)) > 20


def a_rate_that_holds_for_two_diagonals_breaks_four(part: Locator) -> None:
    part.get_by_role("region", name="Which rates hold").scroll_into_view_if_needed()
    rate = cells(part, "Which rates hold").filter(has_text="rate 0.03")
    expect(rate.locator("td").nth(0)).to_have_text("holds")
    expect(rate.locator("td").nth(2)).to_have_text("breaks")
    grown = numbers_in(cells(part, "Which rates hold").first)
    assert grown == [f"× {1.1**vectors:.2f}" for vectors in (3, 5, 7)]


def every_change_stands_beside_every_method(part: Locator) -> None:
    left = cells(part, "What each method leaves of each change")
    expect(left).to_have_count(5)
    expect(part.get_by_role("region", name="What each method leaves")).not_to_contain_text("…")
    cdvft, lora, fourierft, c3a = numbers_in(left.filter(has_text=re.compile("^Circulant")))
    assert cdvft == c3a == "0\u00a0%"  # C3A has 32 numbers with b = 32
    assert "0\u00a0%" not in (lora, fourierft)


def equal_values_of_the_fft_have_bars_of_equal_length(part: Locator) -> None:
    """One value alone may be negative, a pair's size may not, and both have one scale."""
    lengths = []
    for name in ("constant", "1 turn"):
        bar = part.get_by_role("slider", name=f"FFT(c), {name}")
        bar.press("End")
        expect(bar).to_have_attribute("aria-valuetext", "2")
        box = bar.locator(".bar-fill").bounding_box()
        assert box
        lengths.append(box["width"])
    assert lengths[0] == pytest.approx(lengths[1], rel=0.01)
    pair = part.get_by_role("slider", name="FFT(c), 1 turn")
    pair.press("Home")
    expect(pair).to_have_attribute("aria-valuetext", "0")


def work_is_counted_as_the_library_counts(part: Locator) -> None:
    from cdvft.cost.flops import complex_products, real_fft_flops

    expected = 2 * real_fft_flops(768) + complex_products(768 // 2 + 1, 1)
    expect(part.locator(".figures")).to_contain_text(f"{expected:,.0f}")


def crossover_is_measured_on_this_machine(part: Locator) -> None:
    part.get_by_role("button", name="Measure on this server").click()
    expect(part.locator(".measured p")).to_contain_text("On this server, CPU")
    expect(part.locator(".measured canvas").first).to_be_visible()


def the_lesson_on_the_start_counts_how_often_the_right_start_ends_lower(part: Locator) -> None:
    """It seldom does, on such layers: what a zero buys is the beginning, and the page says so."""
    part.locator(".verdict-of-many").scroll_into_view_if_needed()
    trials = np.arange(100) * 10
    a1, c, a3 = (drawn(12, 1000 + trials + k) for k in range(3))
    wanted = a3[:, :, None] * c[:, PLACE] * a1[:, None, :]
    start = [drawn(12, 5000 + trials + k) for k in range(3)]
    none, one = losses(start, wanted), losses([*start[:2], 0 * start[2]], wanted)
    lower, first = int((one[1] < none[1]).sum()), float((none[0] / one[0]).mean())
    expect(part.locator(".verdict-of-many")).to_contain_text(
        f"of 100 other layers and wanted changes, it did in {lower}, the random start in {100 - lower}.",
    )
    expect(part.locator(".verdict-of-many")).to_contain_text(f"began at {first:.3g} times that of")


def what_the_start_says_of_a_form_is_of_that_form(part: Locator) -> None:
    said = part.locator(".verdict-of-many")
    expect(said).to_be_visible()
    part.get_by_text("LoRA", exact=True).click()
    expect(said).to_be_hidden()
    a1, c, a3 = (drawn(12, np.array([41 + k]))[0] for k in range(3))
    values = np.linalg.svd(a3[:, None] * c[PLACE] * a1, compute_uv=False)
    least = float((values[1:] ** 2).sum() / 24)
    expect(part).to_contain_text(f"has rank 12: so no LoRA of r = 1 comes below a loss of {least:.3g}.")


SAID_IN_NUMBERS = {
    "fft": (
        equal_values_of_the_fft_have_bars_of_equal_length,
        work_is_counted_as_the_library_counts,
        crossover_is_measured_on_this_machine,
    ),
    "reach": (
        every_curve_of_longer_products_is_named_and_looks_its_own,
        lora_stands_beside_each_m_with_fewer_numbers_and_with_more,
    ),
    "blocks": (why_a_small_p_is_slow_and_what_the_diagonals_buy_can_be_read_off,),
    "shapes": (every_change_stands_beside_every_method,),
    "start": (
        the_lesson_on_the_start_counts_how_often_the_right_start_ends_lower,
        what_the_start_says_of_a_form_is_of_that_form,
    ),
    "breaking": (a_rate_that_holds_for_two_diagonals_breaks_four,),
}


def test_each_prediction_gets_its_reply_the_reasons_come_last_and_their_numbers_are_true(
    visit: Visit,
) -> None:
    page, _ = opened(visit, KEYS[0], **MOVING)
    asked = server_calls(page)
    for lesson in LESSONS:
        answer_all(page, turn_to(page, lesson), lesson)
        if lesson is LESSONS[0]:
            addresses = {*own_requests(page)}  # how often each is asked depends on the pace
            assert len(addresses) <= 12 and fetched_megabytes(page) < 1.2, addresses
    assert not asked  # all of it is computed in the browser
    for key, stages in SAID_IN_NUMBERS.items():
        part = turn_to(page, LESSON[key])
        for stage in stages:
            stage(part)
