"""Doubt: to which layers and architectures does it apply?"""

from __future__ import annotations

from benchmarks.evidence.drawing import read
from cdvft_app.payloads.compare import EvidenceFigure


def layers_and_architectures() -> EvidenceFigure:
    """Which architectures were wrapped, trained for a step and merged, and which layers are refused."""
    record = read("architectures.json")
    tried = record["architectures"]
    worked = [one for one in tried if one["trained"] and one["merged"]]
    taken = [one["layer"] for one in record["layers"] if one["taken"]]
    refused = [one for one in record["layers"] if not one["taken"]]
    kinds = len({one["kind"].split(",")[0] for one in worked})
    return {
        "key": "reach",
        "doubt": "Which models?",
        "answer": f"{len(worked)} of {len(tried)} architectures.",
        "figure": None,
        "label": "Architectures that were tried",
        "methods": [],
        "behind": [
            f"Linear layers of {kinds} kinds of models. Tiny random models of the classes that pretrained "
            "ones have: wrapped, one step in which every vector must get a gradient, merged, and the outputs "
            "before and after compared.",
            f"Layers that are taken: {'; '.join(taken)}.",
            f"Layers that are refused, with a sentence: {'; '.join(one['layer'] for one in refused)}.",
        ],
        "columns": ["Architecture", "Kind", "Layers adapted", "How many", "Shapes", "Trained", "Merged",
                    "Relative change by merging"],
        "rows": [
            [one["name"], one["kind"], ", ".join(one["targets"]), one["layers"], "; ".join(one["shapes"]),
             "yes" if one["trained"] else "no", "yes" if one["merged"] else "no", one["merge_error"]]
            for one in tried
        ],
        "source": f"{record['date']}, transformers {record['machine']['transformers']}, timm "
        f"{record['machine']['timm']}, torch {record['machine']['torch']}",
        "command": record["command"],
        "again": [],
    }  # fmt: skip
