"""Layers under torch.compile, export, trace, and ONNX: the update must be in the graph."""

from __future__ import annotations

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


@pytest.fixture(params=[(8, 8, 2, None), pytest.param((12, 8, 3, 4), marks=pytest.mark.nightly)], ids=str)
def layer(request: pytest.FixtureRequest) -> Layer:
    return Layer(Problem(*request.param, 5))


def test_compile_takes_the_whole_layer(layer: Layer) -> None:
    torch._dynamo.reset()
    x, results = layer.problem.ours[0], []
    for run in (torch.compile(layer, backend="eager", fullgraph=True), layer):
        out = run(x)
        results.append([out, *torch.autograd.grad(out.square().sum(), list(layer.parameters()))])
    torch.testing.assert_close(*results)


@pytest.mark.nightly
def test_export_and_trace_have_no_complex_numbers(layer: Layer) -> None:
    x = layer.problem.ours[0].detach()
    exported = torch.export.export(layer, (x,))
    for graph in (exported.module(), torch.jit.trace(layer, x, check_trace=False)):
        torch.testing.assert_close(graph(2 * x), layer(2 * x))
    values = [node.meta["val"] for node in exported.graph.nodes if "val" in node.meta]
    assert not [v for v in values if isinstance(v, Tensor) and v.is_complex()]
    assert "fft" not in str(exported.graph)


@pytest.mark.nightly
@pytest.mark.parametrize(("dynamo", "close"), [(False, 1e-4), (True, 1e-5)])
def test_onnx_matches_torch(layer: Layer, dynamo: bool, close: float, tmp_path: Path) -> None:
    x, file = layer.problem.ours[0].detach(), str(tmp_path / "layer.onnx")
    torch.onnx.export(layer, (x,), file, dynamo=dynamo, input_names=["x"], verbose=False)
    inputs = {"x": (2 * x).numpy()}
    if dynamo:
        from onnxruntime import InferenceSession

        (found,) = InferenceSession(file, providers=["CPUExecutionProvider"]).run(None, inputs)
    else:
        from onnx.reference import ReferenceEvaluator

        (found,) = ReferenceEvaluator(file).run(None, inputs)
    torch.testing.assert_close(torch.from_numpy(found), layer(2 * x).detach(), rtol=close, atol=close)
