"""Values that no number, text or list of a request is thought to be, by name."""

from __future__ import annotations

import json
from typing import Any

DEEP = 10_000


HOSTILE: dict[str, Any] = {
    "2**63": 2**63,
    "2**70": 2**70,
    "-1": -1,
    "-2**63": -(2**63),
    "NaN": float("nan"),
    "infinity": float("inf"),
    "1e400": "@1e400@",
    "half": 0.5,
    "5000 digits": f"@{'9' * 5000}@",
    "long text": "x" * 200_000,
    "surrogate": "\ud800",
    "zero byte": "\x00",
    "none": None,
    "true": True,
    "list": [[{}]],
    "object": {"a": []},
    "nested": f"@{'[' * DEEP}{']' * DEEP}@",
}


def written(value: object) -> str:
    """JSON of it; what stands between "@ and @" goes in as it is."""
    return json.dumps(value).replace('"@', "").replace('@"', "")
