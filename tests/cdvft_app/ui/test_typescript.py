"""The scripts' types are those of the payloads, and what was recorded is what the payloads say."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, Literal, NotRequired

import pytest
from pydantic import TypeAdapter
from typing_extensions import TypedDict

from cdvft_app.payloads.compare import Costs, EvidenceFigure, PaperRow
from cdvft_app.payloads.learn import LabView, RecordedFits
from cdvft_app.ui import typescript
from cdvft_app.ui.shared.server_functions import Encoded

ASSETS = Path(__file__).parents[3] / "assets"


def test_the_scripts_types_are_current():
    now = typescript.declarations(typescript.page_functions())
    assert typescript.FILE.read_text(encoding="utf-8") == now, "run: python -m cdvft_app.ui.typescript"
    assert typescript.CONSTANTS_FILE.read_text(encoding="utf-8") == typescript.constants()


def test_no_script_lists_states_of_its_own():
    own = re.compile(r"""\[\s*"(queued|preparing|running|stopping|finished|stopped|failed|interrupted)",""")
    scripts = {path.name: path.read_text(encoding="utf-8") for path in (ASSETS / "js").rglob("*.js")}
    assert [name for name, text in scripts.items() if own.search(text)] == ["constants.js"]


@pytest.mark.parametrize(
    ("python", "script"),
    [
        (str, "string"),
        (int | None, "number | null"),
        (list[float | None], "(number | null)[]"),
        (list[list[bool]], "boolean[][]"),
        (tuple[int, str], "[number, string]"),
        (tuple[str, ...], "string[]"),
        (dict[str, Any], "Record<string, unknown>"),
        (Literal["on", "off"], '"on" | "off"'),
        (Encoded[list[int]], "number[]"),
    ],
)
def test_a_python_type_has_its_counterpart(python: Any, script: str):
    assert typescript.script_type(python) == script


def test_what_has_no_counterpart_is_refused():
    with pytest.raises(TypeError, match="bytes"):
        typescript.script_type(bytes)


def test_a_part_is_given_the_types_of_what_it_may_ask():
    def rename(_: Base) -> str | None: ...

    def count(_: object) -> Encoded[list[int]]: ...

    assert typescript.servers({"train/history/rename": rename, "train/history/count": count}) == (
        "/** What each part may ask the server. */\nexport interface Servers {\n"
        '  "train/history": {\n    count: Ask<object, number[]>;\n'
        "    rename: Ask<Base, string | null>;\n  };\n}\n"
    )


class Base(TypedDict):
    """Said of it."""

    name: str


class Derived(Base):
    place: NotRequired[int]


def test_a_payload_extends_what_it_is_made_from():
    assert typescript.interface(Base) == ("/** Said of it. */\nexport interface Base {\n  name: string;\n}\n")
    assert typescript.interface(Derived) == "export interface Derived extends Base {\n  place?: number;\n}\n"


@pytest.mark.parametrize(
    ("file", "inside", "payload"),
    [
        ("costs.json", ("first",), Costs),
        ("costs.json", ("paper",), list[PaperRow]),
        ("lesson_factors.json", (), RecordedFits),
        ("recorded_fit.json", (), LabView),
        ("evidence.json", (), list[EvidenceFigure]),
    ],
)
def test_what_was_recorded_is_what_the_scripts_expect(file: str, inside: tuple[str, ...], payload: Any):
    recorded = json.loads((ASSETS / file).read_text(encoding="utf-8"))
    for key in inside:
        recorded = recorded[key]
    assert TypeAdapter(payload).validate_python(recorded) is not None
