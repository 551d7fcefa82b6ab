"""Runs, one by one and in groups: made, found, changed, counted and deleted."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from stored_runs import CDVFT, LORA, STARTED, done, step

from cdvft_app.events import Evaluation, Note, Preparing, Snapshot
from cdvft_app.store.records import IllegalTransition, NotOwner, StoreError
from cdvft_app.store.states import ACTIVE


def test_events_become_rows_and_bring_the_run_up_to_date(store, run_id):
    store.set_state(run_id, "preparing")
    folder = store.folder(run_id)
    events = [
        Preparing("Loading", 0.5),
        STARTED,
        step(1),
        step(2, loss=float("nan")),
        step(3, loss=float("inf")),
        Evaluation(2, 0.3, 0.6, "accuracy", 0.7),
        Snapshot(2, 0.3, "snapshots/step-000002.safetensors"),
        Note("The loss is not a number.", "warning"),
        done(folder=folder / "adapter"),
    ]
    cursors = [store.append(run_id, event) for event in events]
    rows, cursor = store.rows(run_id)
    assert [row["cursor"] for row in rows] == cursors and cursor == cursors[-1]
    assert [row["kind"] for row in rows] == [type(event).__name__.lower() for event in events]
    assert rows[0] == {"cursor": cursors[0], "kind": "preparing", "step": None, "text": "Loading",
                       "fraction": 0.5}  # fmt: skip
    assert [(row["step"], row["loss"]) for row in rows[2:5]] == [(1, 0.5), (2, None), (3, None)]
    assert (rows[7]["kind"], rows[7]["level"]) == ("note", "warning")
    run = store.get(run_id)
    assert (run.state, run.step, run.total_steps, run.metric, run.seconds) == ("finished", 4, 100, 0.77, 9.5)
    assert (run.trainable_parameters, run.device, run.metric_name) == (13_824, "CPU, 2 threads", "accuracy")
    assert run.result["head_parameters"] == 770 and run.result["adapter_folder"] == "adapter"
    assert run.ended >= run.created


def test_steps_after_a_resume_take_the_place_of_the_lost_ones(store, run_id):
    store.set_state(run_id, "preparing")
    for number in range(1, 6):
        store.append(run_id, step(number))
    store.append(run_id, done("stopped", 5))
    assert [row["kind"] for row in store.rows(run_id)[0]] == ["step"] * 5 + ["done"]
    store.set_state(run_id, "queued")
    assert [row["kind"] for row in store.rows(run_id)[0]] == ["step"] * 5, "it goes on"
    store.set_state(run_id, "preparing")
    store.append(run_id, STARTED)
    store.append(run_id, step(4, loss=0.25))
    rows, _ = store.rows(run_id, kinds=["step", "done"])
    assert {row["kind"] for row in rows} == {"step"}
    assert [(row["step"], row["loss"]) for row in rows] == [(1, 0.5), (2, 0.5), (3, 0.5), (4, 0.25)]
    assert store.get(run_id).step == 4 and store.get(run_id).ended is None


def test_no_run_is_claimed_twice(store):
    made = {run.id for run in store.create([CDVFT] * 40, "a")}
    with ThreadPoolExecutor(8) as pool:
        claimed = list(pool.map(lambda _: store.leases.next("1:1"), range(48)))
    ids = [run.id for run in claimed if run]
    assert len(ids) == 40 and set(ids) == made


def test_many_read_while_one_writes(store, run_id):
    def read(_):
        seen, cursor = [], 0
        while len(seen) < 200:
            rows, cursor = store.rows(run_id, cursor, limit=50)
            seen += [row["step"] for row in rows]
        return seen

    with ThreadPoolExecutor(5) as pool:
        readers = [pool.submit(read, number) for number in range(4)]
        for number in range(1, 201):
            store.append(run_id, step(number))
        assert all(reader.result(30) == list(range(1, 201)) for reader in readers)


def test_only_the_owner_may_change_a_run(store, run_id, tmp_path):
    assert store.owner(run_id, "secret")
    for token in ("", "Secret", "secret ", None, 7, "x" * 10**6, "\ud800", b"secret"):
        assert not store.owner(run_id, token)
        with pytest.raises(NotOwner, match="Only the browser that started this run"):
            store.rename(run_id, "mine", token)
        with pytest.raises(NotOwner):
            store.delete(run_id, token)
    nobodys = store.create([CDVFT], None)[0].id
    assert not store.owner(nobodys, "") and not store.owner(nobodys, None)
    store.rename(run_id, "  second\x00\n", "secret")
    assert store.get(run_id).name == "second"
    with pytest.raises(StoreError, match="visible character"):
        store.rename(run_id, " \t\x00", "secret")
    store.close()
    assert all(b"secret" not in path.read_bytes() for path in tmp_path.glob("history*"))


def test_delete_takes_the_rows_and_the_folder(store, run_id):
    kept = store.create([LORA], "secret")[0].id
    folder = store.folder(run_id)
    (folder / "adapter").mkdir()
    (folder / "adapter" / "weights").write_text("w")
    for active in ACTIVE:
        store.set_state(run_id, active)
        with pytest.raises(IllegalTransition, match="stop it first"):
            store.delete(run_id, "secret")
    store.append(run_id, step(1))
    store.append(kept, step(1))
    store.set_state(run_id, "stopped")
    store.delete(run_id, "secret")
    assert store.get(run_id) is None and not folder.exists() and store.rows(run_id) == ([], 0)
    assert store.folder(kept).is_dir() and len(store.rows(kept)[0]) == 1
    assert store.folder(store.create([CDVFT], None)[0].id) != folder
