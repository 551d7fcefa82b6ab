"""Factors: what each layer learned, step by step, of recorded, finished, and running runs."""

from __future__ import annotations

import json

import numpy as np
import pytest
import run_events
from playwright.sync_api import expect

from cdvft.blocks import partitions
from cdvft_app.store import leases, snapshots
from walks import runs
from walks.pages import Factors, Train, Visit, downloaded, drawn, two_frames
from walks.studio import Studio

QUERY = "encoder.layer.{}.attention.self.query"
SHAPE = {"model": "roberta_base", "target_modules": ("attention.self.query",)}


def vectors(d: int, m: int = 2, p: int | None = None, layers: int = 1) -> dict[str, np.ndarray]:
    """Random factors of square layers."""
    rng = np.random.default_rng(0)
    found = {}
    for layer in range(layers):
        module = QUERY.format(layer)
        found |= {f"{module}/diagonal.{place}": rng.normal(size=d) for place in range(m)}
        for place, part in enumerate(partitions(d, d, m, p)):
            found[f"{module}/circulant.{place}"] = rng.normal(size=(part.q1, part.q2, part.p)) * part.p**-0.5
    return found


def grown(values: dict[str, np.ndarray], *steps: int) -> runs.Snapshots:
    """Snapshots whose last diagonal grows from zero."""
    last = max(name for name in values if "diagonal" in name)
    return {step: values | {last: values[last] * step} for step in steps}


def test_recorded_run_restores_layer_and_step_by_link(visit: Visit) -> None:
    factors = visit(Factors, run="nothing", factors="recorded-cdvft")
    expect(factors.find(".cell")).to_have_count(12)
    expect(factors.find(".switched tr")).to_have_count(3)
    factors.choose("recorded-c3a")
    module = QUERY.format(2)
    factors.find(f".cell input[value='{module}']").press(" ")
    expect(factors.find(".factors")).to_have_attribute("data-compared", module)
    address = dict(one.split("=") for one in factors.page.url.partition("?")[2].split("&"))
    again = visit(Factors, factors=address["factors"], layer=address["layer"])
    expect(again.find(f".cell input[value='{module}']")).to_be_checked()
    expect(again.find("#factors-run")).to_have_value("recorded-c3a")


def test_steps_are_drawn_without_asking_the_server(visit: Visit, studio: Studio) -> None:
    (run,) = runs.build(studio, method="cdvft", steps=4, factors=grown(vectors(12, p=6), 0, 2, 4), **SHAPE)
    factors = visit(Factors, factors=run)
    update = factors.find(".heatmap").nth(1).locator("canvas").first
    before = drawn(update)
    asked: list[str] = []
    factors.page.on("request", lambda request: asked.append(request.url))
    pictures = {before}
    for place in (0, 2, 4):
        factors.scrub(place)
        two_frames(factors.page)
        pictures.add(update.evaluate("(canvas) => canvas.toDataURL()"))
    assert len(pictures) == 3, "zero at first, and larger at each step"
    assert [one for one in asked if "/factors/" in one] == []


def test_entries_are_read_by_keyboard_and_saved(visit: Visit, studio: Studio) -> None:
    values = vectors(10, p=5)
    (run,) = runs.build(studio, method="cdvft", steps=3, factors=grown(values, 0, 3), **SHAPE)
    factors = visit(Factors, factors=run)
    update = factors.find(".heatmap").nth(1)
    update.focus()
    factors.page.keyboard.press("ArrowDown")
    factors.page.wait_for_url(lambda url: "entry=" in url)
    factors.page.reload()
    factors.wait()
    expect(factors.find(".heatmaps .panel .under").nth(1)).to_contain_text("6, 5")
    saved = json.loads(downloaded(factors.find(".views-foot button", "JSON")).read_text())
    kept = np.array(saved["vectors"]["diagonal.0"]["values"])
    np.testing.assert_allclose(kept, values[f"{QUERY.format(0)}/diagonal.0"], rtol=1e-6)


def test_each_method_is_drawn_as_what_it_trains(visit: Visit, studio: Studio) -> None:
    rng = np.random.default_rng(1)
    places = np.stack([rng.permutation(768)[:20], rng.permutation(768)[:20]])
    drawings = {
        "lora": ({"A": rng.normal(size=(8, 768)), "B": rng.normal(size=(768, 8))}, 3),
        "fourierft": ({"spectrum": rng.normal(size=20), "indices": places}, 1),
        "c3a": ({"kernel": rng.normal(size=(2, 2, 384))}, 1),
    }
    more = {"fourierft": {"fourierft_n": 20}}
    factors = visit(Factors, factors="recorded-cdvft")
    for method, (values, count) in drawings.items():
        named = {f"{QUERY.format(0)}/{name}": value for name, value in values.items()}
        settings = SHAPE | more.get(method, {})
        (run,) = runs.build(studio, method=method, steps=5, factors={5: named}, **settings)
        factors.page.evaluate("document.dispatchEvent(new CustomEvent('runs-changed'))")
        expect(factors.find(f"#factors-run option[value='{run}']")).to_be_attached()
        factors.choose(run)
        panels = factors.find(".own .panel:visible")
        expect(panels).to_have_count(count)
        drawn(panels.first.locator("canvas").first)


def test_two_runs_are_compared_layer_by_layer(visit: Visit) -> None:
    factors = visit(Factors, factors="recorded-cdvft", layer=QUERY.format(5))
    factors.find("#factors-beside").select_option("recorded-lora")
    expect(factors.find(".heatmaps figure:visible, .heatmaps .panel:visible")).to_have_count(3)
    effects = factors.find(".effects")
    effects.scroll_into_view_if_needed()
    directions = effects.locator(".direction input[type=checkbox]")
    expect(directions.first).to_be_visible()
    answer = effects.locator(".example-answer").first
    before = answer.inner_text()
    for switch in directions.all():
        switch.uncheck()
    expect(answer).not_to_have_text(before)


def test_running_run_is_followed_to_its_end(
    visit: Visit, studio: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leases, "LEASE_SECONDS", 600.0)  # nobody renews it
    values = vectors(8)
    (run,) = runs.build(studio, state="running", method="cdvft", steps=1, factors={0: values}, **SHAPE)
    factors = visit(Factors, factors=run)
    readout = factors.find(".player .readout")
    for step in (3, 6):
        studio.store.append(run, run_events.step(step))
        snapshots.write(studio.store.folder(run), step, {name: step * one for name, one in values.items()})
        expect(readout).to_contain_text(f"{step} of {step}")
    studio.store.append(run, run_events.done(6, studio.store.folder(run)))
    expect(factors.find("#factors-run option:checked")).to_have_attribute("value", run)
    beside = visit(Train, run=run)
    beside.until("finished", 1)


def test_unknown_run_is_replaced_by_another(visit: Visit) -> None:
    factors = visit(Factors, factors="nope")
    expect(factors.find(".factors > .notice")).to_be_visible()
    factors.choose("recorded-blocks")
    expect(factors.find(".factors > .notice")).to_be_hidden()
