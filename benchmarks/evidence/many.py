"""Doubt: does it matter how small an adapter is, when all are small?"""

from __future__ import annotations

from benchmarks.evidence.drawing import axis, figure, name_of_y, of_machine, of_method, read, thin_line
from cdvft_app.format import amount
from cdvft_app.methods import METHODS
from cdvft_app.payloads.compare import EvidenceFigure

COLUMNS = {
    "tensor_bytes": "Bytes of tensors",
    "memory_bytes": "Process grew by, bytes",
    "bytes": "Bytes of files",
    "disk_bytes": "Bytes of disk blocks",
    "load_cpu_seconds": "CPU seconds to read all",
}


def many_adapters() -> EvidenceFigure:
    """The memory of 1, 100 and 10,000 adapters of one base, and the time to read and switch one."""
    record = read("adapters_at_once.json")
    methods = record["methods"]
    counts = [int(count) for count in next(iter(methods.values()))["counts"]]
    data = [thin_line([counts[0], counts[-1]], [record["base_bytes"]] * 2)]
    rows = []
    for method, own in methods.items():
        held = [own["counts"][str(count)]["tensor_bytes"] for count in counts]
        data.append(
            of_method(
                method,
                counts,
                held,
                "lines+markers",
                text=[amount("bytes", one) for one in held],
                hovertemplate=f"{own['label']}, %{{x}} adapters: %{{text}}<extra></extra>",
            )
        )
        rows += [
            [own["label"], count, *(found[one] for one in COLUMNS)]
            for count, found in ((count, own["counts"][str(count)]) for count in counts)
        ]  # fmt: skip
    most = str(counts[-1])
    grown = {
        METHODS[name].title: amount("bytes", own["counts"][most]["memory_bytes"])
        for name, own in methods.items()
    }
    sizes = ", ".join(f"{name} {size}" for name, size in grown.items())
    return {
        "key": "many",
        "doubt": "Do smaller files matter?",
        "answer": f"One no; {counts[-1]:,} do: {sizes}.",
        "figure": figure(
            data,
            axis("adapters", log=True),
            axis("", log=True) | {"dtick": 2},
            annotations=[name_of_y("bytes")],
        ),
        "label": "Memory of many adapters of one base",
        "methods": list(methods),
        "behind": [
            "The answer is by how much the process grew; drawn are the bytes of the tensors alone.",
            f"{record['base']}; the dotted line is the base itself, {amount('bytes', record['base_bytes'])}.",
            timed(record, "load", "Reading one"),
            timed(record, "switch", "Switching to one"),
            "A file also has a header and a folder with PEFT's settings: what the disk sets apart for it is "
            "more than its numbers.",
        ],
        "columns": ["Method", "Adapters", *COLUMNS.values()],
        "rows": rows,
        "source": f"{record['date']}, {of_machine(record['machine'])}",
        "command": record["command"],
        "again": [],
    }  # fmt: skip


def timed(record: dict, what: str, noun: str) -> str:
    """Medians of turns in one run, and the others' ratios to CDVFT's."""
    seconds, ratios = record[what]["seconds"], record[what]["over_cdvft"]
    others = ", ".join(
        f"{record['methods'][name]['label']} {ratio['median']:.2f} × that"
        for name, ratio in ratios.items()
        if name != "cdvft"
    )
    ours = f"{1e3 * seconds['cdvft']:.2f} ms for CDVFT"
    return f"{noun} takes {ours}, {others} (medians of {record[what]['rounds']} turns in one run)."
