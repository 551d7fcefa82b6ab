"""A history's file that a stranger gives to the page: what is taken of it, and as whose."""

from __future__ import annotations

import io
import json
import os
import shutil
import stat
import zipfile
from dataclasses import replace
from pathlib import Path

import bombs
import pytest
from ended_runs import trained
from stored_runs import LORA, OWN_ROWS, ask, full_disk, told

from cdvft_app.settings import InvalidChoice
from cdvft_app.store import history_file
from cdvft_app.store.records import StoreError


def exported(store, tmp_path):
    file = tmp_path / "runs.zip"
    history_file.export_history(store, file)
    return file


def changed(file: Path, change) -> Path:
    """The file, with each member as `change(name, bytes)` makes it: (name or ZipInfo, bytes), or None."""
    made = io.BytesIO()
    with zipfile.ZipFile(file) as old, zipfile.ZipFile(made, "w") as new:
        for info in old.infolist():
            member = change(info.filename, old.read(info))
            if member is not None:
                new.writestr(*member)
    file.write_bytes(made.getvalue())
    return file


def with_more(file: Path, members: dict[str | zipfile.ZipInfo, str | bytes]) -> Path:
    with zipfile.ZipFile(file, "a") as archive:
        for name, held in members.items():
            archive.writestr(name, held)
    return file


def take(store, file, token="mine", **named):
    return history_file.import_untrusted(store, file, token, visitor="ada", **named)


def take_in_terminal(store, file):
    return history_file.import_untrusted(store, file, None, limits=history_file.TERMINAL, by_operator=True)


def test_what_somebody_brings_is_his_own_and_as_it_was(store, other, tmp_path):
    run_id = trained(store, "of before")
    file = exported(store, tmp_path)
    assert take(other, file, private=True) == history_file.ImportResult([run_id], 0, [])
    was, run = store.get(run_id), other.get(run_id)
    assert told(other, run_id) == told(store, run_id) and run.group_id != was.group_id
    theirs = {"private": True, "visitor": "ada", "group_id": run.group_id}
    assert run == replace(was, process=None, epoch=0, **theirs)
    assert (other.folder(run_id) / "adapter" / "adapter_model.safetensors").read_bytes() == b"weights"
    assert take(other, file, "another's") == history_file.ImportResult([], 1, [])
    assert other.owner(run_id, "mine") and not other.owner(run_id, "of before")
    taken = history_file.imported_bytes(other)
    assert taken > 0 == history_file.imported_bytes(store)
    other.folders.quarantine.mkdir()
    other.folder(run_id).rename(other.folders.quarantine / run_id)
    assert history_file.imported_bytes(other) == taken, "what lies in the quarantine counts"


KEPT = Path(__file__).parent / "kept_histories"


def test_a_terminal_takes_all_and_leaves_races_and_what_is_hidden_as_they_were(store, other, tmp_path):
    ids = [trained(store), trained(store)]
    store.hide(ids[0], True)
    store.set_private(ids[1], True, "secret")
    file = exported(store, tmp_path)
    assert sorted(take_in_terminal(other, file).ids) == sorted(ids)
    for run_id in ids:
        assert told(other, run_id) == told(store, run_id)
        assert other.get(run_id) == replace(store.get(run_id), process=None, epoch=0)
    assert history_file.imported_bytes(other) == 0, "they take none of the room that visitors have"
    assert take_in_terminal(other, file) == history_file.ImportResult([], 2, [])
    assert not list(other.root.glob(".given-*"))


def test_a_run_on_data_that_is_not_here_is_for_a_terminal(store, other, tmp_path):
    (run,) = store.create([LORA.model_copy(update={"data": OWN_ROWS})], "mine", private=True)
    store.set_state(run.id, "stopped")
    file = exported(store, tmp_path)
    found = take(other, file)
    assert found.ids == [] and "data of its own, which is not here" in found.refused[0]
    assert take_in_terminal(other, file).ids == [run.id] and other.get(run.id).private


def test_no_traceback_leaves_with_a_history(store, tmp_path):
    run_id = trained(store)
    (store.folder(run_id) / "error.txt").write_text('File "/home/ada/studio/train.py", line 3')
    (store.folder(run_id) / "checkpoints").mkdir()
    (store.folder(run_id) / "checkpoints" / "state").write_text("large")
    with zipfile.ZipFile(exported(store, tmp_path)) as archive:
        names = {name.partition("/")[2] for name in archive.namelist()}
        weights = {"adapter/adapter_model.safetensors", "snapshots/step-000001.safetensors"}
        assert names == {"rows.jsonl", "run.json", *weights}
        assert not any(b"/home/ada" in archive.read(name) for name in archive.namelist())


def test_a_file_that_the_format_of_today_wrote_is_taken(other):
    """With a traceback in it, which is left."""
    found = take(other, KEPT / "exported.zip")
    finished, interrupted = "0c976b89a1a3602d891571926276e6e1", "4c0d8e4a6f82ab57c35f563ff6940031"
    assert {finished, interrupted} <= {*found.ids}
    assert other.get(finished).metric == 0.5 and other.get(interrupted).is_resumable
    assert [why for why in found.refused if "has no run.json" in why] == found.refused != []
    assert not list(other.folders.path.glob("*/error.txt"))
    kinds = [row["kind"] for row in other.rows(finished)[0]]
    assert kinds == ["started", "step", "step", "evaluation", "done"]


def test_what_a_killed_import_left_is_removed_by_a_later_one(store, other, tmp_path):
    trained(store)
    old, going_on = other.root / ".given-old", other.root / ".given-now"
    for place in (old, going_on):
        place.mkdir()
        (place / "rows.jsonl").write_text("x")
    os.utime(old, (1.0, 1.0))
    assert take(other, exported(store, tmp_path)).ids
    assert not old.exists() and going_on.is_dir()


@pytest.mark.parametrize("name", ["typo.zip", "runs"])
def test_a_file_that_cannot_be_read_is_named_and_not_the_history(other, name):
    with pytest.raises(StoreError, match=f"^“{name}” cannot be read: .*Give the zip of a history"):
        take(other, other.root / name)


def test_an_import_takes_what_is_in_its_file_alone(store, other, tmp_path):
    """Not the folder of a run that is just being made, nor what somebody put there."""
    run_id, elsewhere = trained(store), trained(store)
    file = exported(store, tmp_path)
    shutil.copytree(store.folder(elsewhere), other.folders.path / elsewhere)
    assert take(other, file).ids == [run_id] and other.get(elsewhere) is None
    assert other.folders.adopt() == [elsewhere]


def test_a_second_run_of_an_id_is_refused_and_takes_no_disk(store, other, tmp_path):
    """Its folder has another name, as one of a run whose folder was damaged has."""
    run_id = trained(store)
    file = exported(store, tmp_path)
    take(other, file)
    other.folder(run_id).rename(other.folders.path / ("d" * 32))
    ask(other.root / "history.sqlite", "UPDATE runs SET folder = ?", "d" * 32)
    found = take(other, file)
    assert found.ids == [] and "another folder" in found.refused[0]
    assert [path.name for path in other.folders.path.iterdir()] == ["d" * 32]
    assert not other.folders.quarantine.exists() or not list(other.folders.quarantine.iterdir())


def test_runs_for_which_a_file_has_no_room_are_left_and_counted(store, tmp_path):
    trained(store, "mine")
    assert history_file.export_history(store, tmp_path / "none.zip", "mine", max_bytes=10) == (0, 1)


def test_what_is_no_part_of_a_run_is_left_out(store, other, tmp_path):
    run_id = trained(store)
    strange = ("adapter/model.pkl", "adapter/adapter_model.bin", "checkpoints/x.json", "adapter/sub/a.json")
    file = with_more(exported(store, tmp_path), {f"{run_id}/{name}": "x" for name in strange})
    assert take(other, file).ids == [run_id]
    there = {str(path.relative_to(other.folder(run_id))) for path in other.folder(run_id).rglob("*.*")}
    assert not there & set(strange) and "adapter/adapter_model.safetensors" in there


def test_facts_and_rows_are_checked_and_paths_in_them_stay_inside(store, other, tmp_path):
    run_id = trained(store)

    def forge(name, held):
        if name.endswith("run.json"):
            facts = json.loads(held) | {"hidden": 1, "visitor": "bob", "token_hash": "0" * 64}
            return name, json.dumps(facts | {"result": '{"adapter_folder": "/etc"}', "reason": None})
        if name.endswith("rows.jsonl"):
            lines = held.decode().replace('\\"adapter\\"', '\\"../../../etc\\"').splitlines()
            lines.append(json.dumps({"kind": "step", "step": "x", "data": "{}"}))
            lines.append(json.dumps({"kind": "sent", "step": None, "data": '{"job_address": "javascript:"}'}))
            return name, "\n".join([*lines, "no json", "[]"])
        return name, held

    assert take(other, changed(exported(store, tmp_path), forge)).ids == [run_id]
    run = other.get(run_id)
    assert run.result["adapter_folder"] == "adapter" and not run.hidden and run.visitor == "ada"
    assert not run.is_job and told(other, run_id) == told(store, run_id)


def with_a_job(file: Path, address: str) -> Path:
    """The file, with a forecast and a Job told of its run."""
    sent = {"job_id": "12", "account": "ada", "repository": "ada/films", "job_address": address}

    def tell(name, held):
        if name.endswith("run.json"):
            return name, json.dumps(json.loads(held) | {"forecast": FORECAST})
        if name.endswith("rows.jsonl"):
            row = {"kind": "sent", "step": None, "data": json.dumps(sent)}
            return name, f"{json.dumps(row)}\n{held.decode()}"
        return name, held

    return changed(file, tell)


FORECAST = '{"whole_seconds": {"value": 9.0, "low": 8.0, "high": 10.0, "how": "counted"}}'
JOB = "https://huggingface.co/jobs/ada/12"


def test_forecast_and_job_come_back_to_who_runs_the_program_alone(store, other, tmp_path):
    """A visitor's forecast is not learned from, and no page links where a visitor's file says."""
    run_id = trained(store)
    file = with_a_job(exported(store, tmp_path), JOB)
    assert take(other, file).ids == [run_id]
    assert (other.get(run_id).forecast, other.get(run_id).is_job) == (None, False)
    other.remove(run_id)
    assert take_in_terminal(other, file).ids == [run_id]
    run = other.get(run_id)
    assert run.forecast == json.loads(FORECAST)
    assert run.is_job and (run.result["job_address"], run.result["repository"]) == (JOB, "ada/films")


@pytest.mark.parametrize(
    "address", ["javascript:alert(1)", "data:text/html,x", "https://", f"{JOB}?a=\n", 12]
)
def test_a_link_that_no_page_may_show_is_left_out_in_a_terminal_too(store, other, tmp_path, address):
    run_id = trained(store)
    assert take_in_terminal(other, with_a_job(exported(store, tmp_path), address)).ids == [run_id]
    assert not other.get(run_id).is_job and told(other, run_id) == told(store, run_id)


def test_a_run_that_is_not_allowed_here_is_not_taken(store, other, tmp_path):
    trained(store)

    def refuse(_settings):
        raise InvalidChoice("model: hub ids are not for this server.")

    file = exported(store, tmp_path)
    why = ["model: hub ids are not for this server."]
    assert take(other, file, check=refuse) == history_file.ImportResult([], 0, why)
    assert list(other.folders.path.iterdir()) == [] and not list(other.root.glob(".given-*"))


def link(name):
    made = zipfile.ZipInfo(name)
    made.external_attr = (stat.S_IFLNK | 0o777) << 16
    return made


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        ({"../history.sqlite": "x"}, "leads elsewhere"),
        ({"/etc/cron.d/x": "x"}, "leads elsewhere"),
        ({link("0123456789abcdef0123456789abcdef/adapter/a.json"): "/etc/passwd"}, "symbolic link"),
        ({f"{number:032x}/run.json": "{}" for number in range(201)}, "at most 200 are taken"),
    ],
)
def test_a_file_that_means_harm_is_refused_whole(store, other, tmp_path, more, sentence):
    trained(store)
    with pytest.raises(StoreError, match=sentence):
        take(other, with_more(exported(store, tmp_path), more))
    assert list(other.folders.path.iterdir()) == []


def test_a_file_too_large_packed_or_unpacked_is_refused(store, other, tmp_path):
    trained(store)
    file = exported(store, tmp_path)
    for limit, sentence in (("unpacked_bytes", "unpacks to"), ("file_bytes", "history import")):
        with pytest.raises(StoreError, match=sentence):
            take(other, file, limits=replace(history_file.PAGE, **{limit: 100}))


@pytest.mark.parametrize("name", [None, "short/run.json", "run.json", f"{'0' * 40}/run.json"])
def test_a_file_of_no_run_is_a_sentence(other, tmp_path, name):
    file = tmp_path / "some.zip"
    file.write_bytes(b"no zip")
    with pytest.raises(StoreError, match="not the file"):
        take(other, file)
    with zipfile.ZipFile(file, "w") as archive:
        if name:
            archive.writestr(name, "{}")
    for taken in (take, take_in_terminal):
        with pytest.raises(StoreError, match="holds no run"):
            taken(other, file)


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"family": 2**70}, "cannot be read, or is of another version (family: "),
        ({"queued": float("nan")}, "cannot be read, or is of another version (queued: "),
        ({"settings": "[" * 10_000}, "cannot be read, or is of another version (settings: "),
        ({"settings": '{"method": "nonsense"}'}, "cannot be read, or is of another version (method: "),
        ({"id": "f" * 32}, "folder of another run"),
    ],
)
def test_facts_that_cannot_be_are_refused_and_stand_in_nobodys_way(other, tmp_path, changed, sentence):
    """`"family": 2**70` in a file of 351 bytes stopped the server for good."""
    found = take(other, bombs.history(tmp_path, bombs.facts(**changed)))
    assert found.ids == [] and sentence in found.refused[0]
    assert take(other, bombs.history(tmp_path)).ids == [bombs.RUN]


STEP = {"seconds": 1.0, "loss": 1.0, "learning_rate": 1.0, "gradient_norm": None, "throughput": None}


@pytest.mark.parametrize(
    "row",
    [
        bombs.started(total_steps=2**70),
        bombs.started(device="x" * 10**6 * 3),
        bombs.row("step", 2**70, **STEP),
        bombs.row("evaluation", 1, seconds=2**70, loss=1.0, metric_name="accuracy", metric=10**400),
        '{"kind": "step", "step": 1, "data": "' + "[" * 50_000 + '"}\n',
        "[" * 100_000 + "\n",
    ],
)
def test_rows_that_cannot_be_are_left_out(other, tmp_path, row):
    found = take(other, bombs.history(tmp_path, rows=row + bombs.started(total_steps=7)))
    assert found.ids == [bombs.RUN] and found.refused == []
    run = other.get(bombs.RUN)
    assert run.total_steps == 7 and [one["kind"] for one in other.rows(run.id)[0]] == ["started"]


def test_what_the_history_cannot_take_is_named_and_removed(store, other, tmp_path, monkeypatch):
    good, bad = trained(store), trained(store)
    file = exported(store, tmp_path)
    adopt = type(other.folders).adopt

    def fails(folders, among):
        if (folders.path / bad).exists():
            raise OverflowError
        return adopt(folders, among)

    monkeypatch.setattr(type(other.folders), "adopt", fails)
    found = take(other, file)
    assert found.ids == [good] and "cannot be put into the history here" in found.refused[0]
    assert [path.name for path in other.folders.path.iterdir()] == [good]


@pytest.mark.parametrize(
    ("name", "held", "sentence"),
    [
        ("adapter_config.json", '{"target_modules": "(a+)+$"}', "by a pattern"),
        ("adapter_config.json", '{"rank_pattern": {"(a+)+$": 4}}', "by a pattern"),
        ("adapter_config.json", '{"exclude_modules": ["(a+)+$"]}', "by a pattern"),
        ("adapter_config.json", "[" * 100_000, "no JSON object"),
        ("adapter_config.json", '{"target_modules": ["query", "attention.key"]}', None),
        ("more.safetensors", b"\xff" * 16, "cannot be true"),
    ],
)
def test_an_adapter_that_would_hold_up_its_reader_is_not_taken(other, tmp_path, name, held, sentence):
    found = take(other, with_more(bombs.history(tmp_path), {f"{bombs.RUN}/adapter/{name}": held}))
    assert found.ids == ([] if sentence else [bombs.RUN])
    assert not sentence or sentence in found.refused[0]


ANSWER = {"row": 2**70, "prompt": "", "expected": "", "written": "", "scores": {}}


@pytest.mark.parametrize(
    ("name", "held"),
    [
        ("predictions.safetensors", b"no tensors at all"),
        ("written_answers.jsonl", json.dumps(ANSWER) + "\n"),
        ("written_answers.jsonl", "[" * 100_000 + "\n"),
    ],
)
def test_answers_that_cannot_be_read_are_left_out(other, tmp_path, name, held):
    file = with_more(bombs.history(tmp_path), {f"{bombs.RUN}/{name}": held})
    assert take(other, file).ids == [bombs.RUN] and not (other.folder(bombs.RUN) / name).exists()


def test_a_run_that_another_import_has_just_adopted_stays(other, tmp_path, monkeypatch):
    """Two imports at once: the first one's `adopt` takes what the second has only put in its place."""
    adopt = type(other.folders).adopt

    def twice(folders, among):
        adopt(folders, among)
        return adopt(folders, among)  # finds nothing left to take

    monkeypatch.setattr(type(other.folders), "adopt", twice)
    assert take(other, bombs.history(tmp_path)).ids == [bombs.RUN] and other.folder(bombs.RUN).is_dir()


def test_only_what_has_ended_is_in_a_file_which_is_not_written_over(store, other, tmp_path):
    stopped, waiting = (run.id for run in store.create([LORA] * 2, "b"))
    ids = {trained(store, token="mine"), waiting}
    store.set_state(stopped, "stopped")
    file = exported(store, tmp_path)
    with pytest.raises(StoreError, match="already there"):
        history_file.export_history(store, file)
    taken = take_in_terminal(other, file).ids
    assert stopped in taken and len({*taken} & ids) == 1


def test_a_place_where_no_file_can_be_is_named_and_not_the_history(store, tmp_path):
    trained(store)
    file = tmp_path / "none" / "runs.zip"
    with pytest.raises(StoreError) as refused:
        history_file.export_history(store, file)
    assert str(refused.value) == (
        f"{file} cannot be written (No such file or directory). "
        "Choose a folder that is there and can be written."
    )


@pytest.mark.parametrize(("of", "refuses"), [(os, "replace"), (zipfile.ZipFile, "write")])
def test_a_file_that_could_not_be_written_leaves_nothing_of_itself(store, tmp_path, monkeypatch, of, refuses):
    trained(store)
    place = tmp_path / "elsewhere"
    place.mkdir()

    monkeypatch.setattr(of, refuses, full_disk)
    with pytest.raises(StoreError, match="The disk is full: free some space, or choose another place"):
        history_file.export_history(store, place / "runs.zip")
    assert [*place.iterdir()] == []
