"""`cdvft.create_optimizer`: every trained parameter in one group, each at its learning rate."""

from __future__ import annotations

import peft
import pytest
import torch
from torch import nn
from transformers import Trainer
from transformers.models.llama.modeling_llama import LlamaRMSNorm

import cdvft
from cdvft import CDVFTConfig

WIDTH = 24


def bare() -> nn.ModuleDict:
    layers = {"first": nn.Linear(WIDTH, WIDTH), "second": nn.Linear(WIDTH, 2 * WIDTH)}
    return nn.ModuleDict({**layers, "LayerNorm": nn.LayerNorm(WIDTH), "head": nn.Linear(2 * WIDTH, 2)})


def adapted(m: int = 3, **more) -> nn.Module:
    torch.manual_seed(0)
    config = CDVFTConfig(m=m, target_modules=["first", "second"], modules_to_save=["head"], **more)
    return peft.get_peft_model(bare(), config)


def rates(model: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, tuple[float, float]]:
    """(learning rate, weight decay) by the parameter's name."""
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    groups = optimizer.param_groups
    return {names[id(p)]: (group["lr"], group["weight_decay"]) for group in groups for p in group["params"]}


def test_every_factor_has_its_learning_rate() -> None:
    model = adapted(m=3, bias="all")
    options = {"input_diagonal_lr_ratio": 4, "weight_decay": 0.1, "betas": (0.8, 0.9)}
    optimizer = cdvft.create_optimizer(model, torch.optim.AdamW, 1e-2, **options)
    found = rates(model, optimizer)
    assert found.keys() == {name for name, p in model.named_parameters() if p.requires_grad}
    of_input = [name for name in found if name.endswith("cdvft_diagonals.default.0")]
    assert len(of_input) == 2 and sum("cdvft_diagonals" in name for name in found) == 2 * 3
    for name, (rate, decay) in found.items():
        assert rate == pytest.approx(4e-2 if name in of_input else 1e-2), name
        assert decay == (0.0 if "bias" in name else 0.1), name
    assert optimizer.defaults["betas"] == (0.8, 0.9)
    assert optimizer.param_groups[0]["lr"] == 1e-2  # the rate that is logged


def test_decay_matches_transformers_trainer() -> None:
    net = bare()
    rms_norms = ["final_norm", "attn_rmsnorm"]  # neither name matches all patterns
    for name in rms_norms:
        net.add_module(name, LlamaRMSNorm(WIDTH))
    config = CDVFTConfig(target_modules=["first"], modules_to_save=["head", "LayerNorm", *rms_norms])
    model = peft.get_peft_model(net, config)
    optimizer = cdvft.create_optimizer(model, torch.optim.AdamW, 1e-2, weight_decay=0.1)
    decayed = {name for name, (_, decay) in rates(model, optimizer).items() if decay}
    trained = {name for name, p in model.named_parameters() if p.requires_grad}
    assert {name for name in trained - decayed if "norm" in name.lower()}
    assert decayed == trained & set(Trainer.get_decay_parameter_names(None, model))
