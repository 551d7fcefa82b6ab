"""`python -m cdvft_app sweep` with a trainer that takes milliseconds."""

import json
import os
import signal

import pytest
import run_events

from cdvft_app.commands.sweep import ENDED_EARLY
from cdvft_app.events import Evaluation, TrainingFailed
from cdvft_app.format import plain
from cdvft_app.store.runs import RunStore

COMMAND = ("sweep", "--recipe", "mnist", "--m", "2,3", "--learning-rates", "0.3,1", "--seeds", "0,1")


@pytest.fixture
def command(command_with, trained):
    def train(settings, emit, should_stop, folder, resume=False):
        trained["settings"].append(settings)
        emit(run_events.started(2, trainable_parameters=1000 * settings.method.m, evaluation_examples=100))
        emit(run_events.step(1))
        if settings.method.learning_rate > 0.5:
            raise TrainingFailed("The loss became nan at step 2.")
        if len(trained["settings"]) == trained["interrupt"]:
            os.kill(os.getpid(), signal.SIGINT)
        state = "stopped" if should_stop() else "finished"
        metric = 0.5 + 0.1 * settings.method.m + 0.01 * settings.seed
        emit(Evaluation(2, 0.2, 0.4, "accuracy", metric, True))
        emit(run_events.done(2, folder / "adapter", state=state, metric=metric))

    return command_with(train)


def test_a_sweep_is_one_group_and_ends_with_its_table(command, tmp_path):
    code, output, errors = command(*COMMAND)
    assert code == 0
    lines = plain(output).splitlines()
    best = "CDVFT m = 3, learning rate × 0.3 80.5 % 80.0 % to 81.0 % 2 of 2 3,000 0.2"
    assert " ".join(lines[1].split()) == best
    assert "CDVFT with m = 2 scores 10.0 points lower than CDVFT with m = 3 (" in " ".join(
        plain(output).split()
    )
    assert "8 of 8: CDVFT" in errors
    (runs,) = RunStore(tmp_path).groups(10)
    assert len(runs) == 8 and {run.state for run in runs} == {"finished"} and runs[0].sweep
    assert runs[0].name == "Sweep: Handwritten digits (MNIST)"
    promised = {
        run.settings.method.m: run.forecast["trainable_parameters"]["value"] for run in runs if run.forecast
    }
    assert promised == {2: 46_080, 3: 82_944}


def test_json_is_one_line(command):
    code, output, _ = command(*COMMAND, "--json")
    answer = json.loads(output.splitlines()[-1])
    assert code == 0 and len(answer["settings"]) == 4 and len(answer["group_id"]) == 32
    first = answer["settings"][0]
    assert (first["method"], first["m"], first["learning_rates"], first["runs"]) == ("cdvft", 2, 0.3, 2)
    assert first["mean"] == pytest.approx(0.705) and first["trainable_parameters"] == 2000


def test_stopped_command_continues_when_repeated(command, trained, tmp_path):
    trained["interrupt"] = 3
    code, _, errors = command(*COMMAND)
    assert code == 130 and ENDED_EARLY in errors
    assert len(trained["settings"]) == 3
    trained["interrupt"] = None
    code, _, errors = command(*COMMAND)
    assert code == 0 and "2 of 8 runs ended before" in errors
    assert len(trained["settings"]) == 3 + 6, "the one that was stopped is trained once more"
    (runs,) = RunStore(tmp_path).groups(10)
    assert len(runs) == 8 and {run.state for run in runs} == {"finished"}
    command(*COMMAND)
    assert len(trained["settings"]) == 9, "what has ended is not run again"
    command(*COMMAND, "--again")
    assert len(trained["settings"]) == 17


def test_a_sweep_runs_on_data_of_ones_own(command, trained, mine, tmp_path):
    code, _, errors = command("sweep", "--data", mine, "--m", "2,3", "--seeds", "0")
    assert code == 0, errors
    first, second = trained["settings"]
    assert first.data == second.data and first.data.title == "mine" and first.recipe == "sentiment"
    assert {run.name for run in RunStore(tmp_path).history()} == {"Sweep: mine"}
