"""The command line with a trainer that takes milliseconds, in this process."""

import json
import os
import re
import shutil
import signal
import zipfile
from pathlib import Path

import pytest
import run_events
from typer.main import get_command

from cdvft_app import prediction
from cdvft_app.commands import FAILED, INVALID
from cdvft_app.commands.main import app
from cdvft_app.commands.options import OPTIONS
from cdvft_app.events import Evaluation, Halt, Note, Preparing, TrainingFailed, TrainingPaused
from cdvft_app.methods import flat
from cdvft_app.settings import RunSettings
from cdvft_app.store.processes import machine, this_process
from cdvft_app.store.runs import RunStore


def fake_train(settings, emit, should_stop, folder, resume=False):
    """Steps until `max_steps`; fails at step 2 with a learning rate above 1; step 3 asks for Ctrl-C."""
    first = int((folder / "checkpoint").read_text()) if resume else 0
    emit(Preparing("Loading", 0.5))
    emit(run_events.started(settings.max_steps, trainable_parameters=768))
    emit(Note("A note."))
    state = "finished"
    for step in range(first + 1, settings.max_steps + 1):
        if step == 2 and settings.method.learning_rate > 1:
            raise TrainingFailed("The loss became nan at step 2.")
        emit(run_events.step(step))
        (folder / "checkpoint").write_text(str(step))
        if step == 3 and settings.max_steps > 3 and not resume:
            os.kill(os.getpid(), signal.SIGINT)
        if halt := should_stop():
            if halt is Halt.PAUSE:
                raise TrainingPaused
            state = "stopped"
            break
    emit(Evaluation(step, step / 10, 0.4, "accuracy", 0.75, True))
    emit(run_events.done(step, folder / "adapter", state=state))


@pytest.fixture
def command(command_with):
    return command_with(fake_train)


def last_line(output):
    return json.loads(output.splitlines()[-1])


def test_train_ends_with_one_line_of_json(command, tmp_path):
    code, output, errors = command("train", "--recipe", "digits", "--max-steps", 3, "--seed", 7, "--json")
    result = last_line(output)
    run_id, promised, adapter = (result.pop(name) for name in ("run_id", "forecast", "adapter"))
    assert adapter == str(RunStore(tmp_path).folder(run_id) / "adapter")
    assert promised["counted"]["steps"] == 3 and promised["seconds"]["low"] < promised["seconds"]["high"]
    assert code == 0 and "A note." in errors and "A note." not in output
    assert result == {
        "state": "finished",
        "metric_name": "accuracy",
        "metric": 0.75,
        "best_step": None,
        "last_metric": None,
        "trainable_parameters": 768,
        "seconds": 0.3,
    }
    run = RunStore(tmp_path).get(run_id)
    assert run.name == "Tiny handwritten digits", "as the page names the same race"
    assert run.forecast == promised, "it was kept before the run"
    assert (run.method, run.settings.seed, run.settings.recipe, run.step) == ("cdvft", 7, "digits", 3)
    assert run.settings.method.learning_rate and run.settings.batch_size, (
        "the recipe's values are kept with the run"
    )


@pytest.mark.parametrize(("head", "said"), [(1540, " and 1,540 of the head, 0.3 s"), (0, ", 0.3 s")])
def test_train_without_json_says_the_same_in_words_and_what_the_head_trains(command_with, head, said):
    def train(settings, emit, should_stop, folder, resume=False):
        emit(run_events.started(3, trainable_parameters=0, head_parameters=head))
        emit(Evaluation(3, 0.3, 0.4, "accuracy", 0.75, True))
        emit(run_events.done(3, folder / "adapter"))

    code, output, _ = command_with(train)("train", "--method", "head", "--max-steps", 3)
    assert code == 0 and "finished after 3 steps: accuracy 0.7500" in output
    assert f"\n0 trainable parameters{said} of training\n" in output


def test_ctrl_c_stops_and_resume_goes_on(command, tmp_path):
    before = signal.getsignal(signal.SIGINT)
    code, output, _ = command("train", "--max-steps", 6, "--json")
    run_id = last_line(output)["run_id"]
    assert code == 130 and last_line(output)["state"] == "stopped" and last_line(output)["metric"] == 0.75
    code, output, _ = command("resume", run_id, "--json")
    assert code == 0 and last_line(output)["run_id"] == run_id and last_line(output)["state"] == "finished"
    rows = RunStore(tmp_path).rows(run_id, kinds=["step"])[0]
    assert [row["step"] for row in rows] == [1, 2, 3, 4, 5, 6]
    code, output, errors = command("resume", run_id)
    assert code == 1 and "is finished; only a run that is stopped or failed or interr" in errors
    assert signal.getsignal(signal.SIGINT) is before


def test_what_fits_into_no_memory_neither_begins_nor_goes_on(command, tmp_path, monkeypatch):
    run_id = last_line(command("train", "--max-steps", 6, "--json")[1])["run_id"]  # stops at step 3
    monkeypatch.setattr(prediction, "kind_of_training", lambda: "cpu")
    monkeypatch.setattr(prediction, "total_bytes", lambda kind: 10**8)
    for arguments in (["train"], ["resume", run_id], ["sweep", "--m", "2,3"]):
        code, output, errors = command(*arguments)
        assert code == INVALID and output == ""
        assert "batch-size: got" in errors and "this machine has 0.1 GB" in errors
    (run,) = RunStore(tmp_path).history()
    assert run.state == "stopped"


SEARCH = ("search", "--recipe", "mnist")
BAD = [
    (["train", "--json", "--m", 1], "--m: got 1; it must be from 2 to 16."),
    (["train", "--json", "--m", "two"], "Invalid value for '--m'"),
    (["train", "--method", "lora", "--m", 3, "--dora-r", 4], "--m, --dora-r belongs to CDVFT and DoRA"),
    (["train", "--json", "--recipe", "poetry"], "There is no recipe 'poetry'. Choose one of sentiment"),
    (["train", "--json", "--learning-rate", "nan"], "--learning-rate: got nan"),
    (["train", "--json", "--colour", "red"], "No such option: --colour"),
    (["train", "--answer", "told"], "require --data"),
    (["sweep", "--m", "two"], "--m: got 'two'"),
    (["sweep", "--methods", "lore"], "--methods: got 'lore'"),
    (["sweep", "--seeds", "0,0"], "names a value twice"),
    ([*SEARCH, "--m", "1,2"], "m: got 1"),
    ([*SEARCH, "--rates", "10"], "Rates are the lowest and the highest multiple"),
    ([*SEARCH, "--trials", "0"], "--trials: got 0"),
]


@pytest.mark.parametrize(("words", "sentence"), BAD, ids=[" ".join(map(str, words)) for words, _ in BAD])
def test_bad_options_are_sentences(command, tmp_path, words, sentence):
    code, output, errors = command(*words)
    assert code == 2 and output == "" and sentence in errors and "Traceback" not in errors
    assert RunStore(tmp_path).history() == []


@pytest.mark.parametrize("run_id", ["", "nothing", "../../etc", "A" * 22])
def test_resume_of_what_is_not_there(command, run_id):
    code, output, errors = command("resume", run_id)
    assert code == 1 and output == "" and "There is no run" in errors and "runs` lists" in errors


def test_runs_lists_all_with_their_true_state_and_the_time_of_training_as_the_page_does(command, tmp_path):
    store, gone = RunStore(tmp_path), f"999999999:1.00@{machine()}"
    (dead,) = store.create([RunSettings(method="lora")], "a", "[red]dead", process=gone)
    digits = RunSettings(method="cdvft", recipe="digits")
    (ended,) = store.create([digits], "a", process=this_process())
    told = Evaluation(2, 3729.4, 0.4, "accuracy", 0.75, True), run_events.done(2, seconds=3729.4)
    for event in (run_events.started(2), *told):
        store.append(ended.id, event)
    code, output, _ = command("runs")
    head, first, second = output.splitlines()
    assert code == 0 and head.split()[-1] == "training" and first.rstrip().endswith("1:02:09 h")
    assert "finished" in first and "accuracy 0.7500" in first and "2/2" in first
    assert dead.id in second and "[red]dead" in second and "interrupted" in second
    (listed,) = last_line(command("runs", "--json", "--limit", 1)[1])
    assert (listed["recipe"], listed["method"], listed["state"]) == ("digits", "cdvft", "finished")
    assert listed["seconds"] == 3729.4


def test_a_history_goes_as_one_file_and_comes_back(command, tmp_path, monkeypatch):
    command("train", "--recipe", "digits", "--max-steps", 2)
    (run,) = RunStore(tmp_path).history()
    file = tmp_path / "runs.zip"
    assert command("history", "export", file) == (0, f"1 runs are in {file}\n", "")
    monkeypatch.setenv("RUNS_DIR", str(tmp_path / "elsewhere"))
    taken = f"1 runs imported from {file}; 0 were here before\n"
    assert command("history", "import", file)[:2] == (0, taken)
    assert RunStore(tmp_path / "elsewhere").get(run.id).metric == 0.75
    assert command("history", "import", file)[1] == f"0 runs imported from {file}; 1 were here before\n"
    with zipfile.ZipFile(file, "a") as archive:
        archive.writestr(f"{'0' * 32}/run.json", "{}")
    code, _, said = command("history", "import", file)
    assert code == 0 and said.startswith(f"not imported: {'0' * 32}")
    assert command("history", "backup", tmp_path / "copy")[0] == 0
    assert RunStore(tmp_path / "copy").get(run.id).metric == 0.75
    assert command("history", "rebuild")[0] == 1, "this process has the database open"
    shutil.copytree(tmp_path / "elsewhere" / "runs", tmp_path / "moved" / "runs")
    monkeypatch.setenv("RUNS_DIR", str(tmp_path / "moved"))
    assert command("history", "rebuild")[0] == 0
    assert RunStore(tmp_path / "moved").get(run.id).metric == 0.75


def test_delete_is_for_who_has_the_folder_and_not_while_it_trains(command, tmp_path):
    store = RunStore(tmp_path)
    settings = RunSettings(method="cdvft", recipe="digits")
    over, training = store.create([settings, settings], "of a browser")
    store.set_state(over.id, "stopped")
    store.set_state(training.id, "preparing", process=this_process())
    assert command("delete", over.id) == (0, f"deleted {over.id}\n", "")
    assert store.get(over.id) is None
    code, _, said = command("delete", training.id)
    assert code == 1 and "stop it first" in said
    code, _, said = command("delete", over.id)
    assert code == 1 and over.id in said


def test_every_setting_is_an_option():
    fields = {*RunSettings.model_fields, *flat.FLAT, "learning_rate"}
    assert set(OPTIONS) == fields - {"data"}  # by --data FILE with --text and --label


def test_data_of_ones_own_is_inspected_and_trained_on(command, mine, tmp_path):
    with mine.open("a") as file:
        file.write(",1\n")
    code, output, _ = command("data", "inspect", mine, "--json")
    found = json.loads(output)
    assert code == 0 and (found["inputs"], found["label"], found["left_out"]) == (["review"], "stars", 1)
    code, output, errors = command(
        "train", "--data", mine, "--text", "review", "--label", "stars", "--max-steps", 2, "--json"
    )
    assert code == 0 and "“mine”, row 62, column “review”: it is empty" in errors
    run = RunStore(tmp_path).get(json.loads(output)["run_id"])
    assert (
        run.name == "mine" and run.settings.data.labels == ("0", "1") and run.settings.recipe == "sentiment"
    )

    code, _, errors = command("train", "--data", mine, "--label", "starz")
    assert code == FAILED and "There is no column “starz”. The columns are review, stars" in errors
    (kept,) = RunStore(tmp_path).datasets.of(None)
    code, output, _ = command("data", "delete", kept.id)
    assert code == 0 and "cannot be resumed, nor show examples: mine, CDVFT" in output


def test_a_file_that_is_only_inspected_leaves_nothing_also_where_its_evaluation_is_missing(
    command, mine, tmp_path
):
    code, _, errors = command("data", "inspect", mine, "--eval", tmp_path / "typo.csv")
    assert code == FAILED and "“typo.csv” is no file" in errors
    assert list((tmp_path / "data").iterdir()) == []


def test_answers_are_written_where_prompt_and_answer_are_named(command, tmp_path):
    file = tmp_path / "asked.csv"
    file.write_text("asked,told\n" + "".join(f"where is {n},at {n % 3}\n" for n in range(60)))
    how = ("--data", file, "--prompt", "asked", "--answer", "told", "--held-out", 0.25, "--split-seed", 3)
    code, output, errors = command("train", *how, "--max-steps", 2, "--json")
    assert code == 0 and "15 to evaluate on, held out, 25 % by seed 3" in errors
    run = RunStore(tmp_path).get(json.loads(output)["run_id"])
    own = run.settings.data
    assert (run.settings.recipe, own.kind, own.metric) == ("addresses", "generation", "exact_match")
    assert (own.inputs, own.label, own.held_out, own.split_seed) == (("asked",), "told", 0.25, 3)
    code, output, errors = command("data", "inspect", file, "--held-out", 0.9)
    assert code == FAILED and "The held-out share must be from 5 to 50 %" in errors


def test_a_run_is_named_by_the_beginning_of_its_id_that_no_other_has(command, tmp_path, monkeypatch):
    numbers = iter(range(10))
    monkeypatch.setattr("secrets.token_hex", lambda size: f"abcd{next(numbers)}{0:027d}")
    store = RunStore(tmp_path)
    first, second = (store.create([RunSettings(method="lora")], None, "one")[0].id for _ in range(2))
    for beginning, why in (
        ("zzzz", "There is no run 'zzzz'"),
        ("abcd", "several runs begin with 'abcd'"),
    ):
        code, _, errors = command("delete", beginning)
        assert code == FAILED and why in errors
    assert len(store.history()) == 2
    assert command("delete", first[:5]) == (0, f"deleted {first}\n", "")
    assert [one.id for one in store.history()] == [second]


def test_docs_and_help_show_every_command(command):
    text = (Path(__file__).parents[3] / "docs" / "command-line.md").read_text(encoding="utf-8")
    shown = set(re.findall(r"^\| `cdvft ([a-z-]+)", text, re.MULTILINE))
    commands = get_command(app).commands
    assert shown == set(commands)
    assert sum(not commands[name].hidden for name in commands) <= 16
