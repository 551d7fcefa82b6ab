"""The form's race as Jobs of the hub: what it costs, what is refused, what is begun on whose account."""

from __future__ import annotations

import gradio as gr
import pytest
import run_events
from hub_stub import TOKEN
from jobs_stub import Jobs
from waiting import wait

from cdvft_app.hub_jobs import hardware
from cdvft_app.hub_jobs.job import event_line
from cdvft_app.store.states import FINAL
from cdvft_app.ui.shared import actions, form
from cdvft_app.ui.shared.viewing import acting_as
from cdvft_app.ui.train import job
from cdvft_app.ui.train.run_view import current

RACE = {**form.START, "methods": ["cdvft", "lora"], "max_steps": "6"}
STARTED = event_line(run_events.started(6, device="Tesla T4"))


@pytest.fixture
def jobs(stub, tmp_path, monkeypatch):
    monkeypatch.setattr(hardware, "_known", {})
    stub.jobs = Jobs(tmp_path / "jobs", f"import time; print({STARTED!r}, flush=True); time.sleep(600)")
    return stub.jobs


def send(app, *, values=RACE, repository="ada/films", token=TOKEN, flavor="t4-small", minutes="30"):
    return job.send(app, values, "mine", token, repository=repository, flavor=flavor, minutes=minutes)


@pytest.mark.usefixtures("jobs")
def test_the_price_is_said_before_anything_is_sent(stub):
    cost, button = job.price_of("t4-small", "30", RACE)
    assert "At most <b>0.40 dollars</b>" in cost and "0.40 dollars an hour" in cost
    assert button["value"] == "Send 2 Jobs" and button["interactive"]
    cost, button = job.price_of("a10g-large", "60", {**RACE, "methods": ["cdvft"]})
    assert "At most <b>1.50 dollars</b>" in cost and button["value"] == "Send the Job"
    cost, button = job.price_of("t4-small", "0.5", RACE)
    assert "got 0.5; a Job may take 1 to 1440" in cost and not button["interactive"]
    assert [key for _, key in job.machines()["choices"]] == ["t4-small", "a10g-large"]
    assert not stub.repositories and stub.tokens == {None}


def test_a_hub_out_of_reach_is_a_sentence(monkeypatch):
    monkeypatch.setattr(hardware, "_known", {})
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    cost, button = job.price_of("t4-small", "30", RACE)
    assert "no Job can be sent" in cost and not button["interactive"]


def test_each_method_trains_as_a_job_of_its_own_and_stop_cancels_it(app, stub, jobs):
    with acting_as("mine"):  # as the page's cookie does
        ids, refused = send(app)
        assert refused is None and len(ids) == 2
        with_their_owner = actions.buttons(app.store, ids, "mine")
        assert with_their_owner.stop and with_their_owner.reason == actions.STOP_JOBS
        runs = [wait(app.store, one, "running") for one in ids]
        assert stub.repositories == {"ada/films-cdvft": True, "ada/films-lora-r-8": True}
        assert {one.spec["timeoutSeconds"] for one in jobs.started} == {1800}
        assert all(run.private and run.group_id == runs[0].group_id for run in runs)
        place = current(runs[0])["job"]
        assert place["address"].startswith(f"{stub.address}/jobs/ada/")
        assert place["repository_address"] == f"{stub.address}/ada/films-cdvft"
        assert actions.stop(app, ids, "another's") and not any(one.cancelled for one in jobs.started)
        assert actions.stop(app, ids, "mine") is None
        assert [wait(app.store, one, *FINAL).state for one in ids] == ["stopped", "stopped"]
        assert all(one.cancelled for one in jobs.started)
        assert actions.resume(app, ids, "mine") is None and app.store.queued() == 0
    app.queue.close()


def test_what_cannot_be_is_refused_before_a_run_is_made(app, jobs):
    for changed, sentence in (
        ({"repository": "films"}, "got 'films'; it must look like owner/name"),
        ({"repository": ""}, "got ''; it must look like owner/name"),
        ({"token": ""}, "cannot be a token"),
        ({"minutes": "abc"}, "Time limit in minutes: got abc; a Job may take 1 to 1440"),
        ({"flavor": "h900"}, "Machine: got 'h900'; there are t4-small, a10g-large"),
        ({"values": {**RACE, "methods": []}}, "at least one method"),
    ):
        ids, refused = send(app, **changed)
        assert ids == [] and sentence in refused
    assert app.store.history() == [] and jobs.started == []


def test_so_many_jobs_are_followed_at_once_and_no_more(app, jobs):
    for _ in range(4):
        assert send(app)[1] is None
    ids, refused = send(app)
    assert ids == [] and "8 Jobs of yours are followed here" in refused
    assert job.send(app, RACE, "another", TOKEN, repository="ada/x", flavor="t4-small", minutes="5")[0]
    app.queue.close()


def test_a_space_without_login_sends_nothing(monkeypatch):
    monkeypatch.setenv("SPACE_ID", "ada/studio")
    with gr.Blocks() as page:
        assert job.job_form() is None
    said = [str(block.value) for block in page.blocks.values() if isinstance(block, gr.HTML)]
    assert any("nothing can be sent from it" in one for one in said)
