"""Milliseconds of the page's thread for a frame of a moving line: LinePlot, uPlot and Plotly.

    python -m benchmarks.line_plots --uplot PATH_OF_UPLOT_DIST [--turns 7]

Three charts of a line of 384 numbers each, as those of a layer's factors, take new numbers in each of 200
frames. In turns each library draws them in a page of its own, in Chromium. What counts is the time of all
tasks of the page's thread, painting included, as the browser's own metrics say, over the frames. Writes
results/line_plots.json, with the bytes of each library's script as gzip packs it: minified, but LinePlot's,
which are four modules, without those that every picture of the page has.
"""

from __future__ import annotations

import argparse
import gzip
import json
import statistics
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from tempfile import TemporaryDirectory

from playwright.sync_api import Browser, sync_playwright

from benchmarks.browser import chromium
from benchmarks.load import RESULTS
from benchmarks.machine import machine, write_record
from benchmarks.rounds import rotated
from cdvft_app import ASSETS

FRAMES, PLACES, CHARTS = 200, 384, 3
MODULES = [f"js/shared/{name}.js" for name in ("line_plot", "line_drawing", "scales", "canvas_view")]
PAGE = f"""<!doctype html><meta charset="utf-8"><body>
{'<div class="chart" style="width: 400px; height: 120px"></div>' * CHARTS}
<script type="module">
const numbers = (frame, chart) =>
  Float64Array.from({{ length: {PLACES} }}, (_, i) => Math.sin((i + 7 * frame) / (9 + chart)));
const places = Float64Array.from({{ length: {PLACES} }}, (_, i) => i);
const nodes = [...document.querySelectorAll(".chart")];
const ways = {{
  LinePlot: async () => {{
    const {{ LinePlot }} = await import("/assets/js/shared/line_plot.js");
    const plots = nodes.map((node) => {{
      const plot = new LinePlot({{ label: "a line", height: 120 }});
      node.append(plot.node);
      return plot;
    }});
    return (frame) => plots.forEach((plot, chart) =>
      plot.show([{{ y: numbers(frame, chart), color: "#0072b2" }}], {{ low: -1, high: 1 }}));
  }},
  uPlot: async () => {{
    await script("/uplot/uPlot.iife.min.js");
    const plots = nodes.map((node, chart) => new uPlot(
      {{ width: 400, height: 120, scales: {{ x: {{ time: false }}, y: {{ range: [-1, 1] }} }},
         series: [{{}}, {{ stroke: "#0072b2" }}], legend: {{ show: false }} }},
      [places, numbers(0, chart)], node));
    return (frame) => plots.forEach((plot, chart) => plot.setData([places, numbers(frame, chart)]));
  }},
  Plotly: async () => {{
    await script("/assets/plotly/plotly-basic.min.js");
    const margin = {{ l: 46, r: 8, t: 8, b: 16 }}, yaxis = {{ range: [-1, 1] }};
    const layout = {{ width: 400, height: 120, margin, yaxis }};
    const line = {{ x: places, y: numbers(0, 0), mode: "lines" }};
    for (const node of nodes) await Plotly.newPlot(node, [line], layout, {{ staticPlot: true }});
    return (frame) => nodes.forEach((node, chart) => Plotly.restyle(node, {{ y: [numbers(frame, chart)] }}));
  }},
}};
const script = (src) => new Promise((resolve, reject) => {{
  const made = document.createElement("script");
  document.head.append(Object.assign(made, {{ src, onload: resolve, onerror: reject }}));
}});
window.prepare = async (way) => {{ window.draw = await ways[way](); window.draw(0); }};
window.play = () => new Promise((resolve) => {{
  let frame = 0;
  const next = () => {{
    if (++frame > {FRAMES}) return resolve();
    window.draw(frame);
    requestAnimationFrame(next);
  }};
  requestAnimationFrame(next);
}});
window.ready = true;
</script>"""


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Say nothing of each request."""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--uplot", type=Path, required=True)
    parser.add_argument("--turns", type=int, default=7)
    chosen = parser.parse_args()
    ways = ("LinePlot", "uPlot", "Plotly")
    found: dict[str, list[float]] = {way: [] for way in ways}
    with TemporaryDirectory() as folder, sync_playwright() as playwright:
        root = Path(folder)
        (root / "index.html").write_text(PAGE, encoding="utf-8")
        (root / "assets").symlink_to(ASSETS.resolve())
        (root / "uplot").symlink_to(chosen.uplot.resolve())
        server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=folder))
        threading.Thread(target=server.serve_forever, daemon=True).start()
        browser = chromium(playwright)
        for turn in range(chosen.turns):
            for way in rotated(ways, turn):
                found[way].append(round(frame(browser, f"http://127.0.0.1:{server.server_port}", way), 2))
        server.shutdown()
    files = {
        "LinePlot": [ASSETS / name for name in MODULES],
        "uPlot": [chosen.uplot / "uPlot.iife.min.js"],
        "Plotly": [ASSETS / "plotly" / "plotly-basic.min.js"],
    }
    packed = {way: len(gzip.compress(b"".join(file.read_bytes() for file in files[way]), 9)) for way in ways}
    record = {
        "command": "python -m benchmarks.line_plots --uplot PATH",
        "machine": machine(),
        "frames": FRAMES,
        "charts": CHARTS,
        "gzip_bytes": packed,
        "milliseconds_a_frame": found,
        "over_line_plot": {
            way: round(
                statistics.median(one / own for one, own in zip(found[way], found["LinePlot"], strict=True)),
                2,
            )
            for way in ways
        },
    }
    write_record(RESULTS / "line_plots.json", record)
    print(json.dumps(record, indent=1))


def frame(browser: Browser, address: str, way: str) -> float:
    """Return milliseconds of the page's thread for a frame, all charts of it."""
    page = browser.new_page(viewport={"width": 800, "height": 600})
    page.goto(address)
    page.wait_for_function("window.ready")
    page.evaluate("(way) => window.prepare(way)", way)
    page.wait_for_timeout(300)
    devtools = page.context.new_cdp_session(page)
    devtools.send("Performance.enable", {"timeDomain": "threadTicks"})

    def busy() -> float:
        metrics = devtools.send("Performance.getMetrics")["metrics"]
        return float(next(one["value"] for one in metrics if one["name"] == "TaskDuration"))

    before = busy()
    page.evaluate("window.play()")
    spent = busy() - before
    page.close()
    return 1000 * spent / FRAMES


if __name__ == "__main__":
    main()
