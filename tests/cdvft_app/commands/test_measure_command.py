"""`python -m cdvft_app measure`: what is measured is kept and printed, and failures are sentences."""

from __future__ import annotations

import json

import pytest

from cdvft_app.commands import cost as measure_command
from cdvft_app.measuring.background import MeasuringFailed, device_here
from cdvft_app.store.runs import RunStore

ABOUT = {"method": "lora", "setting": {"lora_r": 8}}
RESULT = {"kind": "result", **ABOUT, "model": "FacebookAI/roberta-base", "targets": ["query", "value"],
          "batch": 16, "sequence": 128, "seconds": 0.5, "low": 0.4, "high": 0.6, "steps": 9, "time": 100.0,
          "forward_seconds": 0.2, "peak_bytes": 10**9, "others": 0.03}  # fmt: skip


@pytest.fixture
def command(monkeypatch, command_line, tmp_path):
    """Runs the command on lines that a measurement would tell; gives exit code, output and complaints."""

    def run(told, *options):
        def measuring(request, line, disturbed):
            for one in told:
                if isinstance(one, Exception):
                    raise one
                yield one

        monkeypatch.setenv("RUNS_DIR", str(tmp_path))
        monkeypatch.setattr(measure_command, "measuring", measuring)
        return command_line("measure", "--model", "roberta-base", "--methods", "cdvft,lora", *options)

    return run


def test_what_is_measured_is_printed_and_kept(command, tmp_path):
    begin = {"kind": "begin", **ABOUT}
    told = [begin, {**RESULT, "device": device_here()}]
    code, output, errors = command(told, "--json")
    ours, lora = json.loads(output)
    assert (code, errors) == (0, "measuring lora lora_r=8\n")
    assert lora["measured_seconds"] == 0.5 and "measured_seconds" not in ours
    assert RunStore(tmp_path).measurements.any()
    _, output, _ = command(told)
    assert "r=8" in output and "400 ms to 600 ms" in output


def test_a_failure_is_a_sentence(command):
    code, output, errors = command([MeasuringFailed("Memory ran out.")])
    assert (code, output, errors) == (1, "", "Memory ran out.\n")
    code, output, errors = command([], "--lora-r", "0")
    assert code == 2 and errors.startswith("--lora-r: got 0") and output == ""
