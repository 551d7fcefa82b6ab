"""Runs with drawn factors of every kind, and how the Factors tab is opened on them."""

from __future__ import annotations

import numpy as np
import run_events
from playwright.sync_api import Page
from studio import Server, Visit, set_range

from cdvft.blocks import partitions
from cdvft_app.inspection import sources
from cdvft_app.inspection.sources import Source
from cdvft_app.settings import RunSettings
from cdvft_app.store import snapshots

READY = ".factors[data-settled]"  # all that is asked for by itself has come
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
        server.store.append(run.id, run_events.started(last))
        for step in range(1, last + 1):
            server.store.append(run.id, run_events.step(step, 1 / step))
        for step, tensors in steps.items():
            snapshots.write(folder, step, tensors)
        server.store.append(run.id, run_events.done(last, folder))
    return [run.id for run in runs]


def synthetic(server: Server) -> dict[str, Source]:
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
    race = [(settings(), grown(10, 768, 768, 2))]
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
        for key, vector in of(QUERY.format(layer), vectors(rng, 2048, 2048, 2)).items()
    }
    ids += keep(server, [(settings(), {0: large, 5: large})])
    return {key: sources.find(server.store, run) for key, run in zip(keys, ids, strict=True)}


def opened(visit: Visit, run: Source, **options: object) -> Page:
    return visit(f"?run=nothing&tab=factors&factors={run.id}", ready=READY, **options)


def turn_to(page: Page, run: str) -> None:
    """Choose another run, and wait until all that is asked for by itself has come."""
    page.locator("#factors-run").select_option(run)
    page.locator(f".factors[data-settled='{run}']").wait_for()


def scrub(page: Page, place: int) -> None:
    set_range(page.get_by_role("slider", name="Training step"), place)


def number(text: str) -> float:
    """What the page writes as 1,234 or −1.3 × 10⁻⁴."""
    plain = text.replace("−", "-").replace(",", "").replace(" × 10", "e")
    return float(plain.translate(str.maketrans("⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "-0123456789")))
