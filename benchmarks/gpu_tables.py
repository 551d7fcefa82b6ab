"""The record of a GPU as Markdown tables, and whether it reaches the targets."""

from __future__ import annotations

from typing import Any

from benchmarks.tables import table

Entry = dict[str, Any]

ADDED_TARGETS = ((768, "lora", 0.7), (4096, "lora", 1.1), (768, "fourierft", 0.25), (4096, "fourierft", 0.25),
                 (768, "c3a", 0.25), (4096, "c3a", 0.25))  # fmt: skip
"""Width, rival, and the most that CDVFT may add to a frozen layer of what the rival adds."""
TARGET_TOKENS, TARGET_DTYPE = 8192, "torch.bfloat16"
STEP_TARGET = 1.0
"""CDVFT's training step over LoRA's."""


def targets(record: dict[str, Any]) -> list[list[Any]]:
    """Rows of title, target, measured ratio and verdict."""
    found = []
    for width, rival, limit in ADDED_TARGETS:
        for e in record.get("layers", []):
            if (e["d_in"], e["d_out"], e["tokens"], e["dtype"]) == (
                width,
                width,
                TARGET_TOKENS,
                TARGET_DTYPE,
            ):
                added = {name: seconds - e["seconds"]["base"] for name, seconds in e["seconds"].items()}
                ratio = added["cdvft"] / added[rival] if added[rival] > 0 else float("inf")
                found.append([f"added time at {width}, over {rival}'s", limit, ratio])
    for e in record.get("steps", []):
        ratio = e["seconds"]["cdvft"] / e["seconds"]["lora"]
        found.append([f"step of {e['title']}, over lora's", STEP_TARGET, ratio])
    return [
        [title, limit, f"{ratio:.2f}", "met" if ratio <= limit else "missed"] for title, limit, ratio in found
    ]


def markdown(record: dict[str, Any]) -> str:
    device = record["device"]
    lines = [f"# Measured on: {device['name']}", ""]
    if record["dry_run"]:
        lines += ["**A dry run on a CPU: these numbers mean nothing.**", ""]
    described = ", ".join(f"{name} {value}" for name, value in device.items() if name != "name")
    lines += [
        f"torch {record['machine']['torch']}{', ' + described if described else ''}. By `python -m "
        f"benchmarks.gpu` in {record['minutes']} minutes; medians of ratios within rounds, quartiles in "
        "brackets.",
    ]
    lines += [f"\n**{part} has failed: {why}**" for part, why in record.get("failed", {}).items()]
    if "layers" in record and not record["dry_run"]:
        lines += ["", "## Targets", ""]
        lines += table(["what", "at most", "measured", ""], targets(record))
    for part, title, reference in (
        ("layers", "One layer, forward and backward, over the frozen one", "base"),
        ("steps", "Training steps, over the frozen model's", "frozen"),
        ("decoding", "A token, over the bare model's", "no adapter"),
    ):
        if record.get(part):
            lines += ["", f"## {title}", "", *_ratios(record[part], reference)]
    if record.get("memory"):
        names = list(record["memory"][0]["peak_bytes"])
        lines += ["", "## Peak of a layer's pass, MB beyond what lay there", ""]
        lines += table(
            ["layer", *names],
            [[_title(e), *(_megabytes(e["peak_bytes"][name]) for name in names)] for e in record["memory"]],
        )
    for e in record.get("launches", []):
        lines += ["", f"## A step of {e['title']}: operators of torch, launches of kernels", ""]
        rows = [[name, c["operators"], c["launches"] or "unknown"] for name, c in e["counts"].items()]
        lines += table(["method", "operators", "launches"], rows)
    if record.get("race"):
        lines += ["", "## Races, seed 0", ""]
        keys = ("recipe", "method", "metric_name", "metric", "seconds", "examples_per_second")
        lines += table(keys, [[run[key] for key in keys] for run in record["race"]])
    lines += ["", "## The device before and after each part", ""]
    lines += [f"- {part}: {state or 'nothing tells'}" for part, state in record["states_after"].items()]
    return "\n".join(lines) + "\n"


def _ratios(entries: list[Entry], reference: str) -> list[str]:
    names = list(dict.fromkeys(name for e in entries for name in e["ratios"]))
    rows = [
        [
            _title(e),
            f"{1e6 * e['seconds'][reference]:.1f}",
            *(_ratio(e["ratios"][name]) if name in e["ratios"] else "" for name in names),
        ]
        for e in entries
    ]
    return table(["", f"{reference}, us", *names], rows)


def _title(e: Entry) -> str:
    return ", ".join(
        [
            e["title"],
            *([f"{e['tokens']} tokens"] if "tokens" in e else []),
            *([e["dtype"]] if "dtype" in e else []),
        ]
    )


def _ratio(ratio: dict[str, float]) -> str:
    return f"{ratio['median']:.2f} [{ratio['low']:.2f}, {ratio['high']:.2f}]"


def _megabytes(amount: int | None) -> str:
    return "unknown" if amount is None else f"{amount / 1e6:.2f}"
