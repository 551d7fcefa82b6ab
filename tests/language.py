"""Check the language of the project: test names, commit subjects, and prose that tests repeat.

    python tests/language.py                 # all checks, as `make check` runs them
    python tests/language.py --lower         # store today's lower counts in language.json
    python tests/language.py --list          # print each long test name and each repeated sentence
    python tests/language.py --message FILE  # check one commit message (the commit-msg hook)

`language.json` stores, per folder of tests, how many long names and repeated sentences are left from the time
before these rules. A count may only fall. It also holds the verbs that a commit subject may begin with, and
the commit after which subjects are checked.
"""

from __future__ import annotations

import argparse
import ast
import json
import re
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
RULES = ROOT / "tests" / "language.json"
MAX_NAME = 60
MAX_SUBJECT = 72
MIN_WORDS = 4
PROGRAM = ("cdvft", "cdvft_app", "assets/js", "benchmarks", "app.py")
SENTENCE = re.compile(rf"\w+(?:\W+\w+){{{MIN_WORDS - 1},}}")


def files(*places: str, suffixes: tuple[str, ...]) -> list[Path]:
    names = subprocess.run(
        ["git", "ls-files", "-z", *places], cwd=ROOT, capture_output=True, check=True
    ).stdout
    paths = [ROOT / name for name in names.decode().split("\0") if name.endswith(suffixes)]
    return [path for path in paths if path.is_file()]


def folder_of(path: Path) -> str:
    return "/".join(path.relative_to(ROOT).parent.parts[:3])


def literals(tree: ast.AST) -> Iterator[str]:
    """Yield the string literals of a module, docstrings excluded, pieces of f-strings included."""
    docstrings = {
        id(node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings:
            yield node.value


def long_names(tree: ast.AST) -> list[str]:
    functions = (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))
    return [node.name for node in functions if node.name.startswith("test_") and len(node.name) > MAX_NAME]


def program_text() -> str:
    """Return all literals of the program, and its scripts and data whole, one after the other."""
    texts = [path.read_text() for path in files(*PROGRAM, suffixes=(".js", ".json", ".jinja", ".md"))]
    for path in files(*PROGRAM, suffixes=(".py",)):
        texts += literals(ast.parse(path.read_text()))
    return "\0".join(texts)


def repeated(tree: ast.AST, program: str) -> list[str]:
    """Return the literals of four or more words that also occur in the program."""
    prose = (text.strip() for text in literals(tree) if SENTENCE.search(text))
    return [text for text in prose if " " in text and text in program]


def subject_errors(subject: str, verbs: set[str]) -> list[str]:
    errors = []
    if len(subject) > MAX_SUBJECT:
        errors.append(f"has {len(subject)} characters (limit {MAX_SUBJECT})")
    if ";" in subject:
        errors.append("contains a semicolon")
    if subject.partition(" ")[0] not in verbs:
        errors.append("does not begin with a verb of tests/language.json")
    return errors


def check_subjects(subjects: list[str], verbs: set[str]) -> list[str]:
    return [
        f"Commit subject {subject!r} {error}."
        for subject in subjects
        for error in subject_errors(subject, verbs)
    ]


def recent_subjects(base: str) -> list[str]:
    """Return the subjects after `base`, or of the last commit where the clone is too shallow to know it."""
    known = subprocess.run(["git", "cat-file", "-e", base], cwd=ROOT, capture_output=True, check=False)
    which = ["-1"] if known.returncode else [f"{base}..HEAD"]
    command = ["git", "log", "--no-merges", "--format=%s", *which]
    return subprocess.run(command, cwd=ROOT, capture_output=True, check=True, text=True).stdout.splitlines()


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--message", type=Path, metavar="FILE", help="check one commit message")
    parser.add_argument("--lower", action="store_true", help="store lower counts")
    parser.add_argument("--list", action="store_true", help="print each finding")
    options = parser.parse_args()
    rules = json.loads(RULES.read_text())
    verbs = set(rules["verbs"])
    if options.message:
        errors = check_subjects(options.message.read_text().splitlines()[:1], verbs)
        print(*errors, sep="\n", end="\n" if errors else "")
        return bool(errors)

    program = program_text()
    counts: dict[str, dict[str, int]] = {"long_names": defaultdict(int), "repeated": defaultdict(int)}
    for path in files("tests", suffixes=(".py",)):
        tree = ast.parse(path.read_text())
        for kind, found in (("long_names", long_names(tree)), ("repeated", repeated(tree, program))):
            counts[kind][folder_of(path)] += len(found)
            if options.list:
                print(
                    *(f"{path.relative_to(ROOT)}: {text!r}" for text in found),
                    sep="\n",
                    end="\n" if found else "",
                )
    errors = check_subjects(recent_subjects(rules["checked_after"]), verbs)
    for kind, folders in counts.items():
        for folder, count in sorted(folders.items()):
            if count > rules[kind].get(folder, 0):
                limit = rules[kind].get(folder, 0)
                errors.append(f"{folder}: {count} {kind.replace('_', ' ')} (limit {limit}). Run with --list.")
    if options.lower:
        for kind, folders in counts.items():
            lower = {name: min(count, rules[kind].get(name, 0)) for name, count in sorted(folders.items())}
            rules[kind] = {name: count for name, count in lower.items() if count}
        RULES.write_text(json.dumps(rules, indent=1) + "\n")
    else:
        print(*errors, sep="\n", end="\n" if errors else "")
    return bool(errors) and not options.lower


if __name__ == "__main__":
    sys.exit(main())
