"""What a run is told that has taken as long as it may."""

from __future__ import annotations


def out_of_time(limit: float) -> str:
    return (
        f"Stopped after {limit:.0f} seconds, the limit of this server. Fewer steps, fewer examples or a "
        "smaller model take less; Resume goes on from the last checkpoint."
    )
