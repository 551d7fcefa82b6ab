"""A failed test of the page leaves what a person needs to see why."""

from __future__ import annotations

from pathlib import Path

import failures
from studio import Server, Visit
from visitors import Visitors


class Report:
    """Of a test that failed, as far as it is read."""

    longreprtext = "assert 1 == 2"
    sections = (("Captured log call", "the server said this"),)


def test_pages_console_log_and_runs_are_kept(
    server: Server, visit: Visit, visitors: Visitors, tmp_path: Path
) -> None:
    first, second = (visit("gradio_api/app_id", ready="body") for _ in range(2))
    second.evaluate("() => console.log('said on the page')")
    (server.folder / "weights").write_bytes(bytes(6_000_000))
    try:
        failures.keep(tmp_path / "kept", Report(), visitors, server)
    finally:
        (server.folder / "weights").unlink()
    kept = tmp_path / "kept"
    for picture in ("page-0.png", "page-1.png"):
        assert (kept / picture).read_bytes().startswith(b"\x89PNG")
    assert "log: said on the page" in (kept / "console.txt").read_text()
    assert (kept / "failure.txt").read_text() == "assert 1 == 2"
    assert "the server said this" in (kept / "server.log").read_text()
    assert (kept / "runs" / "history.sqlite").is_file() and not (kept / "runs" / "weights").exists()
    assert first.is_visible("body")
