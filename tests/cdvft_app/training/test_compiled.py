"""Steps that torch.compile made: the same run, in one shape, and a run that needs no compiler to end well.

Most take no GPU; by inductor, steps are CUDA graphs the day there is one.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from shutil import which

import numpy as np
import pytest
import torch
from listening import Listener, run
from safetensors.torch import load_file
from torch import nn

from cdvft_app.catalog import Plan
from cdvft_app.catalog.dataset_readers import Rows, Split
from cdvft_app.events import Evaluation, Note
from cdvft_app.training import compiled
from cdvft_app.training.device import device_kind


@pytest.fixture(scope="module")
def surely(text_plan, tmp_path_factory: pytest.TempPathFactory):
    """`surely(method)`: a plan on a model without dropout, of which padding would draw another."""
    import tiny_models

    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(tiny_models.SIZES, "hidden_dropout_prob", 0.0)
        patch.setitem(tiny_models.SIZES, "num_hidden_layers", 1)  # compiled in half the time
        folder = tiny_models.bert(tmp_path_factory.mktemp("surely"))

    def make(method: str = "cdvft", **chosen: object) -> Plan:
        plan = text_plan(method, precision="float32", **chosen)
        return dataclasses.replace(plan, model=dataclasses.replace(plan.model, location=str(folder)))

    return make


def with_compiling(plan: Plan) -> Plan:
    return dataclasses.replace(plan, settings=plan.settings.model_copy(update={"torch_compile": True}))


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs compile on this device, whatever it is."""
    monkeypatch.setattr(compiled, "DEVICE", device_kind())


@pytest.fixture
def shapes(here, monkeypatch: pytest.MonkeyPatch) -> list:
    """The shapes of token ids or images of each graph, which is run as it is and not by inductor."""
    seen = []

    def backend(graph, inputs):
        seen.append([tuple(one.shape) for one in inputs if one.dtype == torch.int64 or one.ndim == 4])
        return graph

    original = torch.compile
    monkeypatch.setattr(
        torch, "compile", lambda model, **asked: original(model, backend=backend, dynamic=asked["dynamic"])
    )
    return seen


@pytest.mark.slow
@pytest.mark.gpu  # where it makes CUDA graphs; on a CPU the same without
@pytest.mark.skipif(which("g++") is None, reason="needs a C++ compiler")
def test_by_inductor_a_run_learns_evaluates_stops_and_goes_on_the_same(
    here, surely, text_rows, tmp_path, monkeypatch
):
    from torch._inductor import config as inductor

    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path / "inductor"))
    whole, done = run(surely(checkpoint_every=5), text_rows, tmp_path / "whole")
    plan = with_compiling(surely(checkpoint_every=5))
    # Neither vectors, which it would try out first, nor processes that compile: both are inductor's affair.
    with inductor.patch({"compile_threads": 1, "cpp.vec_isa_ok": True, "cpp.simdlen": 1}):
        before, stopped = run(plan, text_rows, tmp_path / "run", stop_after=6)
        after, finished = run(plan, text_rows, tmp_path / "run", resume=True)
    assert (stopped.state, finished.state) == ("stopped", "finished")
    assert min(after.losses()) == stopped.step + 1
    assert before.losses() | after.losses() == pytest.approx(whole.losses(), abs=1e-4)
    assert [one.loss for one in after.of(Evaluation)] == pytest.approx(
        [one.loss for one in whole.of(Evaluation) if one.step > stopped.step], abs=1e-4
    )
    kept, usual = (
        load_file(str(one.adapter_folder / "adapter_model.safetensors")) for one in (finished, done)
    )
    assert kept.keys() == usual.keys(), "no name says that a model was compiled"
    assert any("compiled in" in note.text for note in after.of(Note))


def both(plan: Plan, rows: Rows, folder: Path) -> tuple[Listener, dict[int, float]]:
    """A compiled run, and the losses of the same one that is not."""
    usual, _ = run(plan, rows, folder / "usual")
    heard, done = run(with_compiling(plan), rows, folder / "run")
    assert done.state == "finished"
    return heard, usual.losses()


@pytest.mark.parametrize("method", ["cdvft", "lora", "fourierft", "c3a", "head"])
def test_every_method_is_one_graph_of_one_shape_and_learns_the_same(
    method, shapes, surely, text_rows, tmp_path
):
    heard, losses = both(surely(method), text_rows, tmp_path)
    assert heard.losses() == pytest.approx(losses, abs=1e-5)
    assert len(shapes) == 1, "60 rows are seven batches of eight, and one of four that is not compiled"
    longest = 2 + max(len(text.split()) for text in text_rows.train.inputs)
    assert set(shapes[0]) >= {(8, longest)}


# In float32 a CPU reads what prompts share in a pass of its own.
@pytest.mark.parametrize(("kind", "precision"), [("image", "float32"), ("answer", "bfloat16")])
def test_every_kind_of_model_is_one_graph(kind, precision, shapes, request, tmp_path):
    plan = request.getfixturevalue(f"{kind}_plan")(max_steps=6, precision=precision)
    heard, losses = both(plan, request.getfixturevalue(f"{kind}_rows"), tmp_path)
    assert len(shapes) == 1
    assert heard.losses() == pytest.approx(losses, abs=0.03 if kind == "answer" else 1e-5)


def test_compiling_draws_no_random_number_of_the_run(shapes, text_plan, tmp_path):
    """With dropout, and texts that are as long as the longest: then every drawn number is the same."""
    labels = np.arange(16) % 2
    texts = [f"the film {('bad', 'good')[label]}" for label in labels]
    rows = Rows(Split(texts, labels), Split(texts, labels), ("negative", "positive"), None)
    heard, losses = both(text_plan(precision="float32"), rows, tmp_path)
    assert len(shapes) == 1
    assert heard.losses() == pytest.approx(losses, abs=1e-6)


def test_compiling_moves_no_running_mean():
    class Told:
        def forward(self, model, inputs, labels):
            return model(**inputs)

        def loss(self, outputs, labels):
            return outputs.square().mean()

    model = nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3))
    before = {name: one.clone() for name, one in model.state_dict().items()}
    batch = {"input": torch.randn(4, 3), "labels": torch.zeros(4)}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch, "compile", lambda model, **_: model)
        compiled._compiled(model, Told(), batch, torch.device("cpu"))
    assert all(torch.equal(one, before[name]) for name, one in model.state_dict().items())
    assert all(one.grad is None for one in model.parameters())


def refuse(**inputs):
    raise RuntimeError("no C++ compiler")


NOT_COMPILED = {
    "no compiler": (device_kind(), False, compiled.FAILED),
    "no GPU": ("none", False, compiled.NO_GPU),
    "a lent one": (device_kind(), True, compiled.NO_GPU),
}


@pytest.mark.parametrize("case", NOT_COMPILED.values(), ids=NOT_COMPILED)
def test_without_a_compiler_or_a_gpu_of_its_own_a_run_goes_on_and_says_so(
    case, text_plan, text_rows, tmp_path, monkeypatch
):
    device, lent, said = case
    monkeypatch.setattr(compiled, "DEVICE", device)
    monkeypatch.setattr(compiled, "is_zero_gpu", lambda: lent)
    monkeypatch.setattr(torch, "compile", lambda model, **_: refuse)
    heard, losses = both(text_plan(max_steps=4), text_rows, tmp_path)
    assert heard.losses() == losses
    assert (said, "warning") in [(note.text, note.kind) for note in heard.of(Note)]
