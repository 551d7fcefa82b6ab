"""How many processes share a run of the page, and when a visitor can choose that."""

from __future__ import annotations

import pytest

from cdvft_app.settings import RunSettings
from cdvft_app.training import data_parallel, schedule

ONE = RunSettings(method="cdvft")
ALL = ONE.model_copy(update={"all_gpus": True})


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """`machine(gpus, visible, processes)`: what the driver lists, and the two variables."""

    def make(gpus, visible=None, processes=None):
        monkeypatch.setattr(schedule, "DRIVER", tmp_path / "gpus")
        for number in range(gpus):
            (tmp_path / "gpus" / f"0000:0{number}:00.0").mkdir(parents=True)
        for name, value in (("CUDA_VISIBLE_DEVICES", visible), ("CDVFT_PROCESSES", processes)):
            monkeypatch.delenv(name, raising=False) if value is None else monkeypatch.setenv(name, value)

    return make


@pytest.mark.parametrize(
    ("of_the_machine", "one", "all_of_them", "choice"),
    [
        ((0,), 1, 1, 0),
        ((1,), 1, 1, 0),
        ((4,), 1, 4, 4),
        ((4, "0,2"), 1, 2, 2),
        ((4, "3"), 1, 1, 0),
        ((4, ""), 1, 1, 0),
        ((4, None, "2"), 2, 2, 0),
        ((0, None, "3"), 3, 3, 0),
    ],
)
def test_the_variable_stands_above_the_choice(machine, of_the_machine, one, all_of_them, choice):
    machine(*of_the_machine)
    assert schedule.planned_processes(ONE) == one
    assert schedule.planned_processes(ALL) == all_of_them
    assert schedule.gpus_to_choose() == choice


@pytest.mark.parametrize("value", ["1", "true", "Yes"])
def test_processes_that_are_to_stay_on_the_cpu_meet_there(monkeypatch, value):
    at = []
    monkeypatch.setenv("ACCELERATE_USE_CPU", value)
    monkeypatch.setattr(data_parallel, "processes", lambda: 2)
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("accelerate.PartialState", lambda cpu: at.append("CPU" if cpu else "GPU"))
    monkeypatch.setattr("accelerate.utils.broadcast_object_list", lambda values: values)
    assert data_parallel.broadcast("settings") == "settings" and at == ["CPU"]
