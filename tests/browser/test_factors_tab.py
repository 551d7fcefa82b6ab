"""The Factors tab: alive at first paint, right in every number it draws, quick, and usable by everybody."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import torch
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect
from studio import Server, Visit

from cdvft import factors as formulas
from cdvft.blocks import partitions
from cdvft_app import events
from cdvft_app.inspection import layers, numbers, sources
from cdvft_app.inspection.sources import Source
from cdvft_app.settings import RunSettings
from cdvft_app.store import snapshots
from cdvft_app.ui.component import ASSETS, address

pytestmark = pytest.mark.browser

READY = ".factors[data-compared]"
QUERY = "encoder.layer.{}.attention.self.query"


def settings(method: str = "cdvft", **more: object) -> RunSettings:
    shared = {"model": "roberta_base", "target_modules": ("attention.self.query",)}
    return RunSettings(method=method, **{**shared, **more})


def vectors(
    rng: np.random.Generator, d_out: int, d_in: int, m: int, p: int | None = None
) -> dict[str, np.ndarray]:
    found = {f"diagonal.{place}": rng.normal(size=d_out if place else d_in) for place in range(m)}
    for place, part in enumerate(partitions(d_out, d_in, m, p)):
        found[f"circulant.{place}"] = rng.normal(size=(part.q1, part.q2, part.p)) * part.p**-0.5
    return found


def keep(server: Server, every: list[tuple[RunSettings, dict[int, dict[str, np.ndarray]]]]) -> list[str]:
    """A race of runs with these snapshots, finished."""
    runs = server.store.create([one for one, _ in every], "somebody", "Synthetic", process="1:1")
    for run, (_, steps) in zip(runs, every, strict=True):
        last, folder = max(steps), server.store.folder(run.id)
        server.store.append(run.id, events.Started(last, 1, 1, 1, "cpu", "float32", 9, 9, "accuracy"))
        for step in range(1, last + 1):
            server.store.append(run.id, events.Step(step, 1.0, 1 / step, 0.1, None, None))
        for step, tensors in steps.items():
            snapshots.write(folder, step, tensors)
        done = events.Done("finished", last, 1.0, "accuracy", 0.5, 0.1, 1.0, 1, None, folder)
        server.store.append(run.id, done)
    return [run.id for run in runs]


@pytest.fixture(scope="module")
def runs(server: Server) -> dict[str, Source]:
    """CDVFT at 768, in blocks with padding, and with m = 3; LoRA, FourierFT and C3A; an LLM's shapes."""
    rng = np.random.default_rng(0)

    def of(module: str, found: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        return {f"{module}/{name}": vector for name, vector in found.items()}

    def grown(last: int, d_out: int, d_in: int, m: int, p: int | None = None) -> dict[int, dict]:
        end = of(QUERY.format(0), vectors(rng, d_out, d_in, m, p))
        output = f"{QUERY.format(0)}/diagonal.{m - 1}"
        return {step: end | {output: end[output] * step / last} for step in range(last + 1)}

    places = np.stack([rng.permutation(768)[:200], rng.permutation(768)[:200]])
    others = {
        "lora": {"A": rng.normal(size=(8, 768)), "B": rng.normal(size=(768, 8))},
        "fourierft": {"spectrum": rng.normal(size=200), "indices": places},
        "c3a": {"kernel": rng.normal(size=(2, 2, 384))},
    }
    keys = ["square", *others, "blocks", "three", "large"]
    race = [(settings(), grown(20, 768, 768, 2))]
    race += [
        (settings(method, fourierft_n=200), {5: of(QUERY.format(0), found)})
        for method, found in others.items()
    ]
    ids = keep(server, race)
    ids += keep(server, [(settings(block_size=4, alpha=0.5), grown(3, 10, 7, 2, 4))])
    ids += keep(server, [(settings(m=3, block_size=6), grown(3, 12, 12, 3, 6))])
    large = {
        key: vector
        for layer in range(64)
        for key, vector in of(QUERY.format(layer), vectors(rng, 4096, 4096, 2)).items()
    }
    ids += keep(server, [(settings(), {0: large, 5: large})])
    return {key: sources.find(server.store, run) for key, run in zip(keys, ids, strict=True)}


def opened(visit: Visit, run: Source | None = None, **options: object) -> Page:
    return visit("?run=nothing&tab=factors" + (f"&factors={run.id}" if run else ""), ready=READY, **options)


def scrub(page: Page, place: int) -> None:
    page.get_by_role("slider", name="Training step").evaluate(
        "(slider, place) => { slider.value = place; slider.dispatchEvent(new Event('input')); }", place
    )


def imported(page: Page, script: str, **arguments: object) -> object:
    """What a function of (the page's modules by name, arguments) gives."""
    files = {
        file.stem: address(file)
        for folder in ("shared", "factors")
        for file in Path(ASSETS, "js", folder).glob("*.js")
    }
    return page.evaluate(
        f"""async ([files, arguments_]) => {{
          const modules = {{}};
          for (const [name, file] of Object.entries(files)) {{
            modules[name] = await import(new URL(file, document.baseURI).href);
          }}
          return ({script})(modules, arguments_);
        }}""",
        [files, arguments],
    )


def test_the_browser_computes_what_cdvft_does(visit: Visit, runs: dict[str, Source]) -> None:
    page = opened(visit)
    for key in ("square", "lora", "fourierft", "c3a", "blocks", "three"):
        compare_with_cdvft(page, runs[key])


def compare_with_cdvft(page: Page, run: Source) -> None:
    [layer] = layers.layers(run)
    last = run.steps()[-1]
    truth = numbers.update(run.settings, layer, run.read(last, layer.module)).double()
    x = np.random.default_rng(1).normal(size=layer.d_in)
    came = imported(
        page,
        """({ data, circulant }, { answer, facts, run, x }) => {
          const layer = new data.LayerData(answer, facts, run), matrix = layer.update(layer.steps.length - 1);
          const every = (n) => Int32Array.from({ length: n }, (_, k) => k);
          const out = new Float32Array(matrix.rows * matrix.cols);
          matrix.sample(every(matrix.rows), every(matrix.cols), out);
          const bytes = new Uint8Array(out.buffer);
          const text = Array.from({ length: Math.ceil(bytes.length / 8192) },
            (_, part) => String.fromCharCode(...bytes.subarray(8192 * part, 8192 * (part + 1)))).join("");
          const entries = [[0, 0], [1, 2], [matrix.rows - 1, matrix.cols - 1], [5, 6]];
          return {
            sampled: btoa(text), entries: entries.map(([i, j]) => [i, j, matrix.entry(i, j)]),
            dense: Array.from(circulant.denseTimes(matrix, x)),
            fast: matrix.times ? Array.from(matrix.times(x)) : null,
          };
        }""",
        answer=layers.payload(run, layer) | {"texts": []},
        facts=asdict(layer) | {"scale": layers.scale(run.settings, layer)},
        run={"id": run.id, "method": run.settings.method, "label": "x"},
        x=x.tolist(),
    )
    assert isinstance(came, dict)
    sampled = np.frombuffer(base64.b64decode(came["sampled"]), "<f4").reshape(truth.shape)
    scale = float(truth.abs().max())
    np.testing.assert_allclose(sampled, truth, atol=1e-5 * scale)
    for i, j, value in came["entries"]:
        assert value == pytest.approx(float(truth[i, j]), abs=1e-5 * scale)
    product = truth.numpy() @ x
    np.testing.assert_allclose(came["dense"], product, atol=1e-4 * np.abs(product).max())
    if run.settings.method == "cdvft":
        np.testing.assert_allclose(came["fast"], came["dense"], atol=1e-6 * np.abs(product).max())


def test_the_browser_transforms_as_cdvft_does(visit: Visit) -> None:
    every = [np.random.default_rng(n).normal(size=n) for n in (1, 2, 5, 7, 12, 37, 97, 384, 768, 1001)]
    came = imported(
        opened(visit),
        """({ fft }, { every }) => every.map((c) => {
          const half = fft.rfft(c);
          const found = [fft.magnitude(half), fft.phase(half), fft.irfft(half, c.length)];
          return found.map((one) => Array.from(one));
        })""",
        every=[c.tolist() for c in every],
    )
    assert isinstance(came, list) and len(came) == len(every)
    for c, (modulus, phase, back) in zip(every, came, strict=True):
        truth, half = formulas.spectrum(torch.from_numpy(c)), len(c) // 2 + 1
        np.testing.assert_allclose(modulus, truth.modulus[:half], atol=1e-10)
        turned = truth.modulus * torch.exp(1j * truth.phase)
        np.testing.assert_allclose(np.exp(1j * np.array(phase)) * modulus, turned[:half], atol=1e-10)
        np.testing.assert_allclose(back, c, atol=1e-12)


def test_a_recorded_run_is_there_at_first_paint(visit: Visit) -> None:
    page = visit("?run=nothing")
    page.get_by_role("tab", name="Factors").click()
    page.locator(READY).wait_for()
    page.locator("#factors-run").select_option("recorded-cdvft")
    expect(page.locator(".factors .origin")).to_contain_text("not run here")
    known = sources.RecordedRun("cdvft")
    sizes = {one["module"]: one["norm"][-1] for one in known.overview()["layers"]}
    weights = json.loads((sources.RECORDED / "minilm.inputs.json").read_text())["weights"]
    most = max(sizes, key=lambda module: sizes[module] / weights[module])
    depth, kind = most.split(".")[2], most.rpartition(".")[2]
    expect(page.locator(".sentence")).to_contain_text(
        f"changed the {kind} weights of layer {depth} most, by "
    )
    expect(page.locator(".cell")).to_have_count(12)
    page.get_by_role("radio", name=f"layer {depth} {kind}").check(force=True)
    expect(page.locator(".layer-name")).to_have_text(f"Layer {depth} · {kind}")
    row = page.locator(".compare tbody tr").first
    expect(row).to_contain_text(f"{100 * sizes[most] / weights[most]:.3g} %")
    expect(page.locator(".compare tbody tr")).to_have_count(4)
    expect(page.locator(".payload")).to_contain_text("9 snapshots in 54 kB")


def test_scrubbing_asks_the_server_for_nothing_and_is_quick(visit: Visit, runs: dict[str, Source]) -> None:
    page = opened(visit, runs["square"])
    expect(page.locator(".player .readout")).to_have_text("step 20 of 20, loss 0.05")
    page.locator(".heatmaps").scroll_into_view_if_needed()
    expect(page.locator(".compare tbody tr")).to_have_count(4)
    page.wait_for_timeout(300)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    pixels = "() => document.querySelectorAll('.heatmap canvas:first-child')[1].toDataURL()"
    seen, took = set(), []
    for place in (0, 10, 20, 1, 5, 15, 19, 2, 12, 7):
        scrub(page, place)
        took.append(float(page.locator(".factors").get_attribute("data-drawn") or "inf"))
        seen.add(page.evaluate(pixels))
        expect(page.locator(".player .readout")).to_contain_text(f"step {place} of 20")
    assert len(seen) == 10, "the weight update is drawn anew at each step"
    assert [url for url in asked if "component_server" in url] == []
    assert min(took) < 50, took  # the best of ten: the machine of a test is shared
    scrub(page, 0)
    expect(page.locator(".ranks .note").first).to_have_text("ΔW is zero here: training has not begun")


def test_play_runs_to_the_end_and_the_curve_moves_the_slider(visit: Visit, runs: dict[str, Source]) -> None:
    page = opened(visit, runs["blocks"])
    slider = page.get_by_role("slider", name="Training step")
    slider.focus()
    page.keyboard.press("Home")
    expect(slider).to_have_attribute("aria-valuetext", "step 0 of 3")
    page.get_by_role("button", name="Play").click()
    expect(slider).to_have_attribute("aria-valuetext", re.compile("step 3 of 3"))
    expect(page.get_by_role("button", name="Play")).to_be_visible()
    box = page.locator(".player .line-plot").bounding_box()
    assert box
    page.mouse.click(box["x"] + 46 + (box["width"] - 54) / 3, box["y"] + 20)
    expect(slider).to_have_attribute("aria-valuetext", re.compile("step 1 of 3"))


def number(text: str) -> float:
    return float(text.replace("−", "-").replace(",", ""))


def test_heatmap_by_keyboard_tells_each_entry(visit: Visit, runs: dict[str, Source]) -> None:
    run = runs["blocks"]
    [layer] = layers.layers(run)
    page = opened(visit, run)
    truth = numbers.update(run.settings, layer, run.read(3, layer.module))
    update = page.locator(".heatmap").nth(1)
    update.focus()
    page.keyboard.press("ArrowDown")
    said = page.locator(".heatmaps .panel").nth(3).locator(".under")
    expect(said).to_contain_text(
        f"ΔW[{10 // 2 + 1}, {7 // 2}] = α · a₃[6] · c₂ of block (1, 0)[3] · a₁[3] = 0.5 ×"
    )
    assert number(said.inner_text().rpartition("= ")[2]) == pytest.approx(float(truth[6, 3]), rel=6e-3)
    expect(page.locator(".heatmaps .panel").nth(2).locator(".under")).to_contain_text(
        "circ(c₂)[6, 3] = c₂ of block"
    )
    whole = update.locator("canvas").first.evaluate("(canvas) => canvas.toDataURL()")
    page.keyboard.press("+")
    assert update.locator("canvas").first.evaluate("(canvas) => canvas.toDataURL()") != whole
    page.keyboard.press("Escape")
    assert update.locator("canvas").first.evaluate("(canvas) => canvas.toDataURL()") == whole


@pytest.mark.parametrize(
    ("run", "titles"),
    [
        ("recorded-cdvft", ["x", "a₁ ⊙ x", "FFT", "× FFT(c₂)", "IFFT", "a₃ ⊙ y", "× α", "check"]),
        ("recorded-blocks", ["x", "a₁ ⊙ x", "cut", "FFT", "× FFT(c₂)", "IFFT", "a₃ ⊙ y", "× α", "check"]),
    ],
)
def test_step_through_ends_in_the_dense_product(visit: Visit, run: str, titles: list[str]) -> None:
    page = visit(f"?run=nothing&tab=factors&factors={run}", ready=READY)
    stage = page.locator(".stage")
    expect(stage.locator(".trail li")).to_have_text(titles)
    following = page.get_by_role("button", name="Next", exact=True)
    for title in titles[1:]:
        following.press("Enter")
        expect(stage.locator("[aria-current=step]")).to_have_text(title)
    expect(following).to_be_disabled()
    verdict = stage.locator(".verdict").inner_text()
    error, largest = map(number, re.findall(r"(?:difference|value) is (\S+?)[,.]? ", verdict))
    assert largest > 0 and error < 1e-12 * max(1, largest)
    page.get_by_role("radio", name=re.compile("funny")).check(force=True)
    expect(stage.locator(".verdict")).not_to_have_text(verdict)
    page.get_by_role("button", name="Back", exact=True).click()
    expect(stage.locator("[aria-current=step]")).to_have_text("× α")
    page.get_by_label("A sentence of your own").fill("  ")
    page.get_by_role("button", name="Use it").click()
    expect(page.locator(".forward .problem")).to_have_text("Type a few words first.")


def test_two_runs_beside_each_other(visit: Visit, runs: dict[str, Source]) -> None:
    page = opened(visit, runs["square"])
    page.locator("#factors-beside").select_option(runs["lora"].id)
    expect(page.get_by_role("figure").filter(has_text="ΔW of LoRA")).to_be_visible()
    run = runs["lora"]
    [layer] = layers.layers(run)
    rank = numbers.singular(run, layer)["effective_rank"][-1]
    expect(page.locator(".compare tbody tr").filter(has_text="LoRA")).to_contain_text(f"{rank:.3g} of 768")
    page.locator("#factors-run").select_option(run.id)
    expect(page.locator(".forward")).to_contain_text("has no circulant to step through")
    expect(page.locator(".vectors")).to_be_hidden()


def test_hundreds_of_layers_come_one_by_one(visit: Visit, runs: dict[str, Source]) -> None:
    page = opened(visit, runs["large"])
    expect(page.locator(".cell")).to_have_count(64)
    expect(page.locator(".layer-about")).to_contain_text("12,288 numbers trained instead of 16,777,216")
    expect(page.locator(".payload")).to_contain_text("2 snapshots in 128 kB")
    expect(page.locator(".ranks .note").first).to_contain_text("they take too long to wait for")
    page.get_by_role("radio", name="layer 40 query").check(force=True)
    expect(page.locator(".layer-name")).to_have_text("Layer 40 · query")
    expect(page.locator(".sentence")).to_contain_text("64", timeout=60_000)


def test_numbers_and_pictures_can_be_saved(visit: Visit, runs: dict[str, Source]) -> None:
    run = runs["blocks"]
    page = opened(visit, run)
    scrub(page, 2)

    def saved(act: Callable[[], None]) -> Path:
        with page.expect_download() as download:
            act()
        return Path(download.value.path())

    known = json.loads(saved(page.get_by_role("button", name="as JSON").click).read_text())
    assert known["step"] == 2 and known["vectors"]["circulant.0"]["shape"] == [3, 2, 4]
    truth = run.read(2, QUERY.format(0))
    np.testing.assert_array_equal(np.float32(known["vectors"]["diagonal.1"]["values"]), truth["diagonal.1"])
    table = saved(page.get_by_role("button", name="as CSV").click).read_text().splitlines()
    assert table[0] == "vector,place,value" and len(table) == 1 + 7 + 10 + 24
    for picture in page.get_by_role("button", name="as PNG").all():
        if picture.is_visible():
            assert saved(picture.click).read_bytes().startswith(b"\x89PNG")


def test_it_begins_with_the_circulants_of_the_latest_race(visit: Visit, server: Server) -> None:
    step = {1: {f"{QUERY.format(0)}/A": np.ones((2, 8)), f"{QUERY.format(0)}/B": np.ones((8, 2))}}
    own = {
        1: {f"{QUERY.format(0)}/{name}": x for name, x in vectors(np.random.default_rng(1), 8, 8, 2).items()}
    }
    first, _ = keep(server, [(settings("cdvft"), own), (settings("lora", lora_r=2), step)])
    page = visit("?tab=factors", ready=READY)
    expect(page.locator("#factors-run")).to_have_value(first)


def test_a_link_leads_back(visit: Visit) -> None:
    page = visit("?run=nothing&tab=factors&factors=recorded-c3a", ready=READY)
    page.get_by_role("radio", name="layer 2 query").check(force=True)
    expect(page.locator(".factors")).to_have_attribute("data-compared", QUERY.format(2))
    again = visit("?" + page.url.partition("?")[2], ready=READY)
    expect(again.locator(".layer-name")).to_have_text("Layer 2 · query")
    expect(again.locator("#factors-run")).to_have_value("recorded-c3a")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("run", ["recorded-cdvft", "recorded-blocks", "recorded-lora"])
def test_no_axe_violation(visit: Visit, run: str, scheme: str) -> None:
    page = visit(f"?run=nothing&tab=factors&factors={run}", ready=READY, color_scheme=scheme)
    for table in page.locator(".factors .as-table summary").all():
        if table.is_visible():
            table.click()
    found = Axe().run(page)
    told = [f"{v['id']}: {[node['html'][:160] for node in v['nodes']]}" for v in found.response["violations"]]
    assert not told, "\n".join(told)


@pytest.mark.parametrize("key", ["square", "large"])
def test_fits_a_phone(visit: Visit, runs: dict[str, Source], key: str) -> None:
    page = opened(visit, runs[key], viewport={"width": 390, "height": 844})
    assert page.evaluate("() => document.documentElement.scrollWidth") <= 390
    widest = page.evaluate(
        """() => Math.max(...[...document.querySelectorAll(".factors *")]
             .filter((node) => !node.closest(".table-scroll") && node.getClientRects().length)
             .map((node) => node.getBoundingClientRect().right))"""
    )
    assert widest <= 390
