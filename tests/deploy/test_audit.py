"""What `make audit` tells: weaknesses, whom it could not ask about, and licences by their names."""

from __future__ import annotations

import json

from deploy import audit


def test_a_package_that_nobody_was_asked_about_is_not_taken_for_sound() -> None:
    report = {
        "dependencies": [
            {"name": "sound", "version": "1.0", "vulns": []},
            {"name": "weak", "version": "2.0", "vulns": [{"id": "PYSEC-1", "fix_versions": ["2.1"]}]},
            {"name": "unknown", "skip_reason": "Dependency not found on PyPI and could not be audited"},
        ]
    }
    weak, not_asked = audit.weak_packages(json.dumps(report))
    assert weak == ["weak 2.0: PYSEC-1, mended in 2.1"] and not_asked == ["unknown"]


def test_every_package_and_every_model_is_in_the_list_of_licences() -> None:
    told = "\n".join(audit.licences())
    lock = audit.locked(audit.LOCK.read_text(encoding="utf-8"))
    assert len(lock) > 50 and all(f"| {name} |" in told for name in lock)
    assert "| SmolLM2-135M-Instruct | Apache-2.0 |" in told and "| assets/wikisql | BSD 3-Clause" in told
