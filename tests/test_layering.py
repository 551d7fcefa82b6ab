"""Who may import whom, and that it is there: read from the sources, and shown to notice what breaks it."""

import ast
from collections.abc import Callable, Iterator
from graphlib import CycleError, TopologicalSorter

import pytest
from sources import imports, sources

# The library's modules and packages, each with those it may import.
LIBRARY = {
    "blocks": set(),
    "circulant": {"blocks"},
    "kernels": {"circulant", "private_names"},
    "private_names": set(),
    "config": {"registration", "kernels"},
    "quantized": set(),
    "merging": {"quantized"},
    "inference_fast_path": {"circulant", "kernels", "private_names"},
    "layer": {"kernels", "circulant", "config", "merging", "quantized"}
    | {"blocks", "inference_fast_path", "private_names"},
    "conv2d": {"layer"},
    "experts": {"config", "layer"},
    "targets": {"blocks", "config", "conv2d", "quantized"},
    "mixed_batches": {"layer"},
    "weighted_adapters": {"config", "layer"},
    "hotswap": {"config", "experts", "layer", "targets", "weighted_adapters"},
    "model": {"layer", "conv2d", "experts", "mixed_batches", "quantized", "registration"}
    | {"targets", "weighted_adapters"},
    "registration": set(),
    "cost": {"blocks"},
    "factors": {"circulant", "blocks", "layer", "config", "targets"},
    "mean_pooled": set(),
    "optimizers": {"layer"},
}
# The app's rooms; "cdvft" stands for the library.
CHOICES = {"format", "payloads", "settings", "methods", "metrics", "catalog", "shapes", "cdvft"}
APP = {
    "approximate": {"cdvft"},
    "methods": {"cdvft"},
    "metrics": set(),
    "settings": {"methods"},
    "errors": set(),
    "archives": set(),
    "events": set(),
    "files": set(),
    "format": set(),
    "payloads": {"format", "store.states"},
    "progress": set(),
    "catalog": {"settings", "methods", "metrics", "cdvft"},
    "data": {"archives", "catalog", "format", "metrics", "settings", "store", "public"},
    "shapes": {"catalog", "settings", "cdvft"},
    "store": {"archives", "settings", "methods", "events"},
    "public": {"format", "settings", "store"},
    "figures": {"methods", "cdvft"},
    "costs": CHOICES | {"figures"},
    "tasks": {"catalog", "settings", "metrics", "cdvft"},
    "training": {"search", "tasks", "metrics", "catalog", "costs.memory", "store"}
    | {"public", "settings", "events", "methods", "cdvft"},
    "measuring": CHOICES | {"costs", "training"},
    "judging": CHOICES | {"costs", "measuring", "prediction", "figures", "store"},
    "decision": CHOICES | {"costs", "measuring", "prediction", "judging", "figures"},
    "prediction": CHOICES
    | {"costs", "store", "training.schedule", "training.device", "training.calibration"},
    "search": CHOICES | {"events", "judging", "store", "sweep"},
    "sweep": CHOICES | {"judging", "figures", "store"},
    "inspection": {"format", "data.pictures", "results", "training", "tasks", "catalog"}
    | {"store", "settings", "methods", "payloads", "events", "cdvft"},
    "lessons": {"data.csv_file", "format", "payloads", "approximate", "cdvft"},
    "results": CHOICES | {"events", "tasks", "training", "judging", "costs", "store", "data"},
    "cluster": {"catalog", "settings", "store", "events", "public", "training", "hub_jobs.job"} | {"cdvft"},
    "hub_jobs": {"catalog", "settings", "store", "events", "training", "results", "cdvft"},
    "commands": CHOICES
    | {"cluster", "hub_jobs", "costs", "data", "decision", "judging", "measuring", "prediction"}
    | {"public", "results", "search", "sweep", "training", "store", "events", "ui.serving"},
    "__main__": {"commands"},
    "ui": CHOICES
    | {"approximate"}
    | {"costs", "figures", "inspection", "judging", "lessons", "measuring.background", "prediction"}
    | {"cluster", "data", "decision", "hub_jobs", "results", "public"}
    | {"store", "search", "sweep", "training.queue", "training.children", "training.device"}
    | {"training.schedule", "training.slices", "training.executors", "events"},
}
LOCKS = (  # they start no thread
    "cdvft_app.public.guessing",
    "cdvft_app.catalog.columns",
    "cdvft_app.catalog.libraries",
    "cdvft_app.inspection.lock",
    "cdvft_app.lessons.classes",
    "cdvft_app.public.intake",
    "cdvft.mixed_batches",
    "cdvft.experts",
    "cdvft_app.ui.shared.pool",
)
# Modules of other packages, each with the places that may import it.
RESERVED = {
    "gradio": ("cdvft_app.ui", "app"),
    "plotly": ("cdvft_app.figures",),
    "ray": ("cdvft_app.cluster.connection", "cdvft_app.cluster.node"),
    "optuna": ("cdvft_app.search", "cdvft_app.figures.search"),
    "threading": (
        "cdvft_app.cluster.connection",
        "cdvft_app.cluster.node",
        "cdvft_app.training.queue",
        "cdvft_app.training.run",
        "cdvft_app.training.slices",
        *LOCKS,
    ),
    "multiprocessing": ("cdvft_app.training.children",),
    "concurrent": ("cdvft_app.ui.learn.tab",),
    **dict.fromkeys(("_thread", "pickle", "marshal", "shelve", "dill", "cloudpickle", "joblib"), ()),
}


def inside(name: str, *places: str) -> bool:
    return any(name == place or name.startswith(f"{place}.") for place in places)


def wrong_arrows(modules: dict[str, str]) -> Iterator[str]:
    trees = {name: ast.parse(source) for name, source in modules.items()}
    known = set(modules)
    tabs = {name for name, tree in trees.items() if inside(name, "cdvft_app.ui") and is_tab(tree)}
    for name, tree in trees.items():
        top, *rest = name.split(".")
        room = rest[0] if rest else ""
        for target in imports(name, tree, known):
            package, *inner = target.split(".")
            if package in RESERVED and not inside(name, *RESERVED[package]):
                yield f"{name} imports {target}, which is for {RESERVED[package] or 'nobody'}"
            if name != target and {name, target} <= tabs:
                yield f"{name} imports the tab {target}"
            if not room or package not in ("cdvft", "cdvft_app"):
                continue  # packages themselves and app.py gather; other packages are free
            if top == "cdvft":
                allowed = LIBRARY.get(room)
                if package == "cdvft_app":
                    yield f"{name} imports {target}: the library knows no app"
                    continue
                reached = {inner[0]} if inner else set()
            else:
                allowed = APP.get(room)
                reached = {".".join(inner[:2]), inner[0]} if inner else set()
                if package == "cdvft":
                    reached = {"cdvft"}
            if allowed is None:
                yield f"{name} is in no room: name it in this test with what it may import"
            elif reached and not reached & (allowed | {room, "errors", "files", "progress"}):
                yield f"{name} imports {target}, but {room} may import {sorted(allowed)}"


def circles(modules: dict[str, str]) -> Iterator[str]:
    """Modules that import each other in a ring, also inside functions; those for types alone are left out."""
    known = set(modules)
    graph = {
        name: {target for target in imports(name, _without_types(source), known) if target in known} - {name}
        for name, source in modules.items()
    }
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        yield "a circle of imports: " + " <- ".join(error.args[1])


def missing(modules: dict[str, str]) -> Iterator[str]:
    """Imports of the project's own modules that are not there, inside functions too."""
    known = set(modules)
    for name, source in modules.items():
        for target in imports(name, ast.parse(source), known):
            if inside(target, "cdvft", "cdvft_app") and target not in known:
                yield f"{name} imports {target}, which is not there"


def _without_types(source: str) -> ast.Module:
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
            node.body = []
    return tree


def is_tab(tree: ast.Module) -> bool:
    assigned = [ast.unparse(a) for node in tree.body if isinstance(node, ast.Assign) for a in node.targets]
    defined = [node.name for node in tree.body if isinstance(node, ast.FunctionDef)]
    return "TITLE" in assigned and "build" in defined


@pytest.mark.parametrize("rule", [wrong_arrows, circles, missing])
def test_the_project_keeps_the_rule(rule: Callable[[dict[str, str]], Iterator[str]]):
    modules = sources()
    assert {"cdvft", "cdvft.blocks", "cdvft_app.settings", "cdvft_app.store.runs"} <= set(modules)
    assert sorted(set(rule(modules))) == []


PLANTED = [
    ("cdvft.blocks", "from cdvft.circulant import circulant", "may import []"),
    ("cdvft.blocks", "from . import circulant", "imports cdvft.circulant"),
    ("cdvft.circulant", "def f():\n    import cdvft.layer", "imports cdvft.layer"),
    ("cdvft.cost.flops", "from ..kernels import cd_linear", "imports cdvft.kernels"),
    ("cdvft.layer", "from cdvft_app import settings", "the library knows no app"),
    ("cdvft.helpers", "from cdvft import blocks", "in no room"),
    ("cdvft_app.store.runs", "from cdvft_app.training import queue", "imports cdvft_app.training"),
    ("cdvft_app.store.runs", "import gradio as gr", "which is for ('cdvft_app.ui', 'app')"),
    ("cdvft_app.ui.train.tab", "import plotly.graph_objects as go", "plotly.graph_objects, which"),
    ("cdvft_app.ui.train.tab", "from cdvft_app.training.trainer import train", "may import"),
    ("cdvft_app.ui.train.tab", "from threading import Thread", "which is for"),
    ("cdvft_app.catalog.hub", "from concurrent.futures import Future", "which is for"),
    ("app", "import pickle", "which is for nobody"),
    ("cdvft_app.tasks.text", "from cdvft_app.training import trainable", "but tasks may import"),
    ("cdvft_app.catalog.plan", "from cdvft_app.tasks import base", "imports cdvft_app.tasks"),
]
ABSENT = [
    ("cdvft_app.settings", "from cdvft_app.sizes import MAX", "imports cdvft_app.sizes, which is"),
    ("cdvft.cost", "def f():\n    import cdvft.costs", "imports cdvft.costs, which is not there"),
]


@pytest.mark.parametrize(
    ("rule", "name", "source", "complaint"),
    [*((wrong_arrows, *one) for one in PLANTED), *((missing, *one) for one in ABSENT)],
)
def test_the_rule_notices(rule, name, source, complaint):
    known = ("cdvft", "cdvft.cost", "cdvft.blocks", "cdvft.circulant", "cdvft_app.settings")
    modules = dict.fromkeys(known, "")
    assert list(rule(modules)) == []
    assert any(complaint in found for found in rule(modules | {name: source}))


@pytest.mark.parametrize(
    ("closing", "found"),
    [
        ("from cdvft_app.catalog import one", True),
        ("def read():\n    from cdvft_app.catalog.one import first", True),
        ("def read():\n    import cdvft_app.catalog.one", True),
        ("from cdvft_app.catalog import of_all", True),
        ("if TYPE_CHECKING:\n    from cdvft_app.catalog import one", False),
        ("import cdvft.blocks", False),
    ],
)
def test_a_circle_is_noticed(closing, found):
    ring = {
        "cdvft.blocks": "",
        "cdvft_app.catalog": "from cdvft_app.catalog.one import first",
        "cdvft_app.catalog.one": "def f():\n    from cdvft_app.catalog import two",
        "cdvft_app.catalog.two": "from cdvft_app.catalog.three import third",
    }
    assert list(circles(ring | {"cdvft_app.catalog.three": ""})) == []
    said = list(circles(ring | {"cdvft_app.catalog.three": closing}))
    assert bool(said) == found
    assert not found or all(f"cdvft_app.catalog.{name}" in said[0] for name in ("two", "three"))


def test_tabs_may_share_but_not_import_each_other():
    tab = "TITLE = 'x'\ndef build(app): ..."
    modules = {"cdvft_app.ui.one": tab, "cdvft_app.ui.two": tab, "cdvft_app.ui.shared": ""}
    shares = {"cdvft_app.ui.one": f"from cdvft_app.ui import shared\n{tab}"}
    meddles = {"cdvft_app.ui.one": f"from cdvft_app.ui import two\n{tab}"}
    assert list(wrong_arrows(modules | shares)) == []
    assert list(wrong_arrows(modules | meddles)) == ["cdvft_app.ui.one imports the tab cdvft_app.ui.two"]
