"""What `make quick` takes of the tests, and in which order."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from quick import Change, Chosen, Tree, fitting, function_id, functions, is_test, left_out, select
from quick_faults import FAULTS, Fault, commit_all
from sources import ROOT

PROJECT = {
    "app/core.py": "LIMIT = 3",
    "app/use.py": "def used():\n    from app.core import LIMIT",
    "app/other.py": "",
    "app/table.json": "",
    "app/reader.py": "(FOLDER / f'tab{kind}' / 'table.json').read_text()",
    "app/sweep_one.json": "",
    "app/kinds/__init__.py": 'KINDS = [import_module(f"{__name__}.{one}") for one in ("lora",)]',
    "app/kinds/lora.py": "",
    "app/no_package.py": "LOADS = 'import_module(f\"{__name__}.'",
    "tests/app/test_no_package.py": "import app.no_package\ndef test_it(): ...",
    "tests/app/test_kinds.py": "from app.kinds import KINDS\ndef test_kinds(): ...",
    "app/sweeps.py": "read(f'sweep_{name}.json')",
    "assets/js/train/race.js": "import { draw } from '../shared/draw.js';",
    "assets/js/shared/draw.js": "",
    "assets/js/compare/costs.js": "",
    "assets/css/train/race.css": "",
    "assets/css/page/frame.css": "",
    "tests/conftest.py": "",
    "tests/app/conftest.py": "from app.other import fixture",
    "tests/app/test_core.py": "from app.core import LIMIT\ndef test_limit(): assert LIMIT",
    "tests/app/test_use.py": "from app import use\nclass TestUse:\n    def test_used(self): use.used()",
    "tests/app/test_reader.py": "import app.reader\ndef test_table(): ...",
    "tests/app/test_sweeps.py": "from app.sweeps import x\ndef test_sweeps(): ...",
    "tests/test_started.py": "def test_it(): run('-m', 'cdvft_app.commands')",
    "cdvft_app/commands.py": "",
    "tests/browser/opening.py": "def opened(visit): return visit('?tab=compare')",
    "tests/browser/test_compare.py": "from opening import opened\ndef test_compare(): ...",
    "tests/browser/test_race.py": "def test_race(visit): visit()",
}


def chosen(*changed: str, words: str = "") -> list[str]:
    tree = Tree(PROJECT)
    found = select(tree, tree.uses(), Change(frozenset(changed), Counter(words.split())))
    return [one.id.removeprefix("tests/") for one in found]


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ("app/core.py", ["app/test_core.py::test_limit", "app/test_use.py::test_used"]),
        ("app/kinds/lora.py", ["app/test_kinds.py::test_kinds"]),
        ("app/table.json", ["app/test_reader.py::test_table"]),
        ("app/sweep_one.json", ["app/test_sweeps.py::test_sweeps"]),
        ("cdvft_app/commands.py", ["test_started.py::test_it"]),
        ("tests/app/test_use.py", ["app/test_use.py::test_used"]),
        ("assets/js/train/race.js", ["browser/test_race.py::test_race"]),
        ("assets/js/shared/draw.js", ["browser/test_race.py::test_race"]),
        ("assets/js/compare/costs.js", ["browser/test_compare.py::test_compare"]),
        ("assets/css/train/race.css", ["browser/test_race.py::test_race"]),
        ("assets/css/page/frame.css", [
            "browser/test_race.py::test_race", "browser/test_compare.py::test_compare",
        ]),
        ("tests/browser/opening.py", ["browser/test_compare.py::test_compare"]),
        ("README.md", []),
    ],
)  # fmt: skip
def test_a_change_selects_the_tests_that_it_reaches(changed: str, expected: list[str]) -> None:
    assert sorted(chosen(changed)) == sorted(expected)


def test_a_fixture_of_a_folder_selects_the_tests_of_that_folder() -> None:
    assert {one.partition("::")[0] for one in chosen("app/other.py")} == {
        f"app/test_{name}.py" for name in ("core", "use", "reader", "sweeps", "kinds", "no_package")
    }


def test_the_nearest_come_first_and_the_browser_last() -> None:
    order = chosen("app/core.py", "assets/js/train/race.js")
    assert [one.rpartition("::")[2] for one in order] == ["test_limit", "test_used", "test_race"]


def test_among_tests_as_near_those_come_first_that_speak_of_what_changed() -> None:
    tests = "def test_length(): ...\ndef test_of_the_wavelet(): wavelet()\ndef test_width(): ..."
    tree = Tree({"app/core.py": "", "tests/test_numbers.py": f"from app.core import LIMIT\n{tests}"})
    found = select(tree, tree.uses(), Change(frozenset(["app/core.py"]), Counter(["wavelet"])))
    assert next(one.name for one in found) == "test_of_the_wavelet"


def test_who_calls_the_function_that_changed_comes_before_the_tests_of_its_file(tmp_path: Path) -> None:
    body = "\n".join(f"    line_{n} = token" for n in range(12))
    files = {
        ".gitattributes": (ROOT / ".gitattributes").read_text(),
        "app/core.py": f"class Queue:\n  def follow_again(token):\n{body}\n",
        "tests/app/test_core.py": "from app import core\n" + "def test_{0}(): core.start(token)\n" * 3,
        "tests/jobs/test_jobs.py": (
            "from app import core\ndef test_a(): ...\ndef test_left(): core.follow_again()"
        ),
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text.replace("{0}", name[-7:-3]))
    commit_all(tmp_path)
    core = tmp_path / "app/core.py"
    core.write_text(core.read_text().replace("line_11 = token", "line_11 = token + 1"))
    change, tree = Change.since("HEAD", tmp_path), Tree.read(tmp_path)
    assert change.functions == {"follow_again"}, "which git names at the head of the lines that changed"
    assert next(one.name for one in select(tree, tree.uses(), change)) == "test_left"


def test_a_style_is_looked_at_first_by_tests_that_measure_the_page() -> None:
    style, at = "assets/css/train/race.css", "visit(viewport=390)"
    tests = f"def test_a(visit): visit('?tab=no')\ndef test_b(visit): {at}\ndef test_c(visit): ..."
    tree = Tree({style: "", "tests/browser/test_phone.py": tests})
    found = select(tree, tree.uses(), Change(frozenset([style]), Counter(["margin"])))
    assert next(one.name for one in found) == "test_b" and len(found) == 3


def one(name: str, browser: bool = False) -> Chosen:
    return Chosen(f"tests/{'browser/' if browser else ''}test_a.py", name, 1, 0.0, False)


def test_a_long_test_gives_way_and_the_page_has_a_part_of_the_time() -> None:
    units = [one("first"), one("long"), one("last")]
    all_of_them = [*units, one("page", browser=True)]
    for chosen, long, page, expected in (
        (all_of_them, 90, 8, {"first", "last", "page"}),
        (units, 11, 8, {"first", "last", "long"}),
        (all_of_them, 90, 30, {"first", "last"}),
    ):
        seconds = {two.id: took for two, took in zip(all_of_them, (4, long, 5, page), strict=True)}
        assert {two.name for two in fitting(chosen, seconds, 20)} == expected
    seconds = {two.id: took for two, took in zip(all_of_them, (4, 6, 5, 14), strict=True)}
    of_page = {two.name for two in fitting(all_of_them, seconds, 20, of_page=True)}
    assert of_page == {"first", "page"}, "where a script changed, most of the time is Chromium's"
    assert "2 tests" in left_out(units[1:]) and "tests/test_a.py" in left_out(units[1:])


def test_a_test_is_named_without_its_class_and_its_case() -> None:
    assert function_id("tests/test_a.py::TestB::test_c[1-x::y]") == "tests/test_a.py::test_c"


def test_what_differs_is_read_from_git(tmp_path: Path) -> None:
    for name in ("kept.py", "changed.py", "gone.py"):
        (tmp_path / name).write_text("def spectrum():\n    return 1\n")
    commit_all(tmp_path)
    (tmp_path / "changed.py").write_text("def spectrum():\n    return wavelet\n")
    (tmp_path / "gone.py").unlink()
    (tmp_path / "new.py").write_text("")
    change = Change.since("HEAD", tmp_path)
    assert change.files == {"changed.py", "gone.py", "new.py"}
    assert change.words["wavelet"] == 1 and change.words["spectrum"] > 0


def boxed(folder: Path, taken: list[str], chosen: list[str], seconds: float) -> str:
    """What a run of those that were taken says, each named file::test, with so many seconds left."""
    code = f"""
import time, pytest
from quick import Box, Chosen
taken, chosen = ([Chosen(*one.split("::"), 1, 0, False) for one in ones] for ones in ({taken}, {chosen}))
box = Box(chosen, taken, time.monotonic() + {seconds})
code = pytest.main(["-v", "-p", "no:randomly", "."], plugins=[box])
print("code", int(code))
"""
    environment = {"PYTHONPATH": f"{ROOT}/tests"}
    return subprocess.check_output([sys.executable, "-c", code], cwd=folder, env=environment, text=True)


def test_what_was_taken_runs_and_the_rest_is_named(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text("def test_a(): ...\ndef test_b(): ...\ndef test_c(): ...\n")
    every = [f"test_it.py::test_{name}" for name in "bac"]
    said = boxed(tmp_path, every[:2], every, 600)
    assert "2 passed, 1 deselected" in said and "1 of test_it.py" in said
    said = boxed(tmp_path, every[:2], every, -1)  # the time is over after the first
    assert "1 passed, 1 deselected" in said and "2 of test_it.py" in said and "code 0" in said
    (tmp_path / "test_it.py").write_text("def test_b(): raise KeyboardInterrupt\ndef test_a(): ...\n")
    said = boxed(tmp_path, every[:2], every[:2], 600)
    assert "for it was interrupted: 2 tests" in said and "code 2" in said


def test_what_failed_the_last_time_comes_first(tmp_path: Path) -> None:
    (tmp_path / "test_one.py").write_text("def test_a(): ...\n")
    (tmp_path / "test_two.py").write_text("def test_b(): assert False\n")
    every = ["test_one.py::test_a", "test_two.py::test_b"]
    orders = [boxed(tmp_path, every, every, 600) for _ in range(2)]
    assert [said.index("test_one.py::") < said.index("test_two.py::") for said in orders] == [True, False]


def test_every_file_of_tests_has_some_that_can_be_taken() -> None:
    """Those of the lessons are made from tables of sentences and bear their words; some are `async`."""
    tree = Tree.read()
    found = {name: functions(source) for name, source in tree.files.items() if is_test(name)}
    assert [name for name, ones in found.items() if not ones] == []
    words, _ = found["tests/cdvft_app/lessons/test_circulant_words.py"]["test_nothing_is_left_out"]
    assert "circulant" in words


def test_the_readme_that_the_program_writes_is_none_of_ours() -> None:
    tree = Tree(
        {
            "cdvft_app/card.py": "(folder / 'README.md').write_text('')",
            "README.md": "",
            "deploy/build.py": "copy('README.md')",
        }
    )
    assert {name for name, used in tree.uses().items() if "README.md" in used} == {"deploy/build.py"}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS.keys())
def test_what_a_fault_breaks_stands_where_it_says(fault: Fault) -> None:
    assert (ROOT / fault.file).read_text().count(fault.sound) == 1
