"""What is shipped, under which licences, and what is known to be weak in it.

make audit   # writes build/audit/sbom.cdx.json and licences.md

Ends with 1 for a weakness, with 2 where nobody could be asked. The SBOM (CycloneDX) and the licences need no
network; weaknesses are asked of PyPI's and npm's advisory services.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
LOCK = ROOT / "requirements.lock"
WEAK, NOT_ASKED = 1, 2


def locked(text: str) -> list[str]:
    """Names of the packages in a lock file."""
    return sorted(set(re.findall(r"^([A-Za-z0-9_.-]+)==", text, flags=re.MULTILINE)))


def licence(told: metadata.PackageMetadata) -> str:
    """By the field that came last into the standard, else by the older ones; the first line is its name."""
    if expression := told.get("License-Expression"):
        return expression
    classified = [one for one in told.get_all("Classifier", []) if one.startswith("License ::")]
    named = [one.rpartition(" :: ")[2] for one in classified]
    free = (told.get("License") or "").strip().partition("\n")[0]
    return "; ".join(named) or free or "not stated"


def licences() -> Iterator[str]:
    from cdvft_app import catalog

    yield "# Licences of what is shipped\n"
    yield "The studio itself: Apache-2.0.\n\n## Packages of requirements.lock\n"
    yield "| package | version | licence |\n|---|---|---|"
    for name in locked(LOCK.read_text(encoding="utf-8")):
        try:
            told = metadata.metadata(name)
        except metadata.PackageNotFoundError:  # of another platform or Python
            yield f"| {name} | | not installed here |"
            continue
        yield f"| {name} | {told['Version']} | {licence(told)} |"
    yield "\n## Models and data that recipes fetch or bring along\n\n| what | licence |\n|---|---|"
    for entry in [*catalog.MODELS.values(), *catalog.DATASETS.values()]:
        yield f"| {entry.title} | {entry.licence} |"
    yield "\n## Files beside the program\n\n| folder | licence |\n|---|---|"
    for file in sorted((ROOT / "assets").rglob("LICENSE*")):
        name = file.read_text(encoding="utf-8").strip().splitlines()[0]
        yield f"| {file.parent.relative_to(ROOT)} | {name} |"
    yield "| the rest of assets | Apache-2.0, as the studio |"


def weak_packages(report: str) -> tuple[list[str], list[str]]:
    """Of pip-audit's JSON: a line for each weakness, and the packages that nobody could be asked about."""
    weak, not_asked = [], []
    for package in json.loads(report)["dependencies"]:
        if "skip_reason" in package:
            not_asked.append(package["name"])
        for one in package.get("vulns", ()):
            mended = ", ".join(one["fix_versions"]) or "no version yet"
            weak.append(f"{package['name']} {package['version']}: {one['id']}, mended in {mended}")
    return weak, not_asked


def run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600, check=False)


def audit_packages(tools: Path) -> int:
    told = run(str(tools / "pip-audit"), "--disable-pip", "--require-hashes", "-r", str(LOCK), "-f", "json")
    try:
        weak, not_asked = weak_packages(told.stdout)
    except ValueError:
        print(f"Python packages: NOT CHECKED. {told.stderr.strip()[-300:]}")
        return NOT_ASKED
    for line in weak:
        print(f"WEAK {line}")
    if not_asked:
        some = ", ".join(not_asked[:5])
        print(
            f"Python packages: NOT CHECKED, {len(not_asked)} of them, such as {some}: PyPI's advisory service"
        )
        print("does not answer for them here. Try again where https://pypi.org/pypi/pip/json does.")
    else:
        print(f"Python packages: {len(weak)} weaknesses known.")
    return WEAK if weak else NOT_ASKED if not_asked else 0


def audit_scripts() -> int:
    """The tools that check the page's scripts, and plotly.js, which is shipped as a copy."""
    told = run("npm", "audit", "--package-lock-only", "--json")
    try:
        found = json.loads(told.stdout)["metadata"]["vulnerabilities"]
    except (ValueError, KeyError):
        print(f"npm's packages: NOT CHECKED. {told.stderr.strip()[:200]}")
        return NOT_ASKED
    print(f"npm's packages: {found['total']} weaknesses known.")
    return WEAK if found["total"] else 0


def main() -> None:
    tools, out = Path(sys.argv[1]).resolve(), Path(sys.argv[2]).resolve()
    out.mkdir(parents=True, exist_ok=True)
    (out / "licences.md").write_text("\n".join(licences()) + "\n", encoding="utf-8")
    bill = out / "sbom.cdx.json"
    made = run(
        str(tools / "cyclonedx-py"), "requirements", "--pyproject", "pyproject.toml", "--output-reproducible",
        "--of", "JSON", "-o", str(bill), str(LOCK),
    )  # fmt: skip
    if made.returncode:
        sys.exit(f"The SBOM could not be written: {made.stderr.strip()[-300:]}")
    parts = len(json.loads(bill.read_text(encoding="utf-8"))["components"])
    print(f"{bill}: {parts} packages\n{out / 'licences.md'}")
    ends = {audit_packages(tools), audit_scripts()}
    sys.exit(WEAK if WEAK in ends else NOT_ASKED if NOT_ASKED in ends else 0)


if __name__ == "__main__":
    main()
