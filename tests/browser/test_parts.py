"""Parts of the page: what they leave behind, what their errors say, which answers win, where links lead."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from playwright.sync_api import APIResponse, Page, Response, Route, expect
from studio import Server, Visit, judged, pick, status, two_frames
from synthetic_runs import READY
from waiting import wait_for

from cdvft_app import catalog
from cdvft_app.inspection.sources import Source
from cdvft_app.settings import RaceRequest, RunSettings

# A query collects all garbage before it looks, which takes half a second: one prototype for all observers.
OBSERVERS = """(() => {
  window.observer ??= {};
  for (const kind of [MutationObserver, ResizeObserver, IntersectionObserver])
    Object.setPrototypeOf(kind.prototype, window.observer);
  return window.observer;
})()"""
COUNTED = """function () {
  const kinds = {};
  for (const { constructor: { name } } of this) kinds[name] = (kinds[name] ?? 0) + 1;
  return kinds;
}"""


@contextmanager
def answered_late(page: Page, address: str) -> Iterator[None]:
    """The first answer from an address, as it is now, comes when the block has ended."""
    routes: list[Route] = []
    held: list[APIResponse] = []

    def hold(route: Route) -> None:
        if routes:
            route.continue_()
            return
        routes.append(route)
        held.append(route.fetch())
        page.evaluate("() => { window.answerIsHeld = true; }")

    page.evaluate("() => { window.answerIsHeld = false; }")
    page.route(address, hold)
    yield
    page.wait_for_function("() => window.answerIsHeld")
    with page.expect_event("requestfinished", lambda request: request == routes[0].request):
        routes[0].fulfill(response=held[0])
    two_frames(page)
    page.unroute(address)


def left_behind(page: Page) -> dict[str, int]:
    """How many canvases and observers live in the page, shown or not, and how many listeners it has."""
    protocol = page.context.new_cdp_session(page)
    protocol.send("Performance.enable")
    found: dict[str, int] = {}
    for kind in ("HTMLCanvasElement.prototype", OBSERVERS):
        prototype = protocol.send("Runtime.evaluate", {"expression": kind})["result"]
        asked = {"prototypeObjectId": prototype["objectId"], "objectGroup": "counted"}
        objects = protocol.send("Runtime.queryObjects", asked)
        counting = {
            "objectId": objects["objects"]["objectId"],
            "functionDeclaration": COUNTED,
            "returnByValue": True,
        }
        found |= protocol.send("Runtime.callFunctionOn", counting)["result"]["value"]
    protocol.send("Runtime.releaseObjectGroup", {"objectGroup": "counted"})
    protocol.send("HeapProfiler.collectGarbage")
    metrics = {one["name"]: one["value"] for one in protocol.send("Performance.getMetrics")["metrics"]}
    protocol.detach()
    return {**found, "listeners": int(metrics["JSEventListeners"])}


def test_layers_steps_and_runs_change_to_the_last_chosen_and_leave_nothing_behind(
    visit: Visit, runs: dict[str, Source]
) -> None:
    page = visit("?run=nothing&tab=factors&factors=recorded-lora", ready=READY)
    an_older_layer_does_not_replace_the_one_that_was_chosen_last(page)
    turns = ["recorded-cdvft", runs["three"].id, "recorded-lora", "recorded-blocks"]
    factors = page.locator(".factors")

    def of(run: str) -> Callable[[Response], bool]:
        """Numbers of its layers, and not of those of a run that was left."""
        return lambda answer: answer.url.endswith("/factors/tab/overview") and run in answer.request.post_data

    def change(number: int) -> None:
        """The run at every second change, else the layer; and the step."""
        run = turns[number // 2 % len(turns)]
        if number % 2 == 0:
            with page.expect_response(of(run)):  # once its layers are there
                page.locator("#factors-run").select_option(run)
        inputs = page.locator(".cell input")
        chosen = inputs.nth(number % inputs.count())
        chosen.evaluate("(input) => input.click()")
        expect(factors).to_have_attribute("data-compared", str(chosen.get_attribute("value")))
        for end in ("min", "max"):
            page.locator(".player input[type=range]").evaluate(
                "(slider, end) => { slider.value = slider[end]; slider.dispatchEvent(new Event('input')); }",
                end,
            )

    def settled() -> dict[str, int]:
        """What is there once two looks agree: an answer that is still read holds what it was asked for."""
        expect(factors).to_have_attribute("data-settled", turns[0])
        expect(page.locator(".effects > .quiet[role=status]")).to_be_hidden()
        looks = [left_behind(page)]
        wait_for(lambda: looks.append(left_behind(page)) or looks[-1] == looks[-2])
        return looks[-1]

    for number in (2, 4, 6, 0, 1, 0, 1):  # what the page makes once, at the first look at each run
        change(number)
    before = settled()
    for number in (*range(2, 8), 0, 1, 0, 1):  # two layers of every run: an object left by one is seen
        change(number)
    assert settled() == before


def an_older_layer_does_not_replace_the_one_that_was_chosen_last(page: Page) -> None:
    heading = page.locator(".layer-name")
    with answered_late(page, "**/factors/tab/layer"):
        for layer in (1, 2):
            with page.expect_request("**/factors/tab/layer"):
                pick(page.get_by_role("radio", name=f"layer {layer} query"))
        expect(heading).to_have_text("Layer 2 · query")
    expect(heading).to_have_text("Layer 2 · query")


def broken(method: str) -> str:
    """A script that lets a class of a module fail at what it does, as a fault in it would."""
    module, name, function = method.split(" ")
    return f"""async () => {{
      const {{ {name} }} = await import("cdvft/{module}.js");
      {name}.prototype.{function} = () => {{ throw new Error("nobody thought of this"); }};
    }}"""


@pytest.fixture
def expected_errors(troubles: list[str]) -> Iterator[list[str]]:
    """What the consoles say of an error that a test causes; anything else stays a trouble."""
    said: list[str] = []
    yield said
    said += [one for one in troubles if "nobody thought of this" in one]
    troubles[:] = [one for one in troubles if one not in said]


@pytest.fixture(scope="module")
def race(server: Server) -> str:
    """The address of a finished race."""
    return "?run=" + ",".join(server.queue.submit(some_runs(), "somebody", "finished"))


def test_a_part_that_cannot_be_mounted_or_drawn_says_so(visit: Visit, expected_errors: list[str]) -> None:
    page = visit("?run=nothing")
    page.evaluate(
        """() => {
          const { replaceChildren } = Element.prototype;
          Element.prototype.replaceChildren = function (...children) {
            if (this.closest("#paper, #sweep, .doubts")) throw new Error("nobody thought of this");
            return replaceChildren.apply(this, children);
          };
        }"""
    )
    page.get_by_role("tab", name="Compare").click()  # which mounts its parts
    expect(page.locator("#costs .answer")).not_to_be_empty()
    for link, part in (("Settings that matter", "#sweep"), ("The paper", "#paper")):
        page.get_by_role("link", name=link).click()
        expect(page.locator(f"{part} [role=alert]")).to_contain_text("nobody thought of this")
    page.get_by_role("link", name="Evidence").click()
    alert = page.locator("#evidence [role=alert]")
    expect(alert).to_contain_text("This part has an error: nobody thought of this.")
    expect(page.locator("#evidence [role=status]")).to_be_empty()  # no request has failed


def on_the_same_page(page: Page) -> None:
    """From now on a reload shows."""
    page.evaluate("() => { window.same = true; }")


def still_the_same(page: Page, tab: str) -> None:
    expect(page.get_by_role("tab", name=tab)).to_have_attribute("aria-selected", "true")
    assert page.evaluate("() => window.same") is True, "the page was loaded anew"


RUNS_CHANGED = "() => document.dispatchEvent(new CustomEvent('runs-changed'))"


def some_runs() -> list[RunSettings]:
    return [catalog.resolve(one).settings for one in RaceRequest(max_steps=20).runs()]


def test_a_race_its_history_and_its_links_are_one_page_and_an_error_stays_in_its_part(
    visit: Visit,
    server: Server,
    race: str,
    expected_errors: list[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    server.store.create(some_runs(), "somebody", "A small sweep", sweep=True)
    page = visit(race)
    judged(page)
    on_the_same_page(page)
    an_older_history_does_not_replace_a_newer_one(
        page, server, "runs", "Table of runs", ".history-table tbody tr"
    )
    an_older_history_does_not_replace_a_newer_one(page, server, "races", "Races", ".race")
    use_it_leads_to_the_race_and_back_again(page)
    page.go_back()
    still_the_same(page, "Train")
    sweep = page.locator("#history .race", has_text="A small sweep").first  # the newest
    sweep.get_by_role("link").press("Enter")  # those above it still train
    still_the_same(page, "Compare")
    expect(page.locator("#sweep .status")).to_contain_text("Sweep of 3 runs")
    page.go_back()
    still_the_same(page, "Train")
    an_error_of_one_view_is_said_there_and_the_rest_goes_on(page, caplog)


# Keeps what the first of the history says, each time that it changes: a later answer may put it right again.
FIRSTS = """([shown]) => {
  const history = document.querySelector("#history"),
    first = () => history.querySelector(shown)?.textContent ?? "";
  window.firsts = [];
  window.watcher?.disconnect(); // which looks at another view
  window.watcher = new MutationObserver(() => window.firsts.push(first()));
  window.watcher.observe(history, { childList: true, subtree: true, characterData: true });
}"""


def an_older_history_does_not_replace_a_newer_one(
    page: Page, server: Server, answer: str, view: str, shown: str
) -> None:
    address, name = f"**/train/history/{answer}", f"The newest of {answer}"
    page.locator("#history").get_by_text(view, exact=True).click()
    found = page.locator("#history").locator(shown)
    expect(found).not_to_have_count(0)
    with answered_late(page, address):
        with page.expect_request(address):
            page.evaluate(RUNS_CHANGED)
        page.wait_for_function("() => window.answerIsHeld")  # which knows no newer one
        server.queue.submit(some_runs(), "somebody", name)
        page.evaluate(RUNS_CHANGED)
        expect(found.first).to_contain_text(name)
        page.evaluate(FIRSTS, [shown])
    assert [text for text in page.evaluate("() => window.firsts") if name not in text] == []


def use_it_leads_to_the_race_and_back_again(page: Page) -> None:
    expect(status(page)).to_have_text("All 3 finished")
    page.get_by_role("link", name="Use it").click()
    still_the_same(page, "Use")
    # It has been asked for this race, whose runs keep nothing to use in these tests.
    expect(page.get_by_text("The address names a run with nothing to use here")).to_be_visible()
    page.go_back()
    still_the_same(page, "Train")
    page.go_forward()
    still_the_same(page, "Use")


def an_error_of_one_view_is_said_there_and_the_rest_goes_on(
    page: Page, caplog: pytest.LogCaptureFixture
) -> None:
    page.locator("#run [data-settled]").wait_for()
    with caplog.at_level(logging.WARNING, logger="cdvft_app"):
        page.evaluate(broken("train/scoreboard Scoreboard show"))
        for _ in range(3):
            with page.expect_response("**/run_view/poll"):
                page.evaluate("() => document.dispatchEvent(new CustomEvent('race-renamed'))")  # asks at once
            two_frames(page)
        alert = page.locator("#run [role=alert]")
        expect(alert).to_have_count(1)
        expect(alert).to_contain_text("This part has an error: nobody thought of this.")
        expect(page.get_by_text("The server does not answer")).to_be_hidden()
        expect(status(page)).to_have_text("All 3 finished")

        def told() -> list[str]:
            said = [one.getMessage() for one in caplog.records]
            return [one for one in said if "nobody thought of this" in one]

        log = wait_for(told)
    assert len(log) == 1 and "train/scoreboard.js" not in log[0].split("(")[0]
    with page.expect_request("**/train/run_view/poll"):  # polling goes on
        page.evaluate("() => document.dispatchEvent(new CustomEvent('race-renamed'))")


def test_comparing_shows_what_was_asked_for_last_and_says_errors_where_they_are(
    visit: Visit, expected_errors: list[str]
) -> None:
    page = visit("?tab=compare&page=evidence", ready="#evidence .chart svg")
    a_chart_that_cannot_be_drawn_says_so_until_it_can(page)
    page.get_by_role("link", name="Settings that matter").click()
    page.locator("#sweep table.heat tbody td").first.wait_for()
    an_older_sweep_does_not_replace_the_one_that_was_chosen_last(page)
    an_error_in_a_sweep_is_not_the_servers(page)
    a_tab_that_was_left_before_the_page_is_told_of_it_is_not_in_the_address(page)


def a_chart_that_cannot_be_drawn_says_so_until_it_can(page: Page) -> None:
    chart = page.locator("#evidence .chart").first
    alerts = page.locator("#evidence section:first-child > [role=alert]")
    page.evaluate(
        """() => {
          const { react } = Plotly;
          Plotly.react = async () => { throw new Error("nobody thought of this"); };
          window.mend = () => { Plotly.react = react; };
        }"""
    )
    page.locator(".theme-toggle").click()  # draws anew
    expect(alerts).to_have_text(
        "The chart is not shown: nobody thought of this. Its numbers are in the table below."
    )
    expect(chart).to_be_hidden()
    page.evaluate("() => window.mend()")
    page.locator(".theme-toggle").click()
    expect(alerts).to_have_count(0)
    expect(chart).to_be_visible()


def an_older_sweep_does_not_replace_the_one_that_was_chosen_last(page: Page) -> None:
    origin = page.locator("#sweep .origin")
    with answered_late(page, "**/compare/sweep/view/sweep"):
        with page.expect_request("**/compare/sweep/view/sweep"):
            page.locator("#sweep label", has_text="MNIST").click()
        page.locator("#sweep label").first.click()
        expect(origin).to_contain_text("512 training examples")
    expect(origin).to_contain_text("512 training examples")


def an_error_in_a_sweep_is_not_the_servers(page: Page) -> None:
    page.evaluate(broken("compare/sweep/heatmap SweepHeatmap show"))
    page.locator("#sweep label", has_text="MNIST").click()
    expect(page.locator("#sweep [role=alert]")).to_contain_text("nobody thought of this")
    expect(page.locator("#sweep .origin")).to_contain_text("300 training examples")  # all else is drawn
    expect(page.locator("#sweep .status")).to_be_empty()


def a_tab_that_was_left_before_the_page_is_told_of_it_is_not_in_the_address(page: Page) -> None:
    told = """(tab) => import("cdvft/shared/router.js").then(({ tabSelected }) => tabSelected(tab))"""
    page.evaluate(told, "use")  # as Gradio tells it, late
    assert "tab=compare" in page.url
    page.get_by_role("tab", name="Use").click()
    page.wait_for_url("**tab=use*")


NO_ANSWERS = re.compile(r"/(gradio_api/(queue|run|call)/|cdvft(/|$))")


NOTE_MOTION = """
window.moved = [];
for (const kind of ["animationstart", "animationend"])
  addEventListener(kind, (event) => event.target.closest("#run .chart") && moved.push(kind), true);
"""


@pytest.mark.parametrize(
    ("width", "motion", "moves"),
    [(1440, "no-preference", ["animationstart", "animationend"]), (390, "reduce", [])],
    ids=["desk", "phone"],
)
def test_what_is_recorded_stands_before_any_answer_and_its_race_plays_once_for_who_likes_motion(
    visit: Visit, server: Server, width: int, motion: str, moves: list[str]
) -> None:
    page = visit("theme.css", ready="body", viewport={"width": width, "height": 900}, reduced_motion=motion)
    page.route(NO_ANSWERS, lambda route: None)  # a server that is busy for as long as this takes
    page.add_init_script(NOTE_MOTION)
    page.goto(server.url)
    expect(page.locator("#run .status")).to_contain_text("Recorded, not run here.")
    expect(page.locator("#run .scoreboard tbody tr")).to_have_count(3)
    page.locator("#run .chart").scroll_into_view_if_needed()  # the library is fetched once it is in view
    page.locator("#run .scatterlayer path").first.wait_for()
    page.wait_for_function("(count) => window.moved.length === count", arg=len(moves))
    page.locator("#run .segmented label", has_text="Seconds").click()  # draws the curves anew
    expect(page.locator("#run .chart .xtitle")).to_have_text("Seconds of training")
    two_frames(page)
    assert page.evaluate("() => window.moved") == moves
    clipped = page.locator("#run .scatterlayer").first.evaluate(
        "(curves) => getComputedStyle(curves).clipPath"
    )
    assert clipped == "none"
    if moves:
        every_tab_says_what_it_reads(page)


def every_tab_says_what_it_reads(page: Page) -> None:
    expect(page.locator("#counts b").first).to_have_text("13,824")
    expect(page.locator("#history").get_by_text("Reading the history …")).to_be_visible()
    page.get_by_role("tab", name="Compare").click()
    expect(page.locator("#costs .answer")).not_to_be_empty()
    expect(page.locator("#costs .answers tbody tr").first).to_be_visible()
    page.get_by_role("link", name="Results").click()
    expect(page.locator("#outcomes h2")).to_have_text("What a recorded race gave")
    page.get_by_role("link", name="Settings that matter").click()
    expect(page.locator("#sweep .status")).to_contain_text("Reading the recorded sweep")
    page.get_by_role("link", name="Evidence").click()
    expect(page.locator("#evidence [role=status]")).to_contain_text("Reading the figures")
    page.get_by_role("tab", name="Use").click()
    expect(page.get_by_text("Reading the finished races …")).to_be_visible()
    page.get_by_role("tab", name="Factors").click()
    expect(page.locator(".factors [role=status]:visible")).to_contain_text("Reading the runs")


def test_a_linked_race_waits_in_its_place_and_is_not_said_to_be_none_while_it_is_read(
    visit: Visit, server: Server, race: str
) -> None:
    page = visit("theme.css", ready="body")
    held: list[Route] = []
    page.route(NO_ANSWERS, lambda route: [held.append(route)])
    page.goto(server.url + race)
    status_of_run = page.locator("#run .status")
    expect(status_of_run).to_have_text("Reading the race …")
    page.route("**/train/run_view/poll", lambda route: None)  # not answered for as long as this takes
    page.unroute(NO_ANSWERS)
    for route in held:
        route.continue_()
    page.locator("#train[aria-busy=false]").wait_for()
    expect(status_of_run).to_have_text("Reading the race …")
    expect(page.locator("#run h2")).to_have_text("A race")
