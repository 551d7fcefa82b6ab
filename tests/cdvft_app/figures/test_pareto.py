"""The chart of scores against costs: points by method, the front, ranges, what has no place on a log axis."""

from __future__ import annotations

from cdvft_app.figures.pareto import Mark, figure


def mark(method, x, y, *, front=False, joined=True, low=None):
    return Mark(method, f"{method} {x}", (x, x, x), (y, low or y, y), "<b>told</b>", front, joined)


def test_methods_are_joined_in_the_axis_order_and_the_front_is_ringed():
    marks = [
        mark("lora", 200, 82, front=True),
        mark("lora", 100, 80, front=True),
        mark("lora", 150, 70, joined=False),
        mark("cdvft", 300, 81),
    ]
    drawn = figure(marks, "Parameters", "Accuracy, %", "view")
    front, cdvft, lora, own, theirs = drawn["data"]
    assert (front["x"], front["y"], front["line"]["shape"]) == ([100, 200], [80, 82], "hv")
    assert (lora["x"], lora["line"]["dash"]) == ([100, 200], "6px,3px")
    assert cdvft["line"]["color"] == "var(--method-cdvft)"
    assert (theirs["marker"]["line"]["width"], own["marker"]["line"]["width"]) == ([2, 2, 0], [0])
    assert (drawn["layout"]["xaxis"]["type"], drawn["layout"]["uirevision"]) == ("log", "view")


def test_what_costs_nothing_is_a_level_line():
    assert figure([mark("head", 0, 60)], "x", "y", "v") is None
    drawn = figure([mark("head", 0, 60), mark("cdvft", 100, 80)], "x", "y", "v")
    (line,), (name,) = drawn["layout"]["shapes"], drawn["layout"]["annotations"]
    assert (line["y0"], line["y1"], name["text"]) == (60, 60, "head 0")
    low, high = drawn["layout"]["yaxis"]["range"]
    assert low < 60 and high > 80
