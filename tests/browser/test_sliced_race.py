"""A Space with ZeroGPU, as `make space` serves it: a race in slices, whose tab is closed in the middle."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect
from program import Program, fill
from studio import Visit, axe_violations, status
from waiting import pace, wait_for
from zero_gpu import as_space

from cdvft_app.store.records import RunRecord
from cdvft_app.store.runs import RunStore
from deploy.build_space import build

pytestmark = [
    pytest.mark.nightly,
    pytest.mark.slow,
    pytest.mark.timeout(1800),
]


class Space(Program):
    def __init__(self, home: Path) -> None:
        super().__init__(home / "runs")
        self.folder = home / "space"
        build(self.folder)
        # Else a slice of a busy machine, which loads everything anew, is over after one step.
        self.slice_seconds = max(1, round(pace() / 3))
        short = {"CDVFT_SLICE_SECONDS": str(self.slice_seconds), "HF_HUB_OFFLINE": "1"}
        short["STAND_IN_QUOTA"] = "100000"  # seconds: a busy machine is not to end the race
        self.environment = as_space.environment(home, self.port) | short
        del self.environment["SYSTEM"]  # by which Gradio's own header asks the hub, and for fonts

    def files(self) -> list[str]:
        return sorted(str(file.relative_to(self.folder)) for file in self.folder.rglob("*"))


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Space]:
    space = Space(tmp_path)
    space.start()
    yield space
    space.kill()


def test_a_race_in_slices_that_a_closed_tab_pauses(visit: Visit, server: Space, tmp_path: Path) -> None:
    written = server.files()
    page = visit()
    expect(page.locator("#start")).to_be_enabled()
    expect(page.locator("#counts")).to_contain_text("GPU seconds")
    slices = f"in slices of up to {server.slice_seconds} s while this page is open"
    expect(page.locator("#counts")).to_contain_text(slices)
    for other, chosen in (("LoRA", False), ("FourierFT", False), ("Head only", True)):
        page.get_by_role("checkbox", name=other).set_checked(chosen)
    fill(page, "Training", {"max_steps": "24", "batch_size": "8"})
    fill(page, "More", {"train_examples": "64", "evaluation_examples": "8", "max_length": "16"})
    expect(page.locator("#start")).to_be_enabled()
    page.locator("#start").click()
    expect(status(page)).to_contain_text(re.compile(r"running · step \d+ of 24"))
    expect(status(page)).to_contain_text(re.compile(r"\d+ GPU seconds so far"))

    context = page.context
    page.close()
    store = RunStore(tmp_path / "runs")
    cdvft, head = reversed(store.history())
    at = wait_for(lambda: at_its_checkpoint(store, cdvft.id), every=0.02)
    assert at.state == "running" and 0 < at.step < 24

    page = visit(context=context)
    assert axe_violations(page, "#run") == []
    expect(status(page)).to_have_text("All 2 finished")
    for run, at_least in ((cdvft, 2), (head, 1)):
        rows = store.rows(run.id, kinds=["started", "step"])[0]
        assert [row["step"] for row in rows if row["kind"] == "step"] == [*range(1, 25)]
        assert sum(row["kind"] == "started" for row in rows) >= at_least
        ended = store.get(run.id)
        assert ended is not None and ended.result["lent_seconds"] > (ended.seconds or 0)
    assert server.files() == written  # the code's folder may be read-only


def at_its_checkpoint(store: RunStore, run_id: str) -> RunRecord | None:
    """The run where its last step is kept, which it is only at the end of a slice."""
    run = store.get(run_id)
    kept = run and store.folder(run_id) / "checkpoints" / f"checkpoint-{run.step}"
    return run if kept and kept.is_dir() else None
