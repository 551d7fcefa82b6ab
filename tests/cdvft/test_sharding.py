"""Models that torch shards among processes: here one process, which holds the only shard."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
import torch.distributed as dist
from peft import PeftModel, get_peft_model
from torch import Tensor, nn
from torch.distributed.fsdp import FullyShardedDataParallel, fully_shard

from cdvft import CDVFTConfig

D = 24

pytestmark = pytest.mark.nightly


@pytest.fixture(scope="module", autouse=True)
def alone() -> Iterator[None]:
    dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
    yield
    dist.destroy_process_group()


def adapted() -> PeftModel:
    torch.manual_seed(0)
    config = CDVFTConfig(target_modules=["0"], init_weights=False)
    return get_peft_model(nn.Sequential(nn.Linear(D, D)), config)


def inputs() -> Tensor:
    return torch.randn(4, D, generator=torch.Generator().manual_seed(1))


def after_a_step(model: nn.Module) -> Tensor:
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.1)
    model(inputs()).square().mean().backward()
    optimizer.step()
    return model(inputs()).detach()


def fsdp1(model: nn.Module) -> nn.Module:
    return FullyShardedDataParallel(model, use_orig_params=True, device_id=torch.device("cpu"))


def fsdp2(model: nn.Module) -> nn.Module:
    return fully_shard(model, mesh=dist.device_mesh.init_device_mesh("cpu", (1,)))


@pytest.mark.parametrize("shard", [fsdp1, fsdp2])
def test_sharded_models_learn_alike(shard) -> None:
    torch.testing.assert_close(after_a_step(shard(adapted())), after_a_step(adapted()))
