"""The method to take for what matters most, and the reason for it in a clause."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from cdvft_app.costs.quantities import Row, amount, times
from cdvft_app.costs.request import Aim
from cdvft_app.costs.sentences import label, least
from cdvft_app.decision.fit import Fit
from cdvft_app.decision.quality import Quality
from cdvft_app.decision.seconds import Seconds

MANY = 100  # adapters that are held at once
_FLOAT32 = 4


@dataclass(frozen=True)
class Choice:
    """`because` goes on after "LoRA r = 8 for ...: ". `says_file`: the clause is about the file already."""

    row: Row
    because: str
    says_file: bool = False


@dataclass(frozen=True)
class Known:
    """What a choice can go by, of the rows that fit: by method, and what was recorded on runs like it."""

    fits: Mapping[str, Fit]
    seconds: Mapping[str, Seconds]
    quality: Quality


def choose(aim: Aim, rows: Sequence[Row], known: Known) -> Choice:
    """Of rows that are adapters and fit; there is at least one."""
    return _BY_AIM[aim](rows, known)


def rival(row: Row, rows: Sequence[Row]) -> Row | None:
    """Whom the chosen one is set against: CDVFT, or LoRA for CDVFT, or the next; None where it is alone."""
    others = [one for one in rows if one is not row]
    wanted = [key for key in ("cdvft", "lora") if key != row["method"]]
    ranked = sorted(others, key=lambda one: wanted.index(one["method"]) if one["method"] in wanted else 9)
    return ranked[0] if ranked else None


def times_smaller(row: Row, other: Row) -> str:
    """LoRA's file is 5.33 times larger, of a row's file beside another's."""
    ratio = other["adapter_bytes"] / row["adapter_bytes"]
    if 0.985 < ratio < 1.015:
        return "as large"
    return f"{times(ratio)} times larger" if ratio > 1 else f"{times(1 / ratio)} times smaller"


def _file(rows: Sequence[Row], known: Known) -> Choice:
    row = min(rows, key=lambda one: one["adapter_bytes"])
    other = rival(row, rows)
    size = f"its file has {amount('bytes', row['adapter_bytes'])}"
    if other is None:
        return Choice(row, size, says_file=True)
    return Choice(row, f"{size}, {label(other)}'s is {times_smaller(row, other)}", says_file=True)


def _memory(rows: Sequence[Row], known: Known) -> Choice:
    totals = {row["method"]: known.fits[row["method"]].memory.total for row in rows}
    leanest = least(rows, lambda row: totals[row["method"]])
    needs = amount("bytes", totals[leanest[0]["method"]])
    if len(leanest) > 1:
        row = min(leanest, key=lambda one: one["adapter_bytes"])
        who = "all" if len(leanest) == len(rows) else f"{len(leanest)} of them"
        return Choice(row, f"{who} need about {needs}, so the smaller file decides")
    return Choice(leanest[0], f"its step needs the least memory, {needs}")


def _time(rows: Sequence[Row], known: Known) -> Choice:
    timed = [row for row in rows if row["method"] in known.seconds]
    if len(timed) == len(rows) > 1 and all(known.seconds[row["method"]].measured for row in rows):
        row = min(rows, key=lambda one: known.seconds[one["method"]].value)
        return Choice(row, "its step is the shortest that was measured here")
    lightest = least(rows, lambda row: row["flops_per_step"])
    row = min(lightest, key=lambda one: one["adapter_bytes"])
    return Choice(row, "it adds the fewest FLOPs, which is a hint and no time")


def _many(rows: Sequence[Row], known: Known) -> Choice:
    light = [row for row in rows if not builds_dense(row)] or [*rows]
    row = min(light, key=lambda one: one["trainable_parameters"])
    held = amount("bytes", MANY * _FLOAT32 * row["trainable_parameters"])
    return Choice(row, f"{MANY} of its adapters take {held} in memory")


def builds_dense(row: Row) -> bool:
    """Whether a step computes something as large as the layers for each adapter, as FourierFT and DoRA do."""
    return row["forward_flops_fixed"] > row["adapted_weights"]


def _quality(rows: Sequence[Row], known: Known) -> Choice:
    best = [row for row in rows if row["method"] == known.quality.ahead]
    if best:
        return Choice(best[0], known.quality.clause)
    raced = [row for row in rows if row["method"] in known.quality.raced]
    row = min(raced or rows, key=lambda one: one["adapter_bytes"])
    return Choice(row, f"{known.quality.clause}, so the smaller file decides")


_BY_AIM: Mapping[Aim, Callable[[Sequence[Row], Known], Choice]] = {
    "file": _file,
    "memory": _memory,
    "time": _time,
    "many": _many,
    "quality": _quality,
}
