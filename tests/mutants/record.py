"""Write down which changes no test noticed, and fail where it is one in ten or more.

A file whose changes were not all tried keeps what was recorded of it before; one that is gone, or no longer
changed, is left out.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

try:
    import tomllib
except ModuleNotFoundError:  # before Python 3.11; pytest brings it there
    import tomli as tomllib

ROOT = Path(__file__).parents[2]
RECORD = ROOT / "benchmarks" / "results" / "mutants.json"
SETTINGS = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["mutmut"]
MAX_SURVIVORS = 0.1
KILLED = {1, 3, 24, 36, 152, 255, -24, -9}  # a test failed, or the change never came to an end


def mutated() -> set[str]:
    """The files that are changed."""
    found = (path for pattern in SETTINGS["only_mutate"] for path in ROOT.glob(pattern))
    return {path.relative_to(ROOT).as_posix() for path in found}


def diff(mutant: str, path: Path) -> list[str]:
    """The changed lines of one mutant of the source at `path`."""
    from mutmut.mutation.diff_apply import get_diff_for_mutant

    lines = get_diff_for_mutant(mutant, path=path).splitlines()
    return [line for line in lines if line[:1] in ("-", "+") and line[:3] not in ("---", "+++")]


def main() -> None:
    recorded = json.loads(RECORD.read_text()) if RECORD.is_file() else {}
    for meta in sorted(Path("mutants").rglob("*.meta")):
        codes = json.loads(meta.read_text())["exit_code_by_key"]
        if codes and None not in codes.values():
            alive = [mutant for mutant, code in codes.items() if code not in KILLED]
            path = meta.relative_to("mutants").with_suffix("")
            recorded[str(path)] = {
                "mutants": len(codes),
                "survivors": {mutant: diff(mutant, path) for mutant in alive},
            }
    recorded = {path: of_file for path, of_file in recorded.items() if path in mutated()}
    RECORD.write_text(json.dumps(recorded, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    made = sum(file["mutants"] for file in recorded.values())
    alive = sum(len(file["survivors"]) for file in recorded.values())
    print(f"{alive} of {made} mutants survive ({100 * alive / made:.1f} %); see {RECORD.name}.")
    sys.exit(alive >= MAX_SURVIVORS * made)


if __name__ == "__main__":
    main()
