"""What holds for the whole page: accessibility, small screens, dark, the keyboard, addresses."""

from __future__ import annotations

import re
from itertools import pairwise

import gradio as gr
import pytest
from playwright.sync_api import Page, expect
from studio import (
    Hold,
    Server,
    Visit,
    all_is_asked,
    axe_violations,
    beyond_the_edge,
    fill_in,
    open_fold,
    pick,
    setting,
    status,
    steps_at_most,
    two_frames,
    without_app,
)
from visitors import SIZE
from waiting import wait_for
from waiting_form import hold_back, let_go, nothing_of_the_form_takes_a_click_or_the_keyboard, until_held

from cdvft_app import catalog
from cdvft_app.settings import RaceRequest
from cdvft_app.store.records import StoreError
from cdvft_app.ui.shared import form
from cdvft_app.ui.train import tab as train_tab

FOCUSED = """() => {
  const at = document.activeElement;
  return [at.id, at.getAttribute("aria-label"), at.value, at.textContent.slice(0, 40)].join("|");
}"""


@pytest.fixture(scope="module")
def races(server: Server) -> dict[str, str]:
    """Addresses of a finished race and of a failed one."""
    submitted = {}
    for name, rates in (("finished", {}), ("failed", {"cdvft": 9.5})):
        request = RaceRequest(max_steps=20, learning_rates=rates)
        runs = [catalog.resolve(settings).settings for settings in request.runs()]
        submitted[name] = server.queue.submit(runs, "somebody", name)
    every = [run for ids in submitted.values() for run in ids]
    wait_for(lambda: all(server.store.get(run).ended for run in every))  # which a visit would show
    return {name: "?run=" + ",".join(ids) for name, ids in submitted.items()}


def settled(page: Page) -> None:
    page.locator("#run [data-settled]").wait_for()
    page.locator("#run .chart").scroll_into_view_if_needed()  # no chart is drawn before one is seen
    page.locator("#run .chart svg").first.wait_for()


def unfold(page: Page) -> None:
    for fold in page.locator(".fold > button").all():
        fold.click()
    page.locator(".hub summary").click()


@pytest.mark.parametrize("race", ["none", "failed"])
def test_fits_a_phone_and_breaks_no_rule_of_axe(visit: Visit, races: dict[str, str], race: str) -> None:
    linked = race in races  # it is what one wants to see first
    page = visit(races.get(race, "?run=nothing"), viewport={"width": 390, "height": 844})
    if linked:
        settings = page.get_by_role("button", name=re.compile("^Settings"))
        expect(settings).to_have_attribute("aria-expanded", "false")  # once the race is read
        settings.press("Enter")  # which nothing that comes in above it can move
    else:
        the_chart_library_comes_once_a_chart_is_seen(page)
    settled(page)
    expect(page.locator(".promise b")).to_be_visible()
    unfold(page)
    assert beyond_the_edge(page, "svg, .hidden-text, .table-scroll, .katex-mathml") == []
    assert page.evaluate("() => document.documentElement.scrollWidth") <= 390
    first, second = (
        page.locator(part).bounding_box() for part in (".choose", ".watch")[:: -1 if linked else 1]
    )
    assert first and second and second["y"] >= first["y"] + first["height"]

    page.set_viewport_size(SIZE)
    page.locator("#run summary").first.click()
    expect(page.locator(".hub .reach")).to_contain_text("HF_HUB_OFFLINE")
    assert not axe_violations(page, "#run" if linked else None)  # around it, it is one page


def the_chart_library_comes_once_a_chart_is_seen(page: Page) -> None:
    page.locator("#run [data-settled]").wait_for()
    two_frames(page)
    fetched = """() => performance.getEntriesByType("resource")
      .filter(({ name }) => name.endsWith("plotly-basic.min.js")).length"""
    assert page.evaluate(fetched) == 0
    page.locator("#run .chart").scroll_into_view_if_needed()
    page.locator("#run .chart svg").first.wait_for()
    assert page.evaluate(fetched) == 1


def test_a_phone_folds_settings_once_a_run_is_on_and_has_stop_beside_it_for_its_owner(
    visit: Visit, hold: Hold, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    hold(5)
    phone = {"viewport": {"width": 390, "height": 844}}
    page = visit("?run=nothing", **phone)
    settings = page.get_by_role("button", name=re.compile("^Settings"))
    stop = page.get_by_role("button", name="Stop this race")
    expect(stop).to_be_hidden()
    expect(settings).to_have_attribute("aria-expanded", "true")
    expect(page.locator("#start")).to_be_enabled()
    assert top(page, "#own-file") < top(page, "#run")
    page.locator("#start").click()
    expect(settings).to_have_attribute("aria-expanded", "false")
    expect(page.locator("#set-methods")).to_be_hidden()
    expect(page.locator("#run .status")).to_contain_text("step 5")
    assert top(page, "#run") < min(top(page, part) for part in ("#own-file", "#recipes", ".go-buttons"))
    expect(page.locator("#run h2")).to_be_in_viewport()
    page.locator("#stop").click(trial=True)
    stranger = visit("?" + page.url.partition("?")[2], **phone)
    expect(stranger.locator("#run .status")).to_contain_text("step 5")
    expect(stranger.get_by_role("button", name="Stop this race")).to_be_hidden()
    stop.scroll_into_view_if_needed()
    assert stop.evaluate(
        """(stop) => stop.getBoundingClientRect().top
             < document.querySelector("#run .status").getBoundingClientRect().bottom"""
    )

    def refuse(*_: str) -> None:
        raise StoreError("It cannot be stopped just now.")

    with monkeypatch.context() as patch:
        patch.setattr(server.queue, "stop", refuse)
        stop.click()
        expect(page.locator("#run .problem")).to_have_text("It cannot be stopped just now.")
    stop.click()
    expect(page.locator("#run .status")).to_contain_text("3 stopped")
    expect(page.locator("#run .problem")).to_be_hidden()
    expect(stop).to_be_hidden()
    settings.click()
    expect(page.locator("#set-methods")).to_be_visible()


def top(page: Page, part: str) -> float:
    return page.locator(part).evaluate("(part) => part.getBoundingClientRect().top")


def note_questions(page: Page) -> None:
    """From now on the page keeps what it asks, and when."""
    all_is_asked(page)
    page.evaluate(
        """() => {
          window.asked = [];
          window.polled = [];  // when, in milliseconds
          const ask = window.fetch;
          window.fetch = (address, options, ...rest) => {
            const path = new URL(address, document.baseURI).pathname;
            if (path.includes("/cdvft/")) window.asked.push(path);
            if (path.endsWith("/cdvft"))
              window.asked.push(...JSON.parse(options.body).map((one) => `/cdvft/${one.function}`));
            const polls = window.asked.filter((one) => one.endsWith("/run_view/poll")).length;
            if (polls > window.polled.length) window.polled.push(performance.now());
            return ask(address, options, ...rest);
          };
        }"""
    )


POLL = "/cdvft/train/run_view/poll"


def asked_between_turns(page: Page) -> list[str]:
    """What the page asks from one poll of its race to the next, which is a second later."""
    page.wait_for_function(f"() => window.asked.filter((path) => path === '{POLL}').length >= 3")
    asked: list[str] = page.evaluate("() => window.asked")
    first, second = [place for place, one in enumerate(asked) if one == POLL][1:3]
    polled = page.evaluate("() => window.polled")
    assert polled[2] - polled[1] > 450  # to the nearest whole second
    return asked[first:second]


def test_a_finished_race_is_left_in_peace_and_reached_by_keyboard_and_the_next_is_followed(
    visit: Visit, races: dict[str, str], hold: Hold
) -> None:
    page = visit(races["finished"])
    settled(page)
    draws_nothing_while_nothing_moves(page)
    everything_is_reached_by_tab(page)
    asks_seldom_of_a_race_that_is_over(page)
    light_and_dark_by_keyboard_and_remembered(page)
    asks_once_a_second_of_one_that_is_on_seldom_while_hidden_and_tells_there_of_the_end(page, hold)


def draws_nothing_while_nothing_moves(page: Page) -> None:
    """Gradio's sign of loading, once gone, asked for a frame after each: a browser numbers what is asked."""
    others = """async () => {
      const ask = () => requestAnimationFrame(() => {}), before = ask();
      await new Promise((go) => setTimeout(go, 500));
      return ask() - before - 1;
    }"""
    wait_for(lambda: page.evaluate(others) == 0)


def everything_is_reached_by_tab(page: Page) -> None:
    expect(page.locator("#history").get_by_role("button", name="Overlay").first).to_be_visible()
    reached: list[str] = []
    for _ in range(70):
        page.keyboard.press("Tab")
        reached.append(page.evaluate(FOCUSED))
    text = "\n".join(reached)
    for wanted in (
        "Paper",
        "Switch to dark",
        "sentiment",
        "start|",
        "loss",
        "Show the curve of LoRA",
        "Overlay",
    ):
        assert wanted in text, f"{wanted} is not reached:\n{text}"


def asks_seldom_of_a_race_that_is_over(page: Page) -> None:
    note_questions(page)
    page.evaluate(  # one turn at once, in place of the one that was to come
        """() => {
          window.asked.length = window.polled.length = 0;
          document.dispatchEvent(new Event("race-renamed"));
        }"""
    )
    page.wait_for_function("() => window.polled.length && performance.now() - window.polled[0] > 3500")
    polled = page.evaluate("() => window.polled")
    assert all(later - earlier > 9000 for earlier, later in pairwise(polled)), polled  # one that is on: 1000


def light_and_dark_by_keyboard_and_remembered(page: Page) -> None:
    line = "document.querySelector('#run .chart').data?.at(-1)?.line.color"
    page.wait_for_function(f"{line} === '#009E73'")
    page.get_by_role("button", name="Switch to dark colours").focus()
    page.keyboard.press("Enter")
    expect(page.locator("body")).to_have_class(re.compile("dark"))
    page.wait_for_function(f"{line} === '#2FC79B'")
    page.reload()
    expect(page.locator("body")).to_have_class(re.compile("dark"))
    expect(page.get_by_role("button", name="Switch to light colours")).to_be_visible()


NOTES = """() => {
  window.told = [];
  window.Notification = class {
    static requestPermission = async () => "granted";
    constructor(title, { body }) { window.told.push(`${title}: ${body}`); }
  };
}"""


def asks_once_a_second_of_one_that_is_on_seldom_while_hidden_and_tells_there_of_the_end(
    page: Page, hold: Hold
) -> None:
    hold(5)
    page.evaluate(NOTES)
    page.locator("#start").click()
    expect(page.locator("#run .status")).to_contain_text("step 5")
    note_questions(page)
    now_and_then = ("/where", "/viewer", "/verdict", "/races", "/hub")
    assert [one for one in asked_between_turns(page) if not one.endswith(now_and_then)] == [POLL]
    page.get_by_role("button", name="Tell me when it is done").click()
    expect(page.get_by_role("button", name="You will be told")).to_have_attribute("aria-pressed", "true")
    page.evaluate("() => Object.defineProperty(document, 'hidden', { get: () => true })")
    page.wait_for_function("() => window.polled.at(-1) - window.polled.at(-2) > 4000")
    assert re.match(r"\d+ % · CDVFT Studio", page.title())
    hold(None)
    page.wait_for_function("() => window.told.length")
    assert page.evaluate("() => window.told") == ["Sentiment of film reviews: All 3 finished"]
    assert page.title() == "CDVFT Studio"


def test_a_first_visit_shows_the_best_race_and_the_settings_of_what_is_chosen_which_are_kept(
    visit: Visit, races: dict[str, str]
) -> None:
    page = visit()
    settled(page)
    expect(page.locator("#run .origin")).to_contain_text("The best race here")
    expect(page).not_to_have_url(re.compile("run="))
    only_what_the_race_uses_is_shown(page)
    a_recipe_brings_its_own_settings(page)
    what_is_chosen_is_kept_before_the_server_has_answered(page)


def only_what_the_race_uses_is_shown(page: Page) -> None:
    unfold(page)
    expect(page.locator("#set-lora_r")).to_be_visible()
    expect(page.locator("#set-c3a_block_size")).to_be_hidden()
    expect(page.locator("#set-image_size")).to_be_hidden()
    page.get_by_role("checkbox", name="C3A").check()
    page.get_by_role("checkbox", name="LoRA").uncheck()
    expect(page.locator("#set-c3a_block_size")).to_be_visible()
    expect(page.locator("#set-learning_rate-c3a")).to_be_visible()
    expect(page.locator("#set-lora_r")).to_be_hidden()
    page.get_by_role("radio", name="Tiny handwritten digits").check()
    expect(page.locator("#set-image_size")).to_be_visible()
    expect(page.locator("#set-max_length")).to_be_hidden()


def a_recipe_brings_its_own_settings(page: Page) -> None:
    page.get_by_role("radio", name="Handwritten digits (MNIST)").check()
    expect(page.locator("#counts .promise b")).to_have_text("46,080")
    open_fold(page, "The method")
    expect(page.locator("#blocks figure")).to_have_count(2)
    open_fold(page, "Model and data")
    expect(page.locator("#set-target_modules")).to_contain_text("attn.qkv")
    expect(page.get_by_role("combobox", name="Model")).to_have_value(re.compile("ViT-S"))
    reload_while_one_component_is_late(page)
    expect(page.get_by_role("radio", name="Handwritten digits (MNIST)")).to_be_checked()


def reload_while_one_component_is_late(page: Page) -> None:
    """Gradio loads a page once all its components have come; those that came first ask before that."""
    checkboxes = hold_back(page, "**/assets/Index-*.js", "select-all-checkbox")
    page.reload(wait_until="commit")
    with page.expect_response("**/run/predict?tab=train"):
        pass
    until_held(page, checkboxes)
    let_go(page, checkboxes)


def what_is_chosen_is_kept_before_the_server_has_answered(page: Page) -> None:
    """On a slow line one may reload sooner than that."""
    page.get_by_role("checkbox", name="C3A").uncheck()
    pick(page.get_by_role("radio", name="Sentiment of film reviews"))
    expect(page.locator("#counts .promise b")).to_have_text("13,824")
    open_fold(page, "Method settings")
    page.route("**/gradio_api/**", lambda _: None)  # no answer comes any more
    page.get_by_role("checkbox", name="C3A").check()
    pick(page.get_by_role("radio", name="Handwritten digits (MNIST)"))
    page.locator("#set-m input").fill("3")
    two_frames(page)
    page.unroute_all(behavior="ignoreErrors")
    page.reload()
    expect(page.locator("#train")).to_have_attribute("aria-busy", "false")
    expect(page.get_by_role("checkbox", name="C3A")).to_be_checked()
    expect(page.get_by_role("radio", name="Handwritten digits (MNIST)")).to_be_checked()
    expect(setting(page, "m")).to_have_value("3")
    expect(page.locator("#start")).to_be_enabled()
    open_fold(page, "Model and data")  # which the choice of digits had not brought yet
    expect(page.get_by_role("combobox", name="Model")).to_have_value(re.compile("ViT-S"))
    expect(page.locator("#set-target_modules")).to_contain_text("attn.qkv")


FIRST_VALUES = ("**/run/predict*", '"token":')  # what a visit fills the form with
PARTS_OF_THE_FORM = "#own-file", "#recipes", "#set-methods", "#choose > .fold", "#start"


def boxes(page: Page) -> list[object]:
    page.evaluate("scrollTo(0, 0)")  # `settled` may have scrolled, and Start would keep its place
    return [page.locator(part).first.bounding_box() for part in PARTS_OF_THE_FORM]


def test_nothing_is_done_before_the_form_is_filled_and_what_is_done_right_after_stays(
    visit: Visit,
) -> None:
    page = visit()
    fill_in(setting(page, "m"), "3")
    expect(page.locator("#counts .promise b")).to_have_text("23,040")
    first_values = hold_back(page, *FIRST_VALUES)
    page.reload(wait_until="commit")
    until_held(page, first_values)
    expect(page.locator("#train")).to_have_attribute("aria-busy", "true")
    nothing_of_the_form_takes_a_click_or_the_keyboard(page)
    no_file_can_be_dropped(page)
    assert not axe_violations(page)
    waiting = boxes(page)
    let_go(page, first_values)
    expect(page.locator("#train")).to_have_attribute("aria-busy", "false")
    settled(page)
    assert boxes(page) == waiting
    expect(page.get_by_role("radio", name="Sentiment of film reviews")).to_be_checked()
    expect(page.get_by_role("checkbox", name="C3A")).not_to_be_checked()
    expect(setting(page, "m")).to_have_value("3")
    fill_in(setting(page, "m"), "2")
    expect(page.locator("#counts .promise b")).to_have_text("13,824")
    what_is_done_as_soon_as_the_form_can_be_used_stays(page)


def no_file_can_be_dropped(page: Page) -> None:
    """A browser opens a file in place of the page where it is dropped and the page says nothing of it."""
    page.evaluate(
        """() => addEventListener("dragover", (event) => {
          window.refused = event.defaultPrevented && event.dataTransfer.dropEffect === "none";
        })"""
    )
    page.locator("#own-file").scroll_into_view_if_needed()
    box = page.locator("#own-file").bounding_box()
    assert box
    data = {"items": [], "files": [__file__], "dragOperationsMask": 1}
    drag = {"x": box["x"] + 9, "y": box["y"] + 9, "data": data}
    browser = page.context.new_cdp_session(page)
    for event in ("dragEnter", "dragOver"):
        browser.send("Input.dispatchDragEvent", {"type": event, **drag})
    assert page.evaluate("() => window.refused")
    browser.send("Input.dispatchDragEvent", {"type": "dragCancel", **drag})


def what_is_done_as_soon_as_the_form_can_be_used_stays(page: Page) -> None:
    first_values = hold_back(page, *FIRST_VALUES)
    page.reload(wait_until="commit")
    until_held(page, first_values)
    page.evaluate(
        """() => new MutationObserver((_, observer) => {
          observer.disconnect();
          document.querySelector("#recipes input[value=mnist]").click();
          document.querySelector("#set-methods input:not(:checked)").click();
        }).observe(document.querySelector("#train"), { attributeFilter: ["aria-busy"] })"""
    )
    chips = page.locator("#set-methods input:checked")
    before = chips.count()
    let_go(page, first_values)
    settled(page)  # what else it says is shown
    digits = page.get_by_role("radio", name="Handwritten digits (MNIST)")
    expect(page.locator("#counts .promise b")).to_have_text("46,080")
    expect(digits).to_be_checked()
    expect(chips).to_have_count(before + 1)
    open_fold(page, "Model and data")
    expect(page.get_by_role("combobox", name="Model")).to_have_value(re.compile("ViT-S"))
    expect(page.locator("#set-target_modules")).to_contain_text("attn.qkv")
    page.get_by_role("radio", name="Sentiment of film reviews").check()  # nothing brings the other one back
    expect(page.locator("#counts .promise b")).to_have_text("13,824")
    expect(page.get_by_role("combobox", name="Model")).to_have_value(re.compile("MiniLM"))


def test_a_link_that_is_followed_before_the_form_is_filled_at_first_fills_it(visit: Visit) -> None:
    page = without_app(visit)
    first_values = hold_back(page, *FIRST_VALUES)
    page.goto(page.url.replace("theme.css", "?tab=compare&page=evidence"))
    until_held(page, first_values)
    figure = page.locator("#evidence-settings")
    figure.locator("summary", has_text="Why").press("Enter")
    figure.get_by_role("link", name="Open in Train with these settings").nth(1).press("Enter")
    expect(page.get_by_role("tab", name="Train")).to_have_attribute("aria-selected", "true")
    let_go(page, first_values)
    expect(page.get_by_role("radio", name="Handwritten digits (MNIST)")).to_be_checked()
    expect(setting(page, "m")).to_have_value("3")
    page.wait_for_function("() => !location.search.includes('recipe')")  # the form is the visitor's now


def test_the_form_waits_for_a_races_settings_and_stays_as_it_was_if_they_do_not_come(
    visit: Visit, server: Server, monkeypatch: pytest.MonkeyPatch, troubles: list[str]
) -> None:
    """A finished race of digits by LoRA, whose settings are not those of the form."""
    race = RaceRequest(recipe="mnist", max_steps=23, methods=("lora",))
    (run,) = server.queue.submit([catalog.resolve(one).settings for one in race.runs()], "somebody", "Digits")
    page = visit(f"?run={run}")
    expect(status(page)).to_have_text("Finished")
    expect(page.get_by_role("radio", name="Sentiment of film reviews")).to_be_checked()
    fill_in(setting(page, "m"), "3")

    def busy(*_: object) -> None:
        raise gr.Error("busy")

    with monkeypatch.context() as patch:
        patch.setattr(form, "from_runs", busy)
        use_settings(page)
        expect(page.locator("#run .problem")).to_contain_text("The server could not fill in the form")
        expect(page.locator("#train")).to_have_attribute("aria-busy", "false")
    expect(setting(page, "m")).to_have_value("3")
    fill_in(setting(page, "m"), "2")
    (trouble,) = troubles
    assert "status of 500" in trouble
    troubles.clear()
    what_is_done_once_they_have_come_stays(page)


def use_settings(page: Page) -> None:
    page.get_by_role("button", name="Use these settings").click()


def what_is_done_once_they_have_come_stays(page: Page) -> None:
    settings = hold_back(page, "**/run/predict*", '"23"')
    use_settings(page)
    until_held(page, settings)
    page.evaluate(
        """() => new MutationObserver((_, observer) => {
          if (document.querySelector("#train").ariaBusy === "true") return;
          observer.disconnect();
          document.querySelector("#set-methods input[name=c3a]").click();
        }).observe(document.querySelector("#train"), { attributeFilter: ["aria-busy"] })"""
    )
    let_go(page, settings)
    expect(page.locator("#train")).to_have_attribute("aria-busy", "false")
    expect(page.get_by_role("radio", name="Handwritten digits (MNIST)")).to_be_checked()
    settled(page)
    expect(page.locator("#set-methods input:checked")).to_have_count(2)  # LoRA, and what was done at once
    expect(page.get_by_role("checkbox", name="C3A")).to_be_checked()
    expect(steps_at_most(page)).to_have_value("23")


def test_a_form_that_the_server_does_not_fill_says_so(
    visit: Visit, monkeypatch: pytest.MonkeyPatch, troubles: list[str]
) -> None:
    page = without_app(visit)

    def busy(*_: object) -> None:
        raise gr.Error("busy")

    monkeypatch.setattr(train_tab, "first_shown", busy)
    page.goto(page.url.replace("theme.css", ""))
    expect(page.locator("#run .problem")).to_have_text(
        "The server could not fill in the form: it may be busy. Reload the page to try it again."
    )
    (trouble,) = troubles
    assert "status of 500" in trouble
    troubles.clear()


def test_what_an_address_names_and_is_not_there_is_said(visit: Visit) -> None:
    """A tab, a recipe and a run; what else it says is filled in."""
    names = "tab=nonsense&recipe=nonsense&methods=lora&lora_r=4&run=../../etc/passwd,%3Cscript%3E"
    page = visit(f"?{names}")
    expect(page.get_by_role("tab", name="Train")).to_have_attribute("aria-selected", "true")
    expect(page.locator("#run h2")).not_to_be_empty()
    expect(page.locator("#run .problem")).to_contain_text("names a run that is not kept here")
    expect(page.locator("#counts .problem")).to_have_text(
        "There is no recipe 'nonsense'. Choose one of Sentiment of film reviews; Handwritten digits (MNIST); "
        "Tiny handwritten digits; Read addresses (a language model); Write SQL (a language model); one of 18 "
        "from the hub."
    )
    expect(page.locator("#start")).to_be_disabled()
    expect(page.locator("#recipes input[type=radio]:checked")).to_have_count(0)
    expect(page.locator("#set-methods input:checked")).to_have_count(1)
    expect(setting(page, "lora_r")).to_have_value("4")
    page.reload()  # the address forgets what the form holds
    expect(page.locator("#counts .problem")).to_contain_text("There is no recipe 'nonsense'.")
    pick(page.get_by_role("radio", name="Handwritten digits (MNIST)"))
    expect(page.locator("#counts .problem")).to_have_count(0)
    expect(page.locator("#start")).to_have_text("Start on “Handwritten digits (MNIST)”")
    expect(page.locator("#start")).to_be_enabled()
