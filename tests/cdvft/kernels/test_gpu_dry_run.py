"""`make gpu` without a GPU: every part of it runs, so that the day there is one only the clock is missing."""

from __future__ import annotations

import json
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch.autograd import DeviceType

from benchmarks import decoding, device_clock, gpu
from benchmarks.gpu_tables import markdown, targets
from cdvft.kernels import allowed_engines
from cdvft_app.catalog import resolve
from cdvft_app.costs import roofline
from cdvft_app.costs.request import parse_cost
from cdvft_app.settings import RunSettings

METHODS = {"lora", "fourierft", "c3a", "cdvft"}


@pytest.fixture(scope="module")
def record() -> dict:
    parts = [part for part in gpu.PARTS if part != "race"]
    return gpu.measure(torch.device("cpu"), parts, seconds=0)


def test_every_part_compares_every_method(record: dict) -> None:
    (layer,), (step,), (memory,), (counted,), (decoded,) = (
        record[part] for part in ("layers", "steps", "memory", "launches", "decoding")
    )
    assert set(layer["ratios"]) > METHODS
    assert set(step["ratios"]) == METHODS
    assert set(memory["peak_bytes"]) > METHODS
    assert set(counted["counts"]) > METHODS
    assert {"LoRA r = 8", "CDVFT m = 2"} < set(decoded["ratios"])
    assert min(layer["seconds"].values()) > 0


def test_a_dry_run_counts_operators_says_so_and_claims_no_target(record: dict) -> None:
    counts = record["launches"][0]["counts"]
    assert counts["cdvft"]["operators"] > counts["frozen"]["operators"] > 10
    assert {count["launches"] for count in counts.values()} == {None}
    said = markdown(record)
    assert "A dry run on a CPU: these numbers mean nothing." in said
    assert "## Targets" not in said
    assert "## A step of a tiny encoder" in said


def test_nothing_is_written_unless_a_folder_is_named(record, monkeypatch, tmp_path, capsys) -> None:
    monkeypatch.setattr(gpu, "measure", lambda *_: record)
    monkeypatch.setattr(gpu, "RESULTS", tmp_path / "official")
    monkeypatch.setattr(gpu, "PAGE", tmp_path / "page.json")
    monkeypatch.setattr("sys.argv", ["gpu", "--device", "cpu"])
    gpu.main()
    assert "nothing is written" in capsys.readouterr().out
    monkeypatch.setattr("sys.argv", ["gpu", "--device", "cpu", "--to", str(tmp_path / "mine")])
    gpu.main()
    assert not (tmp_path / "official").exists() and not (tmp_path / "page.json").exists()
    assert json.loads((tmp_path / "mine" / "gpu_cpu.json").read_text())["dry_run"]
    assert (tmp_path / "mine" / "gpu_cpu.md").read_text().startswith("# Measured on: CPU")


def test_targets_are_held_against_what_was_measured() -> None:
    seconds = {"base": 1.0, "lora": 2.0, "fourierft": 5.0, "c3a": 5.0, "cdvft": 1.8}
    layer = {"d_in": 768, "d_out": 768, "tokens": 8192, "dtype": "torch.bfloat16", "seconds": seconds}
    step = {"title": "RoBERTa", "seconds": {"lora": 1.0, "cdvft": 0.99}}
    assert targets({"layers": [layer, {**layer, "tokens": 256}], "steps": [step]}) == [
        ["added time at 768, over lora's", 0.7, "0.80", "missed"],
        ["added time at 768, over fourierft's", 0.25, "0.20", "met"],
        ["added time at 768, over c3a's", 0.25, "0.20", "met"],
        ["step of RoBERTa, over lora's", 1.0, "0.99", "met"],
    ]


def test_steps_are_captured_on_cuda_where_a_method_can_be(monkeypatch: pytest.MonkeyPatch) -> None:
    def captured(run, device):
        if run() == "waits":
            raise RuntimeError("operation not permitted when stream is capturing")
        return lambda: "replayed"

    monkeypatch.setattr(device_clock, "captured", captured)
    steps = {"lora": lambda: "launches", "c3a": lambda: "waits"}
    part = gpu.Part(torch.device("cuda"), seconds=0)
    assert {name: run() for name, run in part._captured(steps).items()} == {"lora, captured": "replayed"}
    assert gpu.Part(torch.device("cpu"), seconds=0)._captured(steps) == {}


def test_what_can_be_trained_is_raced_one_recipe_with_compiled_steps_too_and_what_fails_is_told(
    record: dict, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    def raced(recipe: str, method: str, seed: int, torch_compile: bool) -> dict:
        resolve(RunSettings(recipe=recipe, method=method, seed=seed, torch_compile=torch_compile))
        if method == "c3a":
            raise RuntimeError("out of memory")
        numbers = dict.fromkeys(("metric_name", "metric", "seconds", "examples_per_second"), seed)
        return {"recipe": recipe, "method": method, "settings": {"torch_compile": torch_compile}, **numbers}

    monkeypatch.setattr(gpu, "race", raced)
    runs = gpu.Part(torch.device("cuda"), seconds=0).race()
    told = [(run["recipe"], run["settings"]["torch_compile"]) for run in runs if run["method"] == "lora"]
    assert told == [("sentiment", False), ("addresses", False), ("sentiment", True)]
    assert [run["method"] for run in runs if run["recipe"] == "addresses"] == ["cdvft", "lora", "fourierft"]
    assert capsys.readouterr().out.count("c3a on addresses has failed: out of memory") == 1
    assert "| sentiment | lora | 0 | 0 | 0 | 0 | True |" in markdown({**record, "race": runs})
    assert gpu.Part(torch.device("cpu"), seconds=0).race() == []


def test_a_part_that_fails_costs_no_other_part(monkeypatch: pytest.MonkeyPatch) -> None:
    def out_of_memory(_: gpu.Part) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory.")

    monkeypatch.setattr(gpu.Part, "layers", out_of_memory)
    found = gpu.measure(torch.device("cpu"), ["layers", "launches"], seconds=0)
    assert found["failed"] == {"layers": "CUDA out of memory."}
    assert found["launches"] and "layers" not in found
    assert "**layers has failed: CUDA out of memory.**" in markdown(found)


def test_launches_are_counted_on_the_device_not_on_the_host(monkeypatch: pytest.MonkeyPatch) -> None:
    told = [
        *((name, DeviceType.CPU) for name in ("cudaLaunchKernel", "cuLaunchKernel", "cudaDeviceSynchronize")),
        *((name, DeviceType.CUDA) for name in ("sgemm", "product_kernel", "Memset (Device)")),
    ]
    events = [SimpleNamespace(name=name, device_type=where) for name, where in told]
    profile = nullcontext(SimpleNamespace(events=lambda: events))
    monkeypatch.setattr(torch.profiler, "profile", lambda **_: profile)
    monkeypatch.setattr(torch.cuda, "synchronize", lambda _: None)
    assert device_clock.launches(lambda: None, torch.device("cuda")) == 2


def test_every_call_of_a_decoder_is_one_token_after_the_same_prompt() -> None:
    model = decoding.model(layers=1, vocabulary=64)
    step = decoding.decoder(model)
    seen: list[tuple[int, int]] = []

    def look(_: object, args: object, given: dict) -> None:
        seen.append((given["input_ids"].shape[1], given["past_key_values"].get_seq_length()))

    model.register_forward_pre_hook(look, with_kwargs=True)
    for _ in range(40):
        step()
    assert seen == [(1, decoding.PROMPT)] * 40


def test_every_kind_of_device_has_its_own_record_and_is_verified_only_after_its_tests(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    verified: list[str] = []
    monkeypatch.setattr(allowed_engines, "record_verified", verified.append)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda _: "A card")
    monkeypatch.setattr(gpu, "measure", lambda *_: {"device": {"name": "NVIDIA H100 80GB HBM3"}})
    monkeypatch.setattr(gpu, "markdown", lambda _: "")
    asked = ["gpu", "--device", "cuda", "--to", str(tmp_path)]
    monkeypatch.setattr("sys.argv", asked)
    gpu.main()
    assert verified == []
    monkeypatch.setattr("sys.argv", [*asked, "--tested"])
    gpu.main()
    assert verified == ["A card"]
    assert {file.stem for file in tmp_path.iterdir()} == {"gpu_nvidia_h100_80gb_hbm3"}


def test_the_page_gets_what_a_device_was_measured_on(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    seconds = {"base": 30e-6, "cdvft": 50e-6}
    seconds |= {"cdvft, fused, transforms": 60e-6, "cdvft, fused, merged": 50e-6}
    layer = {"d_in": 768, "d_out": 768, "tokens": 2048, "dtype": "torch.bfloat16", "seconds": seconds}
    record = {"device": {"name": "NVIDIA H100 PCIe"}, "layers": [{**layer, "title": "768"}]}
    page = tmp_path / "gpu.json"
    page.write_text(json.dumps(gpu.for_the_page(record)))
    monkeypatch.setattr(roofline, "FILE", page)
    asked = {"model": "roberta-base", "methods": ["cdvft"], "batch": 16, "sequence": 128}
    shown = roofline.roofline(parse_cost(asked))
    assert [engine["measured"] for engine in shown["engines"]] == [30e-6, 60e-6, 50e-6]
    assert shown["measured_on"].startswith("Measured on: NVIDIA H100 PCIe, 20")
    for change, said in (
        ({"device": "l4"}, "and no L4 (24 GB)."),  # whose limit is no limit of an H100's times
        ({"sequence": 1}, "but not on 768 → 768 with 16 tokens."),
    ):
        other = roofline.roofline(parse_cost(asked | change))
        assert [engine["measured"] for engine in other["engines"]] == [None] * 3
        assert other["unmeasured"] == f"NVIDIA H100 PCIe was measured, {said}"
