"""`python -m cdvft_app search` with a trainer that takes milliseconds."""

from __future__ import annotations

import json
import math
import os
import signal
import sys

import pytest
import run_events
from in_process import InProcess
from waiting import wait_for

from cdvft_app.commands import train as train_command
from cdvft_app.commands.search import ENDED_EARLY
from cdvft_app.events import Evaluation, Halt
from cdvft_app.format import plain
from cdvft_app.settings import RunSettings
from cdvft_app.store.runs import RunStore

COMMAND = ("search", "--recipe", "mnist", "--trials", "5")


@pytest.fixture
def command(command_with, trained):
    def train(settings, emit, should_stop, folder, resume=False):
        trained["settings"].append(settings)
        emit(run_events.started(2, evaluation_examples=50))
        emit(run_events.step(1))
        if len(trained["settings"]) == trained["interrupt"]:
            os.kill(os.getpid(), signal.SIGINT)
            wait_for(should_stop)
        state = "stopped" if should_stop() is Halt.STOP else "finished"
        loss = 0.3 + math.log10(settings.method.learning_rate / 0.02) ** 2
        emit(Evaluation(2, 0.2, loss, "accuracy", 1 / (1 + loss), True))
        emit(run_events.done(2, folder / "adapter", state=state, metric=1 / (1 + loss)))

    return command_with(train)


def test_a_search_is_one_group_and_ends_with_what_was_found(command, trained, tmp_path):
    code, output, errors = command(*COMMAND)
    assert code == 0 and errors.count("validation loss") == 5
    said = plain(output)
    assert said.startswith("CDVFT: the best of 5 trials is learning rate 0.0")
    assert "on the 50 validation rows that chose it" in said
    (runs,) = RunStore(tmp_path).groups(10)
    assert len(runs) == 5 and {run.state for run in runs} == {"finished"} and runs[0].sweep
    assert {run.settings.evaluate_on for run in runs} == {"validation"}
    assert runs[0].name == "Search: Handwritten digits (MNIST)"


def test_json_names_the_race_of_the_best(command):
    code, output, _ = command(*COMMAND, "--methods", "cdvft,lora", "--json")
    answer = json.loads(output.splitlines()[-1])
    assert code == 0 and [one["method"] for one in answer["methods"]] == ["cdvft", "lora"]
    assert [len(one["trials"]) for one in answer["methods"]] == [5, 5]
    race = [RunSettings.model_validate(one) for one in answer["race"]]
    assert [one.method.key for one in race] == ["cdvft", "lora"]
    assert {one.evaluate_on for one in race} == {"evaluation"}
    best = answer["methods"][0]["trials"][answer["methods"][0]["best"]]
    assert f"learning rate {race[0].method.learning_rate:g}" == best["settings"]


@pytest.mark.parametrize("cluster", [(), ("--cluster", "ray://lab-1:10001")], ids=["here", "on a cluster"])
def test_stopped_command_continues_when_repeated(command, trained, tmp_path, monkeypatch, cluster):
    asked = []

    def on_cluster(address):
        asked.append(address)
        return InProcess(sys.modules["cdvft_app.training.trainer"].train)

    monkeypatch.setattr(train_command, "on_cluster", on_cluster)
    trained["interrupt"] = 3
    code, _, errors = command(*COMMAND, *cluster)
    assert code == 130 and ENDED_EARLY in errors
    assert len(trained["settings"]) == 3
    trained["interrupt"] = None
    code, output, _ = command(*COMMAND, *cluster)
    assert code == 0 and plain(output).startswith("CDVFT: the best of 5 trials is")
    assert len(trained["settings"]) == 3 + 3 and trained["settings"][2] == trained["settings"][3]
    (runs,) = RunStore(tmp_path).groups(10)
    assert len(runs) == 5 and {run.state for run in runs} == {"finished"}
    command(*COMMAND, *cluster)
    assert len(trained["settings"]) == 6, "what has ended is not searched again"
    command(*COMMAND, "--again", *cluster)
    assert len(trained["settings"]) == 11
    assert asked == 4 * [*cluster[1:]], "one connection a command"


def test_a_search_runs_on_data_of_ones_own(command, trained, mine, tmp_path):
    code, _, errors = command("search", "--data", mine, "--trials", "3")
    assert code == 0, errors
    assert {one.data.title for one in trained["settings"]} == {"mine"}
    runs = RunStore(tmp_path).history()
    assert {run.name for run in runs} == {"Search: mine"} and all(run.private for run in runs)
