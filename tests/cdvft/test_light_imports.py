"""`import cdvft` loads nothing heavy and still makes CDVFT known to PEFT, whichever of the two comes first.

Each program runs in a process of its own, for what is imported once stays imported. Every table of PEFT that
is keyed by method knows CDVFT, or a reason stands here.
"""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import peft.mapping
import pytest

import cdvft
from cdvft.config import CDVFTPeftType
from cdvft.registration import register

ROOT = Path(__file__).parents[2]
Printed = Callable[[str], str]

FORKING = f"""
import gc, json, os, sys, traceback
gc.disable()  # a quarter of what the imports take
sys.path[:0] = [{str(ROOT)!r}]
import accelerate, torch._dynamo, torch.distributed.tensor, transformers.modeling_layers
assert not {{"peft", "cdvft"}} & set(sys.modules)
for program in sys.stdin:
    reader, writer = os.pipe()
    if not os.fork():
        os.dup2(writer, 1)
        try:
            exec(json.loads(program), {{}})
        except BaseException:
            traceback.print_exc(file=sys.stdout)
        sys.stdout.flush()
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as said:
        print(json.dumps(said.read().strip()), flush=True)
    os.wait()
"""


@pytest.fixture(scope="module")
def printed_beside_peft() -> Iterator[Printed]:
    """What a program prints that starts without PEFT and cdvft, but with what PEFT takes seconds to load."""
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", FORKING], stdin=pipe, stdout=pipe, text=True) as forking:
        assert forking.stdin and forking.stdout
        questions, answers = forking.stdin, forking.stdout

        def run(program: str) -> str:
            print(json.dumps(program), file=questions, flush=True)
            return json.loads(answers.readline())

        yield run
        questions.close()


def printed(program: str, *folders: Path) -> str:
    code = f"import sys; sys.path[:0] = {[*map(str, folders), str(ROOT)]!r}\n{program}"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout.strip()


def test_nothing_heavy_is_loaded() -> None:
    program = """
import cdvft, sys
cdvft.blocks.partition(8, 8)
cdvft.cost.estimate("cdvft", [cdvft.cost.Shape("q", 8, 8)], batch=1, sequence=1)
dir(cdvft)
import cdvft.cost, cdvft.blocks, cdvft.registration
print(*sorted({"torch", "peft", "transformers", "numpy"} & set(sys.modules)))
"""
    assert printed(program) == ""


@pytest.mark.parametrize(
    "imports",
    [
        "from cdvft.config import CDVFTConfig; import peft",
        "from cdvft.layer import CDVFTLinear",
        "from cdvft.model import CDVFTModel; from cdvft import CDVFTConfig",
        "import cdvft.factors",
        "import transformers, cdvft; from peft.tuners.lora import LoraConfig",
    ],
)
def test_cdvft_is_known_to_peft_in_any_order(printed_beside_peft: Printed, imports: str) -> None:
    made = printed_beside_peft(
        f"{imports}\nimport peft; print(type(peft.get_peft_config({{'peft_type': 'CDVFT', 'm': 3}})))"
    )
    assert made == "<class 'cdvft.config.CDVFTConfig'>"


SAVED = """
import torch
{imports}
from torch import nn

net = nn.ModuleDict({{"inner": nn.Linear(8, 8)}})
model = {load}
layer = model.base_model.model["inner"]
print(type(model.base_model).__name__, float(layer.cdvft_diagonals["default"][1][0]))
"""


@pytest.mark.parametrize("imports", ["import cdvft; import peft", "import peft; import cdvft"])
def test_a_saved_adapter_loads_without_any_name_of_cdvft(printed_beside_peft, tmp_path, imports: str) -> None:
    made = SAVED.format(
        imports=f"{imports}; from cdvft import CDVFTConfig",
        load="peft.get_peft_model(net, CDVFTConfig(target_modules=['inner'], init_weights='zero_input'))",
    )
    assert printed_beside_peft(f"{made}\nmodel.save_pretrained({str(tmp_path)!r})") == "CDVFTModel 1.0"
    loaded = SAVED.format(imports=imports, load=f"peft.PeftModel.from_pretrained(net, {str(tmp_path)!r})")
    assert printed_beside_peft(loaded) == "CDVFTModel 1.0"


def test_threads_that_import_at_once_all_find_the_method(printed_beside_peft: Printed) -> None:
    program = """
import sys, threading
start, found = threading.Barrier(4), []
programs = [
    "import peft",
    "import cdvft; import peft",
    "from cdvft.config import CDVFTConfig; import peft",
    "from cdvft import CDVFTLinear; import peft",
]
def run(code):
    start.wait()
    exec(code)
    found.append("CDVFT" in sys.modules["peft"].mapping.PEFT_TYPE_TO_CONFIG_MAPPING)
import cdvft
threads = [threading.Thread(target=run, args=[code]) for code in programs]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
print(found)
"""
    assert printed_beside_peft(program) == "[True, True, True, True]"


def test_an_import_of_peft_that_is_under_way_elsewhere_is_waited_for(tmp_path: Path) -> None:
    """A stand-in for PEFT says that it has begun and goes on when it is told: no timing decides."""
    package = tmp_path / "peft"
    package.mkdir()
    tables = "; ".join(f"PEFT_TYPE_TO_{name}_MAPPING = {{}}" for name in ("CONFIG", "TUNER", "PREFIX"))
    (package / "mapping.py").write_text(tables)
    (package / "__init__.py").write_text(
        "import builtins\nbuiltins.begun.set()\nassert builtins.asked.wait(60)\nfrom peft import mapping\n"
    )
    program = """
import builtins, importlib, threading
builtins.begun, builtins.asked = threading.Event(), threading.Event()
first = threading.Thread(target=lambda: __import__("peft"), daemon=True)
first.start()
assert builtins.begun.wait(60)

plainly = importlib.import_module
def watched(name):
    if name == "peft":
        builtins.asked.set()  # whoever asks for the whole of it may wait: the other thread goes on
    return plainly(name)
importlib.import_module = watched
import cdvft
print("CDVFT" in sys.modules["peft"].mapping.PEFT_TYPE_TO_PREFIX_MAPPING)
"""
    assert printed(program, tmp_path) == "True"


def test_names_are_listed_and_unknown_ones_refused() -> None:
    assert {"CDVFTConfig", "CDVFTModel", "Factors", "cost", "blocks"} <= set(dir(cdvft))
    assert all(getattr(cdvft, name).__name__ == name for name in cdvft.__all__)
    with pytest.raises(AttributeError, match="module 'cdvft' has no attribute 'CDVFTConfg'"):
        cdvft.CDVFTConfg  # type: ignore[attr-defined]  # noqa: B018


COVERED = {f"PEFT_TYPE_TO_{name}_MAPPING" for name in ("CONFIG", "TUNER", "PREFIX")}
NOT_COVERED = {
    "PEFT_TYPE_TO_MIXED_MODEL_MAPPING": "PeftMixedModel checks a closed tuple of PEFT's own tuners besides",
}


def tables() -> dict[str, dict]:
    """Every PEFT_TYPE_TO_* table in any module of PEFT, so that one that a later version adds is seen."""
    found = {}
    for name, module in list(sys.modules.items()):
        if name == "peft" or name.startswith("peft."):
            found |= {key: value for key, value in vars(module).items() if key.startswith("PEFT_TYPE_TO_")}
    return found


def test_every_table_is_covered_or_excused_and_its_entries_are_the_classes_once_they_are_used() -> None:
    assert {name for name, table in tables().items() if "CDVFT" in table} == COVERED
    assert tables().keys() - COVERED == NOT_COVERED.keys()
    assert type(peft.get_peft_config({"peft_type": "CDVFT"})) is cdvft.CDVFTConfig
    assert peft.mapping.PEFT_TYPE_TO_TUNER_MAPPING["CDVFT"].prefix == "cdvft_"
    assert peft.mapping.PEFT_TYPE_TO_PREFIX_MAPPING[CDVFTPeftType.CDVFT] == "cdvft_"
    assert peft.mapping.PEFT_TYPE_TO_CONFIG_MAPPING["CDVFT"] is cdvft.CDVFTConfig
    assert peft.mapping.PEFT_TYPE_TO_TUNER_MAPPING["CDVFT"] is cdvft.CDVFTModel


def test_registering_again_changes_nothing() -> None:
    before = {name: dict(table) for name, table in tables().items()}
    register(peft)
    assert {name: dict(table) for name, table in tables().items()} == before


@pytest.mark.parametrize("table", sorted(COVERED))
def test_somebody_elses_entry_is_not_overwritten(monkeypatch: pytest.MonkeyPatch, table: str) -> None:
    theirs = "another package's entry"
    monkeypatch.setitem(getattr(peft.mapping, table), "CDVFT", theirs)
    with pytest.raises(RuntimeError, match=r"'CDVFT': \"another package's entry\".*Import only one"):
        register(peft)
    assert getattr(peft.mapping, table)["CDVFT"] == theirs
