"""Layers under torch.compile, export and trace: the update must be in the graph."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from kernel_problem import Problem
from torch import Tensor, nn


class Layer(nn.Module):
    def __init__(self, problem: Problem) -> None:
        super().__init__()
        self.problem, self.vectors = problem, nn.ParameterList(t.detach() for t in problem.ours[1:])

    def forward(self, x: Tensor) -> Tensor:
        return self.problem.run("auto", [x, *self.vectors])


@pytest.fixture(params=[(8, 8, 2, None), (12, 8, 3, 4)], ids=str)
def layer(request: pytest.FixtureRequest) -> Layer:
    return Layer(Problem(*request.param, 5))


def test_compile_takes_the_whole_layer(layer: Layer) -> None:
    torch._dynamo.reset()
    compiled = torch.compile(layer, backend="eager", fullgraph=True)
    x = layer.problem.ours[0]
    torch.testing.assert_close(compiled(x), layer(x))
    for a, b in zip(gradients(compiled(x), layer), gradients(layer(x), layer), strict=True):
        torch.testing.assert_close(a, b)


def test_export_and_trace_contain_the_update(layer: Layer) -> None:
    x = layer.problem.ours[0].detach()
    for graph in (torch.export.export(layer, (x,)).module(), torch.jit.trace(layer, x, check_trace=False)):
        torch.testing.assert_close(graph(2 * x), layer(2 * x))


def test_what_is_exported_has_no_complex_number(layer: Layer) -> None:
    exported = torch.export.export(layer, (layer.problem.ours[0].detach(),))
    values = [node.meta["val"] for node in exported.graph.nodes if "val" in node.meta]
    assert not [v for v in values if isinstance(v, Tensor) and v.is_complex()]
    assert "fft" not in str(exported.graph)


def test_onnx_gives_the_same_numbers(layer: Layer, tmp_path: Path) -> None:
    from onnx.reference import ReferenceEvaluator

    x = layer.problem.ours[0].detach()
    torch.onnx.export(layer, (x,), str(tmp_path / "layer.onnx"), dynamo=False, input_names=["x"])
    (found,) = ReferenceEvaluator(str(tmp_path / "layer.onnx")).run(None, {"x": (2 * x).numpy()})
    torch.testing.assert_close(torch.from_numpy(found), layer(2 * x).detach(), rtol=1e-4, atol=1e-4)


def test_onnxruntime_gives_the_same_numbers(layer: Layer, tmp_path: Path) -> None:
    from onnxruntime import InferenceSession

    x = layer.problem.ours[0].detach()
    program = torch.onnx.export(layer, (x,), dynamo=True, verbose=False)
    assert program is not None
    program.save(str(tmp_path / "layer.onnx"))
    session = InferenceSession(str(tmp_path / "layer.onnx"), providers=["CPUExecutionProvider"])
    (found,) = session.run(None, {session.get_inputs()[0].name: (2 * x).numpy()})
    torch.testing.assert_close(torch.from_numpy(found), layer(2 * x).detach(), rtol=1e-5, atol=1e-5)


def gradients(out: Tensor, layer: Layer) -> Iterator[Tensor]:
    yield from torch.autograd.grad(out.square().sum(), list(layer.parameters()))
