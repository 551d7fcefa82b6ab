"""Which of the page's scripts may import which: read from the sources, and shown to notice what breaks it."""

import ast
import re
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter

import pytest
from sources import ROOT, imported

from cdvft_app.ui.learn.lesson_texts import LESSONS
from cdvft_app.ui.shared.component import RUNTIME
from cdvft_app.ui.static.page import PAGE

SCRIPTS = ROOT / "assets" / "js"
# What one script alone does, for all: how it is seen in a source, and which script that is.
ALONE = {
    r"history\.(push|replace)State\(|\"(popstate|hashchange)\"": "shared/router.js",  # the address
    r"dispatchEvent\(new CustomEvent\(": "shared/events.js",  # what parts tell each other
    r"\"visibilitychange\"": "shared/polling.js",  # asking the server again and again
    r"attributeFilter: \[\"class\"\]": "shared/theme.js",  # light and dark
    r"new IntersectionObserver\(": "shared/shown.js",
    r"\"thead\"": "shared/table.js",
    r"\"progressbar\"": "shared/dom.js",
}
# A tab's scripts use their own room's and these; none of these uses a tab's.
FOR_ALL = {"shared"}


def scripts() -> dict[str, str]:
    """Every script by its path below assets/js."""
    return {path.relative_to(SCRIPTS).as_posix(): path.read_text() for path in SCRIPTS.rglob("*.js")}


def mounted() -> set[str]:
    """What parts of the page name: `component("train/history.js")`; the lessons' scripts; a page's own."""
    named = {f"learn/{lesson.module}.js" for lesson in LESSONS} | {PAGE, RUNTIME}
    for path in (ROOT / "cdvft_app" / "ui").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "component":
                named |= {first.value for first in node.args[:1] if isinstance(first, ast.Constant)}
    return named


def complaints(sources: dict[str, str], roots: set[str]) -> Iterator[str]:
    graph = {name: imported(name, source) for name, source in sources.items()}
    for name, targets in graph.items():
        room = name.split("/")[0]
        for target in targets:
            if target not in sources:
                yield f"{name} imports {target}, which is not there"
            elif target.split("/")[0] not in {room, *FOR_ALL}:
                yield f"{name} imports {target}: {room} may use {sorted({room, *FOR_ALL})}"
        for sign, script in ALONE.items():
            if name != script and (found := re.search(sign, sources[name])):
                yield f"{name} does by itself what {script} does for all: {found[0]}"
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as found:
        yield f"a circle: {' -> '.join(found.args[1])}"
    used, waiting = set(), [name for name in roots if name in sources]
    while waiting:
        used.add(name := waiting.pop())
        waiting += graph.get(name, set()) - used
    yield from (f"{name} is missing" for name in roots - set(sources))
    yield from (f"{name} is used by no part of the page" for name in set(sources) - used)


def test_the_scripts_keep_the_rules():
    assert sorted(complaints(scripts(), mounted())) == []


SOUND = {
    "train/run.js": 'import { h } from "../shared/dom.js";\nimport {\n  a,\n} from "./model.js";',
    "train/model.js": "export const a = 1;",
    "shared/dom.js": "/** @import {Run} from '../train/model.js' */",
}


@pytest.mark.parametrize(
    ("changed", "complaint"),
    [
        ({"shared/dom.js": 'import { a } from "../train/model.js";'}, "shared may use ['shared']"),
        ({"train/run.js": 'export { a } from "./model.js";\nimport "../learn/pad.js";', "learn/pad.js": ""},
         "train may use ['shared', 'train']"),
        ({"train/model.js": 'const late = () => import("./run.js");'}, "a circle: "),
        ({"train/model.js": 'import { b } from "./gone.js";'}, "train/gone.js, which is not there"),
        ({"train/old.js": ""}, "train/old.js is used by no part"),
        ({"train/model.js": 'h("thead")'}, "train/model.js does by itself what shared/table.js does for all"),
    ],
)  # fmt: skip
def test_the_rule_notices(changed: dict[str, str], complaint: str):
    assert list(complaints(SOUND, {"train/run.js"})) == []
    assert any(complaint in found for found in complaints(SOUND | changed, {"train/run.js"}))


def test_a_part_without_its_script_is_noticed():
    assert "train/run.js is missing" in list(complaints({}, {"train/run.js"}))
