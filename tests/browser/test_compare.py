"""The Compare tab in Chromium: settings change the numbers, matching, growth, evidence, export, axe."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from comparing import answer, choose, compare, no_names_in_a_figure_overlap, unfold
from playwright.sync_api import Page, expect
from studio import Visit, axe_violations, downloaded, fill_in, setting, spot, two_frames

from cdvft_app.costs import roofline


def test_numbers_and_growth_follow_the_settings_and_go_with_what_is_unknown(visit: Visit) -> None:
    page = compare(visit)
    numbers_follow_the_settings(page)
    the_growth_follows_the_settings_that_were_changed_on_another_page(page)


def numbers_follow_the_settings(page: Page) -> None:
    unfold(page)
    numbers = answer(page, "parameters")
    expect(numbers.first).to_have_text("55,296")
    fill_in(page.locator("#cost-m input"), "3")
    expect(numbers.first).to_have_text("92,160")
    page.locator("#costs summary", has_text="Why").click()
    expect(page.locator("#costs .seen").first).to_contain_text("LoRA r\u00a0=\u00a08 trains 3.20 times that")
    page.locator("#cost-lora_r input").fill("0")
    expect(page.locator("#costs .problem")).to_contain_text("Rank (r): got 0")
    expect(page.locator("#costs .answer")).to_be_hidden()
    expect(numbers.first).to_be_hidden()
    page.locator("#cost-lora_r input").fill("4")
    expect(numbers.nth(1)).to_have_text("147,456")
    expect(page.locator("#costs .problem")).to_have_text("")
    choose(page, "cost-match", "equal parameters")
    expect(page.locator("#costs .answers thead")).to_contain_text("LoRA r\u00a0=\u00a03")
    expect(numbers.nth(2)).to_have_text("92,160")


def the_growth_follows_the_settings_that_were_changed_on_another_page(page: Page) -> None:
    page.locator("#cost-model input").click()
    page.get_by_role("option", name="gpt2 ·").click()
    expect(page.locator("#costs h2")).to_have_text("openai-community/gpt2")
    page.get_by_role("link", name="Growth").click()
    expect(page.locator("#growth h2")).to_have_text("openai-community/gpt2")
    page.locator("#cost-batch input").fill("0")
    expect(page.locator("#growth .problem")).to_contain_text("Batch: got 0")
    expect(page.locator("#growth .chart")).to_be_hidden()


def test_eight_billion_weights_on_a_card_are_answered_in_a_sentence(visit: Visit) -> None:
    page = compare(visit)
    page.locator("#cost-model input").click()
    page.get_by_role("option", name="Meta-Llama-3-8B").click()
    said = page.locator("#costs .answer")
    expect(page.locator("#costs h2")).to_have_text("meta-llama/Meta-Llama-3-8B")
    choose(page, "cost-device", "RTX 4090 (24 GB)")
    expect(said).to_contain_text(
        "As asked nothing fits: Meta-Llama-3-8B in float32 needs 113\u00a0GB, and an RTX 4090 with "
        "24\u00a0GB is smaller. What costs least and fits: 1 at a time"
    )
    expect(said).to_contain_text("LoRA r\u00a0=\u00a08 for Meta-Llama-3-8B on an RTX 4090")
    for field, value in (("batch", "16"), ("sequence", "512")):
        expect(page.locator(f"#cost-{field} input")).to_have_value(value)
    choose(page, "cost-precision", "4 bit")
    page.locator("#cost-gradient_checkpointing input").check()
    choose(page, "cost-aim", "short steps")
    expect(said).to_contain_text(
        "LoRA r\u00a0=\u00a08 for Meta-Llama-3-8B on an RTX 4090 with 24\u00a0GB in 4 bit with "
        "checkpointing: it adds the fewest FLOPs"
    )
    expect(page.locator("#costs .answers tbody th")).to_have_text(
        ["Fits in 24 GB", "Adapter file", "Trainable numbers", "Extra FLOPs"]
    )
    top, below = said.bounding_box(), page.locator("#costs .answers").bounding_box()
    assert top and below and top["y"] + top["height"] < below["y"] < 900
    page.locator("#costs summary", has_text="Why").click()
    expect(page.locator("#costs tr", has_text="Frozen weights")).to_contain_text("5.70 GB")
    page.locator("#costs summary", has_text="In bars").click()
    page.locator("#costs .chart svg").first.wait_for()
    page.locator("#costs .segmented label", has_text="Peak memory").click()
    expect(page.locator("#costs .undrawn")).to_contain_text("Not measured on this machine yet")


def test_a_marker_moves_along_the_growth_and_engines_have_bars_once_a_gpu_was_measured(
    visit: Visit, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(roofline, "FILE", tmp_path / "gpu.json")
    page = visit("?tab=compare&page=growth", ready="#growth .chart svg")
    expect(page.locator("#growth h2")).to_have_text("FacebookAI/roberta-base")
    a_marker_moves_along_the_growth_and_its_letters_are_explained(page)
    a_marker_stays_where_it_was_put_when_the_same_is_shown_again(page)
    page.get_by_role("link", name="Decide").click()
    fill_in(page.locator("#cost-batch input"), "16")
    a_layer_by_engine_has_bars_and_limits_once_a_gpu_was_measured(page, tmp_path / "gpu.json")


def a_marker_moves_along_the_growth_and_its_letters_are_explained(page: Page) -> None:
    expect(page.locator("#growth .place")).to_have_text("tokens = 2,048 (as set)")
    expect(page.locator("#growth .readout")).to_contain_text("6.26 GFLOP")
    page.locator("#growth .marker input").focus()
    page.keyboard.press("Home")
    expect(page.locator("#growth .place")).to_have_text("tokens = 1")
    expect(page.locator("#growth .readout")).to_contain_text("3.94 MFLOP")
    chart = page.locator("#growth .chart.growth")
    curves = chart.locator(".nsewdrag")
    curves.click(position=spot(curves, 0.99))
    expect(page.locator("#growth .place")).to_have_text("tokens = 65,536")
    titles = {
        label.inner_text(): label.get_attribute("title")
        for label in page.locator("#growth .segmented label").all()
    }
    assert titles["Width d"] == "d, width of the layers"
    assert titles["CDVFT p"] == "p, CDVFT's block size"
    assert all(titles.values())


def a_marker_stays_where_it_was_put_when_the_same_is_shown_again(page: Page) -> None:
    place = page.locator("#growth .place")
    page.locator("#growth .marker input").focus()
    page.keyboard.press("Home")
    expect(place).to_have_text("tokens = 1")
    fill_in(page.locator("#cost-batch input"), "32")
    expect(place).to_have_text("tokens = 4,096 (as set)")
    page.locator("#growth .marker input").focus()
    page.keyboard.press("Home")
    for name in ("Decide", "Growth"):  # each asks for it again
        with page.expect_response(lambda answer: "/run/predict" in answer.url):
            page.get_by_role("link", name=name).click()
        two_frames(page)
    expect(place).to_have_text("tokens = 1")


def a_layer_by_engine_has_bars_and_limits_once_a_gpu_was_measured(page: Page, file: Path) -> None:
    page.locator("#costs summary", has_text="Roofline").click()
    layer, said = page.locator("#costs .engines-layer"), page.locator("#costs .engines-said")
    expect(layer).to_have_text("768 → 768, 2,048 tokens, bfloat16")
    expect(said).to_contain_text("Nothing is measured: no GPU has run these kernels yet.")
    expect(page.locator("#costs .engines li")).to_have_count(0)
    seconds = {"base": 1e-5, "cdvft, fused, transforms": 9e-5, "cdvft, fused, merged": 8e-5}
    one = {"d_in": 768, "d_out": 768, "tokens": 4096, "dtype": "torch.bfloat16", "seconds": seconds}
    record = {"device": "NVIDIA H100 PCIe", "recorded": "2026-01-01", "layers": [one]}
    file.write_text(json.dumps(record))
    fill_in(page.locator("#cost-batch input"), "32")
    expect(layer).to_have_text("768 → 768, 4,096 tokens, bfloat16")
    expect(said).to_have_text("Measured on: NVIDIA H100 PCIe, 2026-01-01.")
    bars = page.locator("#costs .engines li")
    expect(bars).to_have_count(3)
    expect(bars.nth(1)).to_contain_text("90 µs, at least 48.4 µs")
    measured, limit = (bars.nth(1).locator(part).bounding_box() for part in (".engine-bar", ".engine-limit"))
    assert measured and limit and measured["x"] < limit["x"] < measured["x"] + measured["width"]


def test_the_paper_is_beside_ours_and_all_tables_are_saved_without_axe_violation(visit: Visit) -> None:
    page = visit("?tab=compare&page=paper", ready="#paper table")
    the_paper_is_beside_ours(page)
    tables_are_saved(page)
    there_is_no_axe_violation_where_all_is_unfolded(page)


def the_paper_is_beside_ours(page: Page) -> None:
    row = page.locator("#paper tr", has_text="LoRA's parameters over CDVFT's")
    expect(row.locator(".verdict")).to_have_text("equal")
    expect(row.locator(".value")).to_have_text(["5.33", "5.33"])
    many = page.locator("#paper tr", has_text="real FFTs' constants, very many tokens")
    expect(many.locator(".value")).to_have_text(["51.8", "29.0"])
    alone = page.locator("#paper tr", has_text="CDVFT, p = 4096").first
    expect(alone).to_be_hidden()
    page.locator("#paper summary", has_text="Without a known figure").click()
    expect(alone.locator(".value")).to_have_text(["–", "786,432"])


def tables_are_saved(page: Page) -> None:
    page.get_by_role("link", name="Decide").click()
    expect(page.locator("#costs .answers tbody th").first).to_have_text("Fits here")
    page.locator("#costs summary", has_text="Save").click()
    rows = json.loads(downloaded(page.get_by_role("button", name="Save costs as JSON")).read_text())
    assert [row["trainable_parameters"] for row in rows] == [55_296, 294_912, 24_000, 18_432]
    page.get_by_role("link", name="The paper").click()
    lines = downloaded(page.get_by_role("button", name="Save paper as CSV")).read_text().splitlines()
    assert lines[0].startswith("topic,quantity,unit,published,recomputed,verdict") and "5.33" in lines[1]
    page.get_by_role("link", name="Growth").click()
    page.locator("#growth summary", has_text="Show as table").click()
    with page.expect_download() as saved:
        page.get_by_role("button", name="Save Growth of cost as CSV").click()
    assert saved.value.suggested_filename == "growth-of-cost.csv"
    assert "CDVFT m\u00a0=\u00a02,1,3937992" in saved.value.path().read_text()  # numbers, without units


def there_is_no_axe_violation_where_all_is_unfolded(page: Page) -> None:
    for name, part in (
        ("Decide", "#costs"),
        ("Growth", "#growth"),
        ("Evidence", "#evidence"),
        ("The paper", "#paper"),
    ):
        page.get_by_role("link", name=name).click()
        if name == "Evidence":
            expect(page.locator("#evidence .js-plotly-plot")).to_have_count(5)
        page.locator(f"{part} summary").first.wait_for()
        for fold in page.locator(f"{part} summary").all():
            if not fold.evaluate("(fold) => fold.parentElement.open"):
                fold.click()
        # Rows and points by the hundred, each as those before it.
        alike = page.locator(f"{part} :is(tbody tr, .points path):nth-child(n + 20)")
        alike.evaluate_all("(all) => all.forEach((one) => one.remove())")
        assert not axe_violations(page, None if name == "Decide" else f"#compare-pages, {part}"), name


def test_figures_of_evidence_unfold_name_their_lines_and_open_train(visit: Visit) -> None:
    page = visit("?tab=compare&page=evidence", ready="#evidence .chart svg")
    symbols = page.locator("#evidence .legend path").evaluate_all(
        "(all) => all.map((one) => one.getAttribute('d'))"
    )
    names = page.locator("#evidence .legend li").count()
    assert names == len({*symbols} - {None}) == 6, "each method's points have a symbol of their own"
    a_folded_doubt_shows_its_answer_and_draws_its_figure_once_opened(page)
    no_names_in_a_figure_overlap(page)
    a_figure_opens_train_with_its_settings_without_a_reload(page)


def a_folded_doubt_shows_its_answer_and_draws_its_figure_once_opened(page: Page) -> None:
    folded = page.locator("#evidence-many")
    expect(folded.locator("summary").first).to_have_text("Do smaller files matter?")
    expect(folded.get_by_role("heading")).to_be_hidden()
    expect(folded.locator(".js-plotly-plot")).to_have_count(0)
    folded.locator("summary").first.click()
    expect(folded.get_by_role("heading")).to_contain_text("10,000")
    expect(folded.locator(".chart .main-svg").first).to_be_visible()
    page.emulate_media(color_scheme="dark")
    expect(page.locator("body.dark")).to_have_count(1)
    folded.locator("summary", has_text="Why").click()
    expect(folded).to_contain_text("by how much the process grew")


def a_figure_opens_train_with_its_settings_without_a_reload(page: Page) -> None:
    page.evaluate("() => { window.same = true; }")
    figure = page.locator("#evidence-settings")
    figure.locator("summary", has_text="Why").click()
    expect(figure).to_contain_text("python -m benchmarks.record_sweep")
    figure.locator("summary", has_text="Show as table").click()
    table = downloaded(figure.get_by_role("button", name="Save By how much each setting").first)
    assert "Sentiment of film reviews,m," in table.read_text()
    figure.get_by_role("link", name="Open in Train with these settings").nth(1).click()
    expect(page.get_by_role("tab", name="Train")).to_have_attribute("aria-selected", "true")
    assert page.evaluate("() => window.same") is True, "the page was loaded anew"
    expect(setting(page, "m")).to_have_value("3")
    expect(page.locator("#counts")).to_contain_text("CDVFT")
    expect(page.locator("#recipes input[value=mnist]")).to_be_checked()
    expect(page.get_by_role("checkbox", name="C3A")).not_to_be_checked()
    page.wait_for_function("() => !location.search.includes('recipe')")  # the form is the visitor's now
    fill_in(setting(page, "m"), "2")
    expect(page.locator(".promise b")).to_have_text("46,080")  # counted, and remembered
    page.reload()
    expect(setting(page, "m")).to_have_value("2")
