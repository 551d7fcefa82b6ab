"""The recorded speeds as Markdown tables, and whether they reach the targets."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Entry = dict[str, Any]

# What is compared, the largest ratio aimed at, and where: float32 on the CPU.
LAYER_TARGETS: tuple[tuple[str, float, Callable[[Entry], bool]], ...] = (
    ("cdvft / base", 1.12, lambda e: e["tokens"] >= 2048 and e["d_in"] >= 768),
    ("cdvft / lora", 0.95, lambda e: e["tokens"] >= 2048 and e["d_in"] >= 768),
    ("cdvft / fourierft", 0.42, lambda e: e["tokens"] >= 2048 and e["d_in"] >= 768),
    ("cdvft / c3a", 0.5, lambda e: e["tokens"] >= 2048 and e["d_in"] >= 768),
    ("cdvft / lora", 1.2, lambda e: e["tokens"] == 256 and e["d_in"] >= 768),
)
STEP_TARGETS = (
    ("cdvft / frozen", 1.03),
    ("cdvft / lora", 1.0),
    ("cdvft / fourierft", 0.87),
    ("cdvft / c3a", 0.92),
)


def verdicts(record: dict[str, Any]) -> list[dict[str, Any]]:
    """Every target, the worst case of default block size and m = 2, and the cases that miss it.

    A missed case also says what a method that adds nothing to the frozen layer would reach there: where that
    is above the target, no adapter can meet it on that machine.
    """
    plain = [e for e in record["layers"] if e["block_size"] is None and e["m"] == 2]
    found = []
    for ratio, limit, where in LAYER_TARGETS:
        found.append(_verdict("layer", ratio, limit, [e for e in plain if where(e)]))
    for ratio, limit in STEP_TARGETS:
        found.append(_verdict("step", ratio, limit, record["steps"]))
    saved = [e["saved_bytes_per_token"]["cdvft"] for e in record["memory"]]
    found.append(_summed("memory", "bytes saved a token beyond x", 0, saved, []))
    return found


def _verdict(part: str, ratio: str, limit: float, entries: list[Entry]) -> dict[str, Any]:
    rival = ratio.removeprefix("cdvft / ")
    values = [e["ratios"][ratio]["median"] for e in entries]
    missed = [
        {"case": name_of_case(e), "ratio": value, "free": _free(e, rival)}
        for e, value in zip(entries, values, strict=True)
        if value > limit
    ]
    return _summed(part, ratio, limit, values, missed)


def _summed(
    part: str, what: str, limit: float, values: list[float], missed: list[dict[str, Any]]
) -> dict[str, Any]:
    worst = max(values, default=None)
    return {
        "part": part, "what": what, "at_most": limit, "cases": len(values), "worst": worst, "missed": missed
    }  # fmt: skip


def _free(entry: Entry, rival: str) -> float:
    """The frozen layer's time over the rival's."""
    seconds = entry["seconds"]
    return round(next(iter(seconds.values())) / seconds[rival], 3)


def name_of_case(e: Entry) -> str:
    tokens = f", {e['tokens']} tokens" if "tokens" in e else ""
    return f"{e['title']}{tokens}, {e['threads']} threads"


def markdown(record: dict[str, Any]) -> str:
    machine = record["machine"]
    later = "".join(
        f" Anew, at a load of {one['load']}: layers of `--only '{one['only']}' --threads "
        f"{' '.join(map(str, one['threads']))}`."
        for one in record.get("measured_anew", ())
    )
    lines = [
        "# Speed, side by side",
        "",
        f"{machine['cpu']}, {machine['cores']} cores, {machine['instructions']}, torch "
        f"{machine['torch']}, "
        "float32. Medians of ratios within rounds, quartiles in brackets. Measured again by `python -m "
        f"benchmarks.speed` in {record['minutes']} minutes.{later}",
    ]
    for threads in record["threads"]:
        entries = [e for e in record["layers"] if e["threads"] == threads]
        lines += ["", f"## One layer, forward and backward, {threads} thread{'s' * (threads > 1)}", ""]
        lines += table(
            [
                "layer",
                "tokens",
                "frozen, ms",
                "LoRA / frozen",
                "CDVFT / frozen",
                "/ LoRA",
                "/ FourierFT",
                "/ C3A",
            ],
            [
                [
                    e["title"],
                    e["tokens"],
                    f"{1e3 * e['seconds']['base']:.2f}",
                    _ratio(e, "lora / base"),
                    *(_ratio(e, f"cdvft / {other}") for other in ("base", "lora", "fourierft", "c3a")),
                ]
                for e in entries
            ],
        )
        ways = [e for e in entries if "cdvft, no compiler" in e["seconds"]]
        lines += ["", "Ways of CDVFT over the frozen layer:", ""]
        names = [name for name in (ways[0]["seconds"] if ways else ()) if name.startswith("cdvft")]
        lines += table(
            ["layer", "tokens", *("chosen" if n == "cdvft" else n.removeprefix("cdvft, ") for n in names)],
            [[e["title"], e["tokens"], *(_ratio(e, f"{n} / base") for n in names)] for e in ways],
        )
    lines += ["", "## Training steps", ""]
    lines += table(
        ["model", "threads", "LoRA / frozen", "CDVFT / frozen", "/ LoRA", "/ FourierFT", "/ C3A"],
        [
            [
                e["title"],
                e["threads"],
                _ratio(e, "lora / frozen"),
                *(_ratio(e, f"cdvft / {other}") for other in ("frozen", "lora", "fourierft", "c3a")),
            ]
            for e in record["steps"]
        ],
    )
    lines += ["", "## Memory of one pass, 512 tokens: bytes kept a token beyond the input; peak in MB", ""]
    lines += table(
        ["width", *record["memory"][0]["peak_bytes"]],
        [
            [
                e["d_in"],
                *(
                    f"{e['saved_bytes_per_token'][m]:.0f}; {(peak or 0) / 1e6:.2f}"
                    for m, peak in e["peak_bytes"].items()
                ),
            ]
            for e in record["memory"]
        ],
    )
    lines += ["", "## What CDVFT adds to a layer, microseconds a token, 1 thread", ""]
    lines += table(
        ["layer", "tokens", "frozen", "1.12 allows", "W + alpha dW", "gradients", "in cache", "a call"],
        [
            [
                e["title"],
                e["tokens"],
                e["frozen"],
                f"{0.12 * e['frozen']:.3f}",
                e["merging"],
                e["gradients"],
                e["in_cache"],
                e["call"],
            ]
            for e in record["parts"]
        ],
    )  # fmt: skip
    if record["growth"]:
        lines += ["", "## Growth: exponents of the added time (of the whole time for the frozen layer)", ""]
        lines += table(
            ["with", "threads", *record["growth"][0]["exponents"]],
            [[g["with"], g["threads"], *g["exponents"].values()] for g in record["growth"]],
        )
    lines += ["", "## Where the cost model chose a slower way", ""]
    lines += [
        f"- {name_of_case(miss)}: {miss['best']} was faster, by {miss['loss']}"
        for miss in record["slower_choices"]
    ] or ["Nowhere by more than 3 %."]
    lines += ["", "## Targets", ""]
    lines += table(
        ["part", "ratio", "at most", "cases", "worst", "missed (and what adding nothing would give)"],
        [
            [
                t["part"],
                t["what"],
                t["at_most"],
                t["cases"],
                t["worst"],
                "; ".join(f"{n['case']}: {n['ratio']} ({n['free']})" for n in t["missed"]) or "none",
            ]
            for t in record["targets"]
        ],
    )
    return "\n".join(lines) + "\n"


def _ratio(entry: Entry, name: str) -> str:
    ratio = entry["ratios"][name]
    return f"{ratio['median']:.3f} [{ratio['low']:.2f}, {ratio['high']:.2f}]"


def table(head: list[str], rows: list[list[Any]]) -> list[str]:
    cells = [head, ["---"] * len(head), *rows]
    return ["| " + " | ".join(str(c) for c in row) + " |" for row in cells]
