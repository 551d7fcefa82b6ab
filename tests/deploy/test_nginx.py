"""nginx hands on what the server takes, and the name and address that the server goes by."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from sources import ROOT

from cdvft_app.ui import incoming

CONFIG = (ROOT / "deploy" / "nginx.conf").read_text(encoding="utf-8")


def test_bodies_that_the_server_takes_are_handed_on() -> None:
    (megabytes,) = re.findall(r"client_max_body_size (\d+)m;", CONFIG)
    assert int(megabytes) * 2**20 >= incoming.MAX_UPLOADED >= 64_000_000


def test_the_port_that_was_asked_for_is_handed_on() -> None:
    assert re.findall(r"proxy_set_header Host (\S+);", CONFIG) == ["$http_host"]


@pytest.mark.skipif(not shutil.which("nginx"), reason="needs nginx")
def test_nginx_takes_it(tmp_path: Path) -> None:
    whole = (
        f"pid {tmp_path}/pid; error_log stderr; events {{}} http {{ access_log off; server {{ {CONFIG} }} }}"
    )
    (tmp_path / "nginx.conf").write_text(whole)
    asked = ["nginx", "-t", "-c", str(tmp_path / "nginx.conf"), "-p", str(tmp_path)]
    checked = subprocess.run(asked, check=False, capture_output=True, text=True, timeout=30)
    assert checked.returncode == 0, checked.stderr
