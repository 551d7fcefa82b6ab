"""A race that is sent to the hub as Jobs, and taken along as a file, on the page."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import run_events
from hub_stub import TOKEN, Hub, hub
from jobs_stub import Jobs
from playwright.sync_api import expect
from studio import Server, Visit, axe_violations, fill_in, judged, status

from cdvft_app.hub_jobs import hardware
from cdvft_app.hub_jobs.job import event_line
from cdvft_app.store.leases import LEFT_JOB

STEPS = 5
EVENTS = (
    run_events.started(STEPS, trainable_parameters=13_824, device="Tesla T4"),
    *(run_events.step(step, 0.7 - step / 20) for step in range(1, STEPS + 1)),
    run_events.done(STEPS),
)


@pytest.fixture(scope="module")
def stub(hub_offline: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    told = "".join(f"print({event_line(event)!r}, flush=True); " for event in EVENTS)
    with hub() as made, pytest.MonkeyPatch.context() as patch:
        made.jobs = Jobs(tmp_path_factory.mktemp("jobs"), told)
        patch.setenv("HF_ENDPOINT", made.address)
        patch.delenv("HF_HUB_OFFLINE")
        patch.setattr("huggingface_hub.constants.ENDPOINT", made.address)
        patch.setattr(hardware, "_known", {})
        yield made


def test_a_race_is_sent_with_its_price_and_comes_home_as_a_file(
    stub: Hub, visit: Visit, server: Server, tmp_path: Path
) -> None:
    stub.repositories.clear()
    page = visit()
    page.get_by_role("button", name="Train on the hub").click()
    send = page.locator("#job-send")
    expect(send).to_have_text("Send 3 Jobs")
    page.get_by_role("checkbox", name="FourierFT").uncheck()
    expect(send).to_have_text("Send 2 Jobs")
    expect(page.locator("#job-cost")).to_contain_text("At most 0.40 dollars")
    assert axe_violations(page, "#choose") == []
    fill_in(page.locator("#job-repository input"), "ada/films")
    fill_in(page.locator("#job-token input"), TOKEN)
    send.click()
    expect(status(page)).to_have_text("All 2 finished")
    assert stub.repositories == {"ada/films-cdvft": True, "ada/films-lora-r-8": True}
    expect(page.locator("#job-token input")).to_have_value("")
    job = page.get_by_role("link", name="a Job of the hub").first
    expect(job).to_have_attribute("href", re.compile(f"^{stub.address}/jobs/ada/[01]$"))

    judged(page)
    page.locator("#run summary", has_text="Train it again").click()
    page.get_by_role("button", name="Send it to the hub as a Job").click()
    expect(page.locator("#as-job > button")).to_be_focused()  # of a form that holds the settings

    page.get_by_role("button", name="Take your history along").click()
    page.locator("#history-make").click()
    expect(page.locator("#history-said")).to_contain_text("2 runs, ")
    with page.expect_download() as download:
        page.locator("#history-zip a[download]").first.click()
    file = tmp_path / "history.zip"
    download.value.save_as(file)
    other = visit()
    other.get_by_role("button", name="Take your history along").click()
    other.locator("#history-given input[type=file]").set_input_files(file)
    expect(other.locator("#history-said")).to_contain_text("0 runs taken. 2 were here before.")
    for run in server.store.history():
        server.store.remove(run.id)
    other.locator("#history-given input[type=file]").set_input_files(file)
    expect(other.locator("#history-said")).to_contain_text("2 runs taken.")
    expect(other.locator("#history")).to_contain_text("LoRA r = 8 75.0 %")
    assert axe_violations(other, "#history-file") == []


def test_a_job_that_was_left_is_followed_again(
    stub: Hub, visit: Visit, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = [f"print({event_line(event)!r}, flush=True)\n" for event in EVENTS]
    os.mkfifo(tmp_path / "go")
    waits = f"open({str(tmp_path / 'go')!r}).read()\n"  # until somebody has written there
    code = "".join([*told[:2], waits, *told[2:]])
    monkeypatch.setattr(stub, "jobs", Jobs(tmp_path / "jobs", code))
    page = visit()
    for method in ("LoRA", "FourierFT"):
        page.get_by_role("checkbox", name=method).uncheck()
    page.get_by_role("button", name="Train on the hub").click()
    again = page.locator("#job-again")
    expect(page.locator("#job-send")).to_have_text("Send the Job")
    expect(again).to_be_hidden()
    fill_in(page.locator("#job-repository input"), "ada/films")
    fill_in(page.locator("#job-token input"), TOKEN)
    page.locator("#job-send").click()
    expect(status(page)).to_contain_text("running · step 1 of")
    (run, *_) = server.store.history()
    server.store.set_state(run.id, "interrupted", LEFT_JOB.format(run.result["job_address"]))

    expect(page.locator("#reason")).to_contain_text("Follow again, where Jobs are sent from")
    again.click()
    expect(page.locator("#job-said")).to_contain_text("Give a token that may read the Jobs")
    fill_in(page.locator("#job-token input"), TOKEN)
    (tmp_path / "go").write_text("")
    again.click()
    expect(status(page)).to_have_text("Finished")
    expect(again).to_be_hidden()
    chart = page.locator("#run .chart")
    chart.locator("svg").first.wait_for()  # whose library may come after the end
    assert chart.evaluate("(chart) => chart.data[1].x") == [*range(1, STEPS + 1)]
