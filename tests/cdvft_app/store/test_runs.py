"""Runs, one by one and in groups: made, found, changed, counted and deleted."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from stored_runs import CDVFT, LORA, STARTED, done, step

from cdvft_app.events import Evaluation, Note, Preparing, Snapshot
from cdvft_app.store.records import IllegalTransition, NotOwner, StoreError, UnknownRun
from cdvft_app.store.states import ACTIVE


def test_a_race_is_one_group_in_the_order_asked_for(store):
    made = store.create([CDVFT, LORA], "secret", "  my\n race ", forecasts=[{"steps": 7}])
    assert [(run.method, run.position, run.state, run.name, run.forecast) for run in made] == [
        ("cdvft", 0, "queued", "my race", {"steps": 7}),
        ("lora", 1, "queued", "my race", None),
    ]
    assert made[0].settings == CDVFT and store.group(made[0].group_id) == made
    assert store.get(made[1].id) == made[1]
    assert all(store.folder(run.id).is_dir() and store.folder(run.id).name == run.id for run in made)


def test_history_begins_with_the_latest_and_can_be_one_owners(store, monkeypatch):
    first, second = (store.create([CDVFT], token)[0].id for token in ("a", "b"))
    third = store.create([CDVFT], None)[0].id
    assert [run.id for run in store.history()] == [third, second, first]
    assert [run.id for run in store.history(limit=1)] == [third]
    assert [run.id for run in store.history(token="a")] == [third, first]  # the terminal's, too
    monkeypatch.setenv("CDVFT_PUBLIC", "1")
    assert [run.id for run in store.history(token="a")] == [first]


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


def test_readers_get_only_what_is_new(store, run_id):
    for number in range(1, 6):
        store.append(run_id, step(number))
    rows, cursor = store.rows(run_id, limit=3)
    assert [row["step"] for row in rows] == [1, 2, 3]
    store.append(run_id, Evaluation(5, 1.0, 0.6, "accuracy", 0.7))
    rows, cursor = store.rows(run_id, cursor)
    assert [(row["kind"], row["step"]) for row in rows] == [("step", 4), ("step", 5), ("evaluation", 5)]
    assert store.rows(run_id, cursor) == ([], cursor)
    assert [row["kind"] for row in store.rows(run_id, kinds=["evaluation"])[0]] == ["evaluation"]
    assert store.rows(run_id, 10**30)[0] == [] and len(store.rows(run_id, -5)[0]) == 6


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


def test_the_queue_is_first_come_first_served(store):
    first, second, third = (run.id for run in store.create([CDVFT, LORA, CDVFT], "a"))
    assert [store.queue_place(run) for run in (first, second, third)] == [1, 2, 3]
    assert (store.queued(), store.queued("a"), store.queued("b")) == (3, 3, 0)
    claimed = store.leases.next("1:1")
    assert (claimed.id, claimed.state, claimed.process) == (first, "preparing", "1:1")
    assert [store.queue_place(run) for run in (first, second, third)] == [None, 1, 2]
    store.set_state(second, "stopped")
    store.set_state(second, "queued")
    assert [store.leases.next("1:1").id, store.leases.next("1:1").id] == [third, second]
    assert store.leases.next("1:1") is None


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


HOSTILE = ["", "/", "..", "../../etc", "a\x00b", "x" * 10**7, "\ud800", "A" * 22, 7, None, ["a"], b"A" * 22]


@pytest.mark.parametrize("run_id", HOSTILE, ids=[str(number) for number in range(len(HOSTILE))])
def test_an_id_that_is_none_finds_nothing(store, run_id):
    assert store.get(run_id) is None and store.state(run_id) is None
    assert store.group(run_id) == [] and store.rows(run_id, 5) == ([], 5)
    assert store.queue_place(run_id) is None and not store.owner(run_id, "secret")
    for refused in (
        lambda: store.folder(run_id),
        lambda: store.append(run_id, step(1)),
        lambda: store.set_state(run_id, "stopped"),
        lambda: store.delete(run_id, "secret"),
    ):
        with pytest.raises(UnknownRun, match="There is no run") as raised:
            refused()
        assert len(str(raised.value)) < 300


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


def test_only_finished_runs_teach(store):
    first, second, waiting = (run.id for run in store.create([LORA] * 3, "secret"))
    for one in (first, second):
        for state in ("preparing", "running", "finished"):
            store.set_state(one, state)
    assert [run.id for run in store.finished()] == [second, first]
    assert waiting not in {run.id for run in store.finished()}
    assert [run.id for run in store.finished(limit=1)] == [second]


def test_groups_come_latest_first_and_can_be_told_apart(store):
    (first,) = store.create([CDVFT], "a")
    race = [first.id, *(run.id for run in store.create([CDVFT], "a", group_id=first.group_id))]
    sweep = [run.id for run in store.create([CDVFT] * 3, "b", "Sweep", sweep=True)]
    found = [[run.id for run in group] for group in store.groups(10)]
    assert found == [sweep, race]
    assert [len(group) for group in store.groups(1)] == [3]
    assert [group[0].sweep for group in store.groups(10, sweeps=True)] == [True]
    assert [group[0].sweep for group in store.groups(10, sweeps=False)] == [False]
    assert [group[0].id for group in store.groups(10, "a")] == [race[0]]
    assert store.groups(10, "a", sweeps=True) == []
