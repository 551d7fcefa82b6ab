"""The Factors tab: alive at first paint, quick, right in every number it says, and usable by everybody."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable

import numpy as np
import pytest
import run_events
from playwright.sync_api import Locator, Page, Route, expect
from studio import (
    Server,
    Visit,
    axe_violations,
    beyond_the_edge,
    downloaded,
    drawn,
    fetched_megabytes,
    own_requests,
    pick,
    server_calls,
    spot,
    two_frames,
    without_app,
)
from synthetic_runs import QUERY, READY, keep, number, opened, scrub, settings, turn_to, vectors
from visitors import MOVING

from cdvft_app.errors import TooManyRequests
from cdvft_app.inspection import layers, numbers, sources
from cdvft_app.inspection.background import Inspector
from cdvft_app.inspection.sources import Source
from cdvft_app.store import leases, snapshots

SPACES = re.compile(r"\s+")


def changes_of(run: Source) -> dict[str, float]:
    """‖ΔW‖ over ‖W‖ of each layer after the last step."""
    weights = json.loads((sources.RECORDED / "minilm.inputs.json").read_text())["weights"]
    return {one["module"]: one["norm"][-1] / weights[one["module"]] for one in run.overview()["layers"]}


def test_a_recorded_run_is_there_at_first_paint_and_a_link_leads_back_to_another(visit: Visit) -> None:
    page = visit("?run=nothing")
    page.get_by_role("tab", name="Factors").click()
    page.locator(READY).wait_for()
    page.locator("#factors-run").select_option("recorded-cdvft")
    expect(page.locator(".factors .origin")).to_contain_text("not run here")
    known = sources.RecordedRun("cdvft")
    effects = known.effects()
    assert effects and effects["sentence"].startswith(
        "CDVFT moves what its query and value weights give for "
    )
    expect(page.locator(".sentence")).to_have_text(SPACES.sub(" ", effects["sentence"]))
    page.locator(".reasons summary").click()
    changes = changes_of(known)
    most = max(changes, key=lambda module: changes[module])
    depth, kind = most.split(".")[2], most.rpartition(".")[2]
    expect(page.locator(".reasons")).to_contain_text(f"changed the {kind} weights of layer {depth} most, by ")
    expect(page.locator(".cell")).to_have_count(12)
    shown = [
        number(cell.inner_text().split("\n")[-1].removesuffix("%")) for cell in page.locator(".cell").all()
    ]
    medians = [100 * one["ratio"][1] for one in effects["layers"]]
    assert sorted(shown) == pytest.approx(sorted(medians), rel=6e-3)

    turn_to(page, "recorded-c3a")
    pick(page.get_by_role("radio", name="layer 2 query"))
    expect(page.locator(".factors")).to_have_attribute("data-compared", QUERY.format(2))
    again = visit("?" + page.url.partition("?")[2], ready=READY)
    expect(again.locator(".layer-name")).to_have_text("Layer 2 · query")
    expect(again.locator("#factors-run")).to_have_value("recorded-c3a")


def test_a_recorded_run_is_within_one_screen_quick_and_without_axe_violation(visit: Visit) -> None:
    known = sources.RecordedRun("cdvft")
    effects = known.effects()
    assert effects
    screen = {"width": 1440, "height": 900}
    page = visit("?run=nothing&tab=factors&factors=recorded-cdvft", ready=READY, viewport=screen)
    expect(page.locator(".sentence")).to_have_text(SPACES.sub(" ", effects["sentence"]))
    ends = page.evaluate(
        """() => Object.fromEntries(
             [".player", ".vectors .canvas-view", ".matrices .heatmap", ".matrices .scale"]
             .map((part) => [part, Math.max(...[...document.querySelectorAll(part)]
               .map((node) => node.getBoundingClientRect().bottom))]))"""
    )
    assert max(ends.values()) <= 900, ends
    # Of the other methods' runs later than of the one that is shown. Gradio's questions end with the page's
    # address, which names the layer after a while: a slow page asks one with it, and one without.
    asked = Counter(address.partition("?")[0] for address in own_requests(page))
    assert len(asked) <= 16 and fetched_megabytes(page) < 1.2, asked
    assert sum(count for address, count in asked.items() if "/factors/" in address) <= 17, asked
    largest = max(effects["layers"], key=lambda one: one["ratio"][1])["module"]
    expect(page.locator(".layer-name")).to_have_text(
        f"Layer {largest.split('.')[2]} · {largest.rpartition('.')[2]}"
    )
    row = page.locator(".compare tbody tr").first
    expect(row).to_contain_text(f"{100 * changes_of(known)[largest]:.3g} %")
    expect(page.locator(".compare tbody tr")).to_have_count(4)
    expect(page.locator(".payload")).to_contain_text("9 snapshots in 54 kB")

    for run in ("recorded-cdvft", "recorded-blocks", "recorded-lora"):
        turn_to(page, run)
        tables = page.locator(".factors .as-table").locator("visible=true")
        tables.evaluate_all("(all) => all.forEach((table) => (table.open = true))")
        two_frames(page)
        assert not axe_violations(page, None if run == "recorded-cdvft" else ".factors"), run


def test_two_runs_are_compared_by_what_they_do_and_directions_are_switched_off(visit: Visit) -> None:
    one, other = sources.RecordedRun("cdvft"), sources.RecordedRun("lora")
    module = QUERY.format(5)
    known = one.together(module, other)
    assert known and known["updates"] is not None and known["effects"] is not None
    page = visit(f"?run=nothing&tab=factors&factors={one.id}&layer={module}", ready=READY)
    page.locator("#factors-beside").select_option(other.id)
    panel = page.locator(".effects")
    panel.scroll_into_view_if_needed()
    expect(panel.locator(".effect-sentence")).to_contain_text(
        f"cosine {known['updates']:.3f}, what they do to real inputs {known['effects']:.3f}"
    )
    expect(panel.locator(".direction")).to_have_count(len(known["directions"]))
    example = known["examples"][0]
    said = panel.locator(".example-answer b")

    def answered_without(chosen: int) -> None:
        for place, (label, sure) in enumerate(of_run[chosen] for of_run in example["answers"]):
            assert sure is not None
            expect(said.nth(place)).to_have_text(re.compile(f"^{example['labels'][label]} "))
            assert number(said.nth(place).inner_text().split()[1]) == pytest.approx(100 * sure, abs=0.06)

    every_layer = 17  # after the sixteen sets of directions, and this layer
    for width in (1280, 390):
        page.set_viewport_size({"width": width, "height": 900})
        panel.locator("label", has_text=re.compile("^Directions$")).click()
        for switch, chosen in (("Direction 1", 0b0001), ("Direction 3", 0b0101)):
            panel.get_by_role("checkbox", name=re.compile(f"^{switch}")).uncheck()
            answered_without(chosen)
        panel.locator("label", has_text="All layers off").click()
        answered_without(every_layer)
        assert page.evaluate("() => document.documentElement.scrollWidth") <= width
        assert not axe_violations(page, ".factors")
        if width > 390:  # on again
            panel.locator("label", has_text=re.compile("^Directions$")).click()
            for switch, chosen in (("Direction 1", 0b0100), ("Direction 3", 0)):
                panel.get_by_role("checkbox", name=re.compile(f"^{switch}")).check()
                answered_without(chosen)


def test_a_run_without_a_model_is_scrubbed_shown_full_screen_and_compared(
    visit: Visit, runs: dict[str, Source], monkeypatch: pytest.MonkeyPatch
) -> None:
    page = visit("?run=nothing&tab=factors&factors=nope", ready=READY)
    a_link_to_a_run_that_is_gone_says_so(page, runs["square"])
    scrubbing_asks_the_server_for_nothing(page)
    scrub(page, 10)
    what_a_run_without_a_model_does_is_not_made_up(page)
    for height in (560, 900):
        what_has_the_focus_is_not_under_the_head(page, height)
    the_tab_fills_the_screen_and_leaves_it(page)
    two_runs_beside_each_other(page, runs)
    each_method_is_drawn_as_what_it_trains(page, runs)
    a_busy_server_may_be_asked_again(page, runs["three"].id, monkeypatch)


def a_link_to_a_run_that_is_gone_says_so(page: Page, there: Source) -> None:
    gone = page.get_by_role("status").filter(has_text="The address names a run that keeps no factors here")
    expect(gone).to_contain_text("This is another one.")
    turn_to(page, there.id)
    expect(gone).to_have_count(0)


def scrubbing_asks_the_server_for_nothing(page: Page) -> None:
    expect(page.locator(".player .readout")).to_have_text("step 10 of 10, loss 0.1")
    update = page.locator(".heatmap").nth(1).locator("canvas").first
    seen = {drawn(update)}
    expect(page.locator(".compare tbody tr")).to_have_count(4)
    two_frames(page)  # in which what does it to inputs comes into view, or not
    expect(page.locator(".effects > .quiet[role=status]")).to_be_hidden()
    asked = server_calls(page)
    for place in (0, 10, 5, 1, 9, 3, 7, 2, 8, 4):
        before = update.evaluate("(canvas) => canvas.toDataURL()")
        scrub(page, place)
        seen.add(drawn(update, before))
        expect(page.locator(".player .readout")).to_contain_text(f"step {place} of 10")
    assert len(seen) == 10, "the weight update is drawn anew at each step"
    assert asked == []
    scrub(page, 0)
    expect(page.locator(".ranks .note").first).to_have_text("ΔW is zero here: training has not begun")


def what_a_run_without_a_model_does_is_not_made_up(page: Page) -> None:
    expect(page.locator(".sentence")).to_contain_text("changed the query weights of layer 0")
    expect(page.locator(".reasons")).to_be_hidden()
    page.locator(".effects").scroll_into_view_if_needed()
    expect(page.locator(".effects .problem")).to_contain_text("keeps no weights; train it again")


def what_has_the_focus_is_not_under_the_head(page: Page, height: int) -> None:
    page.set_viewport_size({"width": 1280, "height": height})
    page.locator(".forward").scroll_into_view_if_needed()
    # In one look: what is known of the run still comes in above.
    zoom, head_end = page.locator(".zoom").first.evaluate(
        """(zoom) => {
          document.activeElement.blur();
          zoom.focus();
          const head = document.querySelector(".layer-head").getBoundingClientRect();
          return [zoom.getBoundingClientRect().top, head.bottom];
        }"""
    )
    assert 0 <= zoom < height
    assert zoom >= head_end


def the_tab_fills_the_screen_and_leaves_it(page: Page) -> None:
    page.get_by_role("button", name="Full screen").click()
    page.wait_for_function("() => document.fullscreenElement?.classList.contains('factors')")
    page.get_by_role("button", name="Leave full screen").click()
    page.wait_for_function("() => document.fullscreenElement === null")


def two_runs_beside_each_other(page: Page, runs: dict[str, Source]) -> None:
    page.locator("#factors-beside").select_option(runs["lora"].id)
    expect(page.get_by_role("figure").filter(has_text="ΔW of LoRA")).to_be_visible()
    ends = page.locator(".heatmaps .scale span:last-child")
    for scale in ("This step", "Whole run"):
        page.locator(".heat-controls .segmented label", has_text=scale).click()
        _, own, other = ends.all_inner_texts()
        assert own == other != "", "one scale of colours"
    run = runs["lora"]
    [layer] = layers.layers(run)
    rank = numbers.singular(run, layer)["effective_rank"][-1]
    expect(page.locator(".compare tbody tr").filter(has_text="LoRA")).to_contain_text(f"{rank:.3g} of 768")
    page.locator("#factors-run").select_option(run.id)
    expect(page.locator("#forward-title")).to_have_text("Follow one token through this layer")
    page.locator("#factors-run").select_option(runs["fourierft"].id)
    expect(page.locator(".forward")).to_contain_text("has no stages to go through")
    expect(page.locator(".vectors")).to_be_hidden()


def each_method_is_drawn_as_what_it_trains(page: Page, runs: dict[str, Source]) -> None:
    titles = {"lora": ["‖bₖ‖ ‖aₖ‖", "A", "Bᵀ"], "fourierft": ["Spectrum"], "c3a": ["Kernels"]}
    for method, expected in titles.items():
        turn_to(page, runs[method].id)
        expect(page.locator(".own .panel:visible h3")).to_have_text(expected)
        for canvas in page.locator(".own .panel:visible canvas:first-child").all():
            assert drawn(canvas)
    turn_to(page, runs["square"].id)
    expect(page.locator(".own")).to_be_hidden()


def test_a_run_in_blocks_is_saved_played_and_read_entry_by_entry(
    visit: Visit, runs: dict[str, Source]
) -> None:
    page = opened(visit, runs["blocks"], **MOVING)
    numbers_and_pictures_can_be_saved(page, runs["blocks"])
    play_runs_to_the_end_and_the_curve_moves_the_slider(page)
    scrub(page, 3)
    heatmap_by_keyboard_tells_each_entry(page, runs["blocks"])


def numbers_and_pictures_can_be_saved(page: Page, run: Source) -> None:
    scrub(page, 2)

    press_while_what_comes_into_view_is_answered(page, page.get_by_role("button", name="as JSON"))
    with page.expect_download() as coming:
        page.mouse.up()
    known = json.loads(coming.value.path().read_text())
    assert known["step"] == 2 and known["vectors"]["circulant.0"]["shape"] == [3, 2, 4]
    truth = run.read(2, QUERY.format(0))
    np.testing.assert_array_equal(np.float32(known["vectors"]["diagonal.1"]["values"]), truth["diagonal.1"])
    table = downloaded(page.get_by_role("button", name="as CSV")).read_text().splitlines()
    assert table[0] == "vector,place,value" and len(table) == 1 + 7 + 10 + 24
    for picture in page.get_by_role("button", name="as PNG").all():
        if picture.is_visible():
            assert downloaded(picture).read_bytes().startswith(b"\x89PNG")


def press_while_what_comes_into_view_is_answered(page: Page, button: Locator) -> None:
    """The button stays under the pointer, which is not let go yet."""
    held: list[Route] = []
    page.route("**/factors/tab/together", lambda route: [held.append(route)], times=1)
    with page.expect_request("**/factors/tab/together"):
        button.hover()
    two_frames(page)
    button.hover()
    page.mouse.down()
    held[0].fulfill(json={"error": "This is said in many lines. " * 40, "busy": False})
    expect(page.locator(".effects .problem")).to_contain_text("This is said in many lines.")


def play_runs_to_the_end_and_the_curve_moves_the_slider(page: Page) -> None:
    slider = page.get_by_role("slider", name="Training step")
    slider.focus()
    page.keyboard.press("Home")
    expect(slider).to_have_attribute("aria-valuetext", "step 0 of 3")
    page.get_by_role("button", name="Play").click()
    expect(slider).to_have_attribute("aria-valuetext", re.compile("step 3 of 3"))
    expect(page.get_by_role("button", name="Play")).to_be_visible()
    curve = page.locator(".player .line-plot")
    width = spot(curve, 1)["x"]
    curve.click(position={"x": 46 + (width - 54) / 3, "y": 20})
    expect(slider).to_have_attribute("aria-valuetext", re.compile("step 1 of 3"))


def heatmap_by_keyboard_tells_each_entry(page: Page, run: Source) -> None:
    [layer] = layers.layers(run)
    truth = numbers.update(run, layer, 3)
    update = page.locator(".heatmap").nth(1)
    update.focus()
    page.keyboard.press("ArrowDown")
    said = page.locator(".heatmaps .panel").nth(1).locator(".under")
    expect(said).to_contain_text(
        f"ΔW[{10 // 2 + 1}, {7 // 2}] = α · a₃[6] · c₂ of block (1, 0)[3] · a₁[3] = 0.5 ×"
    )
    assert number(said.inner_text().rpartition("= ")[2]) == pytest.approx(float(truth[6, 3]), rel=6e-3)
    expect(page.locator(".heatmaps .panel").nth(0).locator(".under")).to_contain_text(
        "circ(c₂)[6, 3] = c₂ of block"
    )
    parts = page.locator(".vectors .under")
    expect(parts).to_have_text(
        [re.compile(r"^a₁\[3\] ="), re.compile(r"^c₂\[11\] ="), re.compile(r"^a₃\[6\] =")]
    )
    entries = update.locator("canvas").first
    whole = drawn(entries)
    page.keyboard.press("+")
    nearer = drawn(entries, whole)
    page.keyboard.press("Escape")
    assert drawn(entries, nearer) == whole
    scrub(page, 1)
    page.wait_for_url(lambda url: "step=1" in url and "entry=6,3" in url)
    page.reload()
    expect(said).to_contain_text("ΔW[6, 3]")  # the address leads back to step and entry
    expect(page.locator(".player .readout")).to_contain_text("step 1 of 3")
    moduli = page.locator(".spectra .line-plot").first
    curve = page.locator(".vectors canvas:first-child").nth(1)
    plain = drawn(curve)
    moduli.focus()
    page.keyboard.press("ArrowRight")
    assert drawn(curve, plain)  # the frequency's wave lies over c


def a_busy_server_may_be_asked_again(page: Page, run: str, monkeypatch: pytest.MonkeyPatch) -> None:
    busy = True

    def unless_busy(answer: Callable[..., object]) -> Callable[..., object]:
        def asked(*arguments: object, **about: object) -> object:
            if busy:
                raise TooManyRequests("Somebody else is at it.")
            return answer(*arguments, **about)

        return asked

    monkeypatch.setattr(Inspector, "ask", unless_busy(Inspector.ask))
    page.locator("#factors-run").select_option(run)
    problem = page.locator(".factors > .problem")
    again = problem.get_by_role("button", name="Try again")
    expect(page.locator(".cell b")).to_have_text("–")  # all has been asked for
    expect(problem).to_contain_text("Somebody else is at it.")
    expect(page.locator(".ranks .note").first).to_have_text("not computed")
    expect(page.locator(".sentence")).to_be_empty()
    busy = False
    again.click()
    expect(problem).to_be_hidden()
    expect(page.locator(".sentence")).to_contain_text("changed the query weights of layer 0 most")
    page.evaluate("() => document.querySelector('#factors-run').append(new Option('gone', 'gone'))")
    page.locator("#factors-run").select_option("gone")
    expect(problem).to_be_visible()  # there is no such run, so that asking again would not help
    expect(again).to_have_count(0)


def test_the_layer_of_a_run_that_was_left_does_not_replace_those_of_the_next(
    visit: Visit, runs: dict[str, Source]
) -> None:
    page = without_app(visit)
    held: list[Route] = []
    page.route("**/factors/tab/most_changed", lambda route: [held.append(route)])
    with page.expect_request("**/factors/tab/most_changed"):
        page.goto(page.url.replace("theme.css", f"?run=nothing&tab=factors&factors={runs['large'].id}"))
    turn_to(page, "recorded-lora")
    cells = page.locator(".cell b")
    before = cells.all_inner_texts()
    assert len(before) == 12 and "…" not in "".join(before)
    with page.expect_response("**/factors/tab/most_changed"):
        held[0].continue_()
    two_frames(page)
    assert cells.all_inner_texts() == before


def test_all_layers_are_known_whichever_was_chosen_before_the_first_or_while_hundreds_come(
    visit: Visit, runs: dict[str, Source]
) -> None:
    page = without_app(visit)
    first: list[Route] = []
    page.route("**/factors/tab/layer", lambda route: route.continue_() if first else first.append(route))
    with page.expect_request("**/factors/tab/layer"):
        page.goto(page.url.replace("theme.css", "?run=nothing&tab=factors&factors=recorded-lora"))
    page.locator(".cell").first.wait_for()
    pick(page.get_by_role("radio", name="layer 2 query"))
    expect(page.locator(".layer-name")).to_have_text("Layer 2 · query")
    expect(page.locator(".cell b", has_text="…")).to_have_count(0)

    held: list[Route] | None = []
    page.route(
        "**/factors/tab/overview", lambda route: route.continue_() if held is None else held.append(route)
    )
    page.locator("#factors-run").select_option(runs["large"].id)
    expect(page.locator(".cell")).to_have_count(64)
    expect(page.locator(".layer-about")).to_contain_text("6,144 numbers trained instead of 4,194,304")
    expect(page.locator(".payload")).to_contain_text("2 snapshots in 64 kB")
    expect(page.locator(".ranks .note").first).to_contain_text("they take too long to wait for")
    pick(page.get_by_role("radio", name="layer 40 query"))
    expect(page.locator(".layer-name")).to_have_text("Layer 40 · query")
    expect(page.locator(".sentence")).to_have_text("Looking at 64 layers: 0 done.")
    waiting, held = held, None
    for route in waiting:
        route.continue_()
    expect(page.locator(".sentence")).to_contain_text("changed the query weights of layer 57 most")


def test_it_begins_with_the_circulants_of_the_latest_race_says_what_it_means_and_fits_a_phone(
    visit: Visit, server: Server, runs: dict[str, Source]
) -> None:
    rng = np.random.default_rng(2)
    uneven = {
        step: {f"{QUERY.format(0)}/{name}": x for name, x in vectors(rng, 8, 8, 2).items()}
        for step in (0, 2, 9, 10)
    }
    beside = {1: {f"{QUERY.format(0)}/A": np.ones((2, 8)), f"{QUERY.format(0)}/B": np.ones((8, 2))}}
    circulants, _ = keep(server, [(settings("cdvft"), uneven), (settings("lora", lora_r=2), beside)])
    page = visit("?tab=factors", ready=READY)
    expect(page.locator("#factors-run")).to_have_value(circulants)
    slider_and_curve_agree_where_snapshots_are_not_evenly_spaced(page)
    turn_to(page, runs["three"].id)
    headings_and_switch_say_what_they_mean(page)
    page.set_viewport_size({"width": 390, "height": 844})
    for run in ("square", "large"):
        turn_to(page, runs[run].id)
        nothing_is_beyond_the_edge(page)
    page.emulate_media(forced_colors="active")  # which keep the cells apart
    edge = "(cell) => getComputedStyle(cell).boxShadow"
    chosen, other = page.locator(".cell:has(:checked)"), page.locator(".cell:not(:has(:checked))").first
    assert "none" != chosen.evaluate(edge) != other.evaluate(edge) != "none"


def slider_and_curve_agree_where_snapshots_are_not_evenly_spaced(page: Page) -> None:
    slider, plot = page.get_by_role("slider", name="Training step"), page.locator(".player .line-plot")
    slider.focus()
    page.keyboard.press("Home")
    for step in (2, 9, 10):
        page.keyboard.press("ArrowRight")
        expect(slider).to_have_attribute("aria-valuetext", re.compile(f"^step {step} of 10"))
        expect(slider).to_have_value(str(step))
        track, curve = slider.bounding_box(), plot.bounding_box()
        assert track and curve
        thumb = track["x"] + 8 + step / 10 * (track["width"] - 16)
        assert thumb == pytest.approx(curve["x"] + 46 + step / 10 * (curve["width"] - 54), abs=1.5)
    slider.click(position={"x": 8 + 0.4 * (track["width"] - 16), "y": track["height"] / 2})
    expect(slider).to_have_value("2")  # the nearest to step 4


def headings_and_switch_say_what_they_mean(page: Page) -> None:
    heads = page.locator(".compare thead th")
    expect(heads).to_have_text(["Method", "Step", "Numbers trained", "‖ΔW‖", "of ‖W‖", "Effective rank"])
    for head in heads.all()[1:]:
        expect(head).to_have_attribute("title", re.compile(r"^\w+( \S+){4,}"))
    choices = page.locator(".overview-switch label")
    expect(choices).to_have_count(7)
    for symbol, choice in zip(["ΔW", "directions", "a₁", "c₂", "a₃", "c₄", "a₅"], choices.all(), strict=True):
        expect(choice).to_have_attribute("title", re.compile(f"{symbol}[ ,]"))


def nothing_is_beyond_the_edge(page: Page) -> None:
    assert page.evaluate("() => document.documentElement.scrollWidth") <= 390
    assert beyond_the_edge(page, ".table-scroll") == []


def test_a_run_that_trains_is_followed_to_its_end(
    visit: Visit, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leases, "LEASE_SECONDS", 600.0)  # nobody renews it
    rng = np.random.default_rng(3)
    found = {f"{QUERY.format(0)}/{name}": x for name, x in vectors(rng, 8, 8, 2).items()}
    [run] = server.store.create([settings()], "somebody", "Under way", process="1:1")
    folder = server.store.folder(run.id)
    server.store.append(run.id, run_events.started(9))
    snapshots.write(folder, 0, found)
    page = visit(f"?run=nothing&tab=factors&factors={run.id}", ready=".factors[data-layer]", **MOVING)
    expect(page.locator(".factors .origin")).to_contain_text("Training, followed live: step 0")
    for step in (3, 6):
        server.store.append(run.id, run_events.step(step))
        snapshots.write(folder, step, {name: step * x for name, x in found.items()})
        expect(page.locator(".player .readout")).to_contain_text(f"step {step} of {step}")
    page.get_by_role("slider", name="Training step").focus()
    page.keyboard.press("Home")
    server.store.append(run.id, run_events.done(6, folder))
    expect(page.locator(".factors .origin")).not_to_contain_text("followed live")
    expect(page.locator(".player .readout")).to_contain_text("step 0 of 6")  # where somebody was looking
    expect(page.locator(".compare tbody tr")).to_have_count(1)
