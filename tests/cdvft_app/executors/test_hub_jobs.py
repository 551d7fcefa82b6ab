"""A run as a Job: its script trains for real, its log becomes the run's rows, its adapter comes back."""

from __future__ import annotations

import re
import threading
from pathlib import Path

import pytest
import run_events
from clean_environment import create
from hub_stub import TOKEN
from huggingface_hub import HfApi
from jobs_stub import Jobs
from typer.testing import CliRunner
from waiting import wait, wait_for

from cdvft_app import catalog
from cdvft_app.commands import FINISHED, main
from cdvft_app.events import Note, Snapshot
from cdvft_app.executors import base as executors
from cdvft_app.executors import hub_jobs as executor
from cdvft_app.executors.hub_jobs import HubJob, HubJobs, JobOrder
from cdvft_app.executors.hub_script import CODE, event_line, read_event, script_text
from cdvft_app.results.finished_run import ResultsError, find
from cdvft_app.settings import RunSettings
from cdvft_app.store.processes import this_process
from cdvft_app.store.records import IllegalTransition
from cdvft_app.store.runs import RunStore
from cdvft_app.store.states import FINAL

SIZES = {"batch_size": 4, "train_examples": 16, "evaluation_examples": 8, "max_length": 16}
SHORT = RunSettings(recipe="sentiment", method="cdvft", max_steps=6, **SIZES)


@pytest.fixture
def api(stub):
    """The hub's own client, which asks the stub."""
    return HfApi(endpoint=stub.address, token=TOKEN)


@pytest.fixture
def follow(store, api, monkeypatch):
    """`follow(plan)`: the ID of a run that is sent as a Job and followed."""
    monkeypatch.setattr(HubJob, "pull_seconds", 0.2)
    monkeypatch.setattr(executors, "POLL_SECONDS", 0.05)

    def begin(plan):
        job = executor.send(api, JobOrder(plan, "ada/films", "t4-small", 5, TOKEN))
        (run,) = store.create([plan.settings], "a", plan.title, this_process())
        store.append(run.id, job, run.epoch)
        threading.Thread(target=executors.train_to_end, args=(store, run, HubJobs(api)), daemon=True).start()
        return run.id

    return begin


def test_other_lines_and_strangers_events_are_none(tmp_path):
    assert event_line(Snapshot(1, 0.1, "file")) is None
    for line in (
        "Loading weights",
        "cdvft-event {",
        'cdvft-event {"event": "Popen", "fields": {}}',
        "cdvft-event {}",
        'cdvft-event {"event": 1, "fields": {}}',
        'cdvft-event {"event": "Note", "fields": []}',
        'cdvft-event {"event": "Sent", "fields": {"job_id": "1", "account": "a", "repository": "r", '
        '"job_address": "https://somewhere"}}',
        'cdvft-event {"event": ' + "[" * 100_000 + "}",
        event_line(Note("x", "info")).replace('"x"', "[1]"),
        event_line(Note("x" * 300_000, "info")),
    ):
        assert read_event(line, tmp_path) is None


def pinned(text: str) -> list[str]:
    """The requirements in a script's head."""
    return re.findall(r'^#   "(.+)",$', text, flags=re.MULTILINE)


@pytest.mark.nightly
@pytest.mark.slow
@pytest.mark.mirror
def test_a_job_trains_for_real_and_its_run_is_as_if_it_was_trained_here(store, follow, stub, tmp_path):
    """With the packages alone that its script names, and what these need."""
    plan = catalog.resolve(SHORT)
    python = create(tmp_path, pinned(script_text(plan.settings, plan.title)))
    alone = {"HF_ENDPOINT": stub.address, "HF_HUB_OFFLINE": "0", "OMP_NUM_THREADS": "1", "PYTHONPATH": ""}
    stub.jobs = Jobs(tmp_path / "jobs", python=str(python), **alone)
    run_id = follow(plan)
    run = wait(store, run_id, *FINAL, seconds=300)
    (job,) = stub.jobs.started
    assert run.state == "finished", (run.reason, job.log()[-30:])
    assert (job.spec["flavor"], job.spec["timeoutSeconds"]) == ("t4-small", 300)
    assert stub.repositories == {"ada/films": True}
    of_job = RunStore(job.folder / "studio-runs")
    (trained,) = of_job.history()
    for kind in ("step", "evaluation"):
        told, kept = (
            [{**row, "cursor": 0} for row in one.rows(id_, kinds=[kind])[0]]
            for one, id_ in ((store, run_id), (of_job, trained.id))
        )
        assert told == kept and told
    assert run.metric == trained.metric and run.trainable_parameters == trained.trainable_parameters
    assert {"README.md", "adapter_model.safetensors"} <= stub.files.keys()
    adapter, there = find(store, run_id).folder, find(of_job, trained.id).folder
    weights = "adapter_model.safetensors"
    assert (adapter / weights).read_bytes() == (there / weights).read_bytes()
    assert not (adapter / CODE).exists()
    of_job.close()


STARTED = event_line(run_events.started(3))
GOES_ON = f"import time; print({STARTED!r}, flush=True); time.sleep(600)"


def followed_until(go: Path, before: list[str], after: list[str]) -> str:
    """A script that says the lines `before`, and those `after` once there is the file `go`."""
    say = [[f"print({line!r}, flush=True)" for line in lines] for lines in (before, after)]
    wait_here = f"while not pathlib.Path({str(go)!r}).exists(): time.sleep(0.05)"
    return "\n".join(["import time, pathlib", *say[0], wait_here, *say[1]])


def test_stop_cancels_the_job(store, follow, stub, tmp_path):
    stub.jobs = Jobs(tmp_path / "jobs", GOES_ON)
    run_id = follow(catalog.resolve(SHORT))
    wait_for(lambda: store.state(run_id) == "running")
    assert store.get(run_id).result["job_address"] == f"{stub.address}/jobs/ada/0"
    store.ask_to_stop(run_id)
    run = wait(store, run_id, *FINAL)
    assert run.state == "stopped" and "cancelled" in run.reason
    assert stub.jobs.started[0].cancelled


def test_the_command_follows_a_left_job_to_its_end(store, follow, stub, tmp_path, monkeypatch):
    steps = [event_line(run_events.step(step, 0.7 - step / 20)) for step in (1, 2, 3)]
    after = [steps[2], event_line(run_events.done(3))]
    stub.jobs = Jobs(tmp_path / "jobs", followed_until(tmp_path / "go", [STARTED, *steps[:2]], after))
    run_id = follow(catalog.resolve(SHORT))
    wait_for(lambda: store.get(run_id).step == 2)
    store.set_state(run_id, "interrupted")
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    monkeypatch.setenv("HF_ENDPOINT", stub.address)
    monkeypatch.setattr(RunStore, "default", lambda: store)
    (tmp_path / "go").touch()
    ended = CliRunner().invoke(main.app, ["resume", run_id])
    assert (ended.exit_code, store.state(run_id)) == (FINISHED, "finished"), ended.output
    assert f"finished after 3 steps; run {run_id}" in ended.output
    assert [row["step"] for row in store.rows(run_id, kinds=["step"])[0]] == [1, 2, 3]
    with pytest.raises(IllegalTransition, match="HF Job"):
        CliRunner().invoke(main.app, ["resume", run_id], catch_exceptions=False)


@pytest.mark.parametrize(
    ("status", "sentence"),
    [
        (402, "has no credit for Jobs"),
        (403, "may start no Jobs: sign in again"),
        (500, "ada/films, made for it, has no adapter"),
    ],
)
def test_send_reports_a_refusal_without_the_token(follow, stub, status, sentence):
    stub.jobs = Jobs(Path("nowhere"))
    stub.jobs.status = status
    with pytest.raises(ResultsError, match=sentence) as refused:
        follow(catalog.resolve(SHORT))
    assert TOKEN not in str(refused.value)
