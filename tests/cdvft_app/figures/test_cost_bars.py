"""Bars of cost: logarithmic, in order, with the baseline, and nothing where there is nothing."""

import pytest

from cdvft_app.figures.cost_bars import Bar, figure

BARS = [
    Bar("cdvft", "CDVFT", 55_296, "55,296", "0.045 % of the model"),
    Bar("lora", "LoRA", 294_912, "294,912", "", low=290_000, high=300_000),
    Bar("head", "Head only", 0, "0", ""),
    Bar(None, "Frozen model", 124_055_040, "124,055,040", ""),
]


def test_bars_stand_in_order_on_a_log_axis():
    drawn = figure(BARS, "Parameters")
    assert drawn is not None
    assert [trace["name"] for trace in drawn["data"]] == ["CDVFT", "LoRA", "Frozen model"]
    assert drawn["layout"]["xaxis"]["type"] == "log"
    low, high = drawn["layout"]["xaxis"]["range"]
    assert 10**low < 55_296 and 10**high > 124_055_040
    assert drawn["layout"]["shapes"][0]["x0"] == 124_055_040
    assert drawn["data"][0]["marker"]["color"] == "var(--method-cdvft)"
    assert drawn["data"][1]["error_x"]["array"] == [5_088]
    assert [trace["text"] == [""] for trace in drawn["data"]] == [False, True, False]
    (beyond,) = drawn["layout"]["annotations"]  # where a whisker stands in the text's place
    assert beyond["y"] == "LoRA" and 10 ** beyond["x"] == pytest.approx(300_000)


def test_nothing_to_draw():
    assert figure([], "Step time") is None
    assert figure(BARS[3:], "Parameters") is None
