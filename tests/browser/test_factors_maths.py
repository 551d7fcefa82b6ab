"""What the Factors tab's scripts compute is what cdvft computes."""

from __future__ import annotations

import base64
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Page
from studio import Visit, without_app

from cdvft_app import ASSETS
from cdvft_app.inspection import layers, numbers
from cdvft_app.inspection.sources import Source
from cdvft_app.ui.shared.component import file_address

pytestmark = pytest.mark.browser


def imported(page: Page, script: str, **arguments: object) -> object:
    """What a function of (the page's modules by name, arguments) gives."""
    files = {
        file.stem: file_address(file)
        for pattern in ("shared/*.js", "factors/*.js", "learn/*.js")
        for file in Path(ASSETS, "js").glob(pattern)
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
    page = without_app(visit)
    for key in ("square", "lora", "fourierft", "c3a", "blocks", "three"):
        compare_with_cdvft(page, runs[key])


def compare_with_cdvft(page: Page, run: Source) -> None:
    [layer] = layers.layers(run)
    last = run.steps()[-1]
    truth = numbers.update(run, layer, last).double()
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
        facts=asdict(layer) | {"scale": run.settings.method.scale(layer.d_in)},
        run={"id": run.id, "method": run.settings.method.key, "label": "x"},
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
    if run.settings.method.key == "cdvft":
        np.testing.assert_allclose(came["fast"], came["dense"], atol=1e-6 * np.abs(product).max())


# Stands in for a canvas and remembers what is written on it and how wide its lines are.
PAPER = """
  const said = [], strokes = [];
  const paper = new Proxy({}, {
    get: (all, name) => name === "fillText" ? (text) => said.push(text)
      : name === "stroke" ? () => strokes.push(all.lineWidth)
      : name === "measureText" ? () => ({ width: 10 }) : all[name] ?? (() => {}),
    set: (all, name, value) => name === "lineWidth" && !value ? true : ((all[name] = value), true),
  });
"""


def test_a_plot_may_count_places_from_one_and_draws_no_line_of_no_width(visit: Visit) -> None:
    said = """({ line_plot }, { first }) => { %s
      const plot = Object.assign(new line_plot.LinePlot({ label: "", height: 9 }), { width: 300, tall: 100 });
      plot.show([{ y: [9, 8, 7], color: "red" }], { first, low: 6, high: 10 });
      plot.draw(paper);
      return said.filter((text) => Number(text) < 6);
    }"""
    page = without_app(visit)
    assert imported(page, said % PAPER, first=1) == ["1", "2", "3"]
    assert imported(page, said % PAPER, first=0) == ["0", "1", "2"]
    strokes = """({ line_plot }, { width }) => { %s
      const axes = { x: { title: "" }, y: { title: "" } };
      const plot = Object.assign(new line_plot.LinePlot({ label: "", height: 100, axes }),
        { width: 300, tall: 100, series: [{ x: [1, 2], y: [3, 4], width, color: "red" }] });
      plot.draw(paper);
      return strokes.length;
    }"""
    assert imported(page, strokes % PAPER, width=1) == 1 + imported(page, strokes % PAPER, width=0)
