"""Layers under torch.compile, export and trace: the update must be in the graph."""

from __future__ import annotations

from collections.abc import Iterator

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


def gradients(out: Tensor, layer: Layer) -> Iterator[Tensor]:
    yield from torch.autograd.grad(out.square().sum(), list(layer.parameters()))
