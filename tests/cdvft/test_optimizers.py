"""`cdvft.create_optimizer`: every trained parameter in one group, each at its rate."""

from __future__ import annotations

import math

import peft
import pytest
import torch
from torch import nn
from transformers import Trainer, TrainingArguments
from transformers.models.llama.modeling_llama import LlamaRMSNorm

import cdvft
from cdvft import CDVFTConfig

WIDTH = 24


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(WIDTH, WIDTH)
        self.LayerNorm = nn.LayerNorm(WIDTH)
        self.second = nn.Linear(WIDTH, 2 * WIDTH)
        self.head = nn.Linear(2 * WIDTH, 2)

    def forward(self, x: torch.Tensor, labels: torch.Tensor | None = None) -> dict[str, torch.Tensor]:
        logits = self.head(torch.tanh(self.second(torch.tanh(self.LayerNorm(self.first(x))))))
        loss = {} if labels is None else {"loss": nn.functional.cross_entropy(logits, labels)}
        return {**loss, "logits": logits}


def adapted(m: int = 3, **more) -> nn.Module:
    torch.manual_seed(0)
    config = CDVFTConfig(m=m, target_modules=["first", "second"], modules_to_save=["head"], **more)
    return peft.get_peft_model(Net(), config)


def rates(model: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, tuple[float, float]]:
    """(rate, weight decay) by the parameter's name; fails where one is in two groups."""
    found: dict[int, tuple[float, float]] = {}
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            assert id(parameter) not in found
            found[id(parameter)] = group["lr"], group["weight_decay"]
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    return {names[one]: of for one, of in found.items()}


def test_every_factor_has_its_rate() -> None:
    model = adapted(m=3, bias="all")
    optimizer = cdvft.create_optimizer(
        model, torch.optim.AdamW, 1e-2, input_diagonal_lr_ratio=4, weight_decay=0.1, betas=(0.8, 0.9)
    )
    found = rates(model, optimizer)
    assert found.keys() == {name for name, one in model.named_parameters() if one.requires_grad}
    for name, (rate, decay) in found.items():
        is_input = name.endswith("cdvft_diagonals.default.0")
        assert rate == pytest.approx(4e-2 if is_input else 1e-2), name
        assert decay == (0.0 if "bias" in name else 0.1), name
    assert sum(name.endswith("cdvft_diagonals.default.0") for name in found) == 2
    assert sum("cdvft_diagonals" in name for name in found) == 2 * 3
    assert optimizer.defaults["betas"] == (0.8, 0.9)
    assert optimizer.param_groups[0]["lr"] == 1e-2, "the rate that is logged"


def test_what_decays_is_what_trainer_lets_decay() -> None:
    net = Net()
    net.add_module("final_norm", LlamaRMSNorm(WIDTH))
    config = CDVFTConfig(target_modules=["first"], modules_to_save=["head", "LayerNorm", "final_norm"])
    model = peft.get_peft_model(net, config)
    optimizer = cdvft.create_optimizer(model, torch.optim.AdamW, 1e-2, weight_decay=0.1)
    decayed = {name for name, (_, decay) in rates(model, optimizer).items() if decay}
    trained = {name for name, one in model.named_parameters() if one.requires_grad}
    assert "base_model.model.final_norm.modules_to_save.default.weight" in trained - decayed
    assert decayed == trained & set(Trainer.get_decay_parameter_names(None, model))


def test_a_ratio_of_one_trains_as_without_it() -> None:
    x, labels = torch.randn(8, WIDTH), torch.randint(0, 2, (8,))
    trained = []
    for make in (
        lambda model: cdvft.create_optimizer(model, torch.optim.AdamW, 1e-2),
        lambda model: torch.optim.AdamW(
            [one for one in model.parameters() if one.requires_grad], lr=1e-2, weight_decay=0
        ),
    ):
        model = adapted()
        optimizer = make(model)
        for _ in range(3):
            optimizer.zero_grad()
            model(x, labels=labels)["loss"].backward()
            optimizer.step()
        trained.append(model.state_dict())
    assert all(torch.equal(one, trained[1][name]) for name, one in trained[0].items())


def test_transformers_trainer_takes_it_and_its_schedule_scales_both_rates(tmp_path) -> None:
    model = adapted(m=2)
    optimizer = cdvft.create_optimizer(model, torch.optim.AdamW, 1e-2, input_diagonal_lr_ratio=8)
    torch.manual_seed(1)
    rows = [{"x": torch.randn(WIDTH), "labels": torch.tensor(n % 2)} for n in range(16)]
    before = {name: one.clone() for name, one in model.state_dict().items()}
    trainer = Trainer(
        model=model,
        args=TrainingArguments(
            output_dir=str(tmp_path), max_steps=4, per_device_train_batch_size=4, report_to="none",
            lr_scheduler_type="linear", learning_rate=1e-2, save_strategy="no", use_cpu=True,
        ),
        train_dataset=rows,
        optimizers=(optimizer, None),
    )  # fmt: skip
    trainer.train()
    seen = trainer.lr_scheduler.base_lrs
    assert sorted(set(seen)) == pytest.approx([1e-2, 8e-2])
    moved = {name: (one - before[name]).abs().max().item() for name, one in model.state_dict().items()}
    of_input = [of for name, of in moved.items() if name.endswith("cdvft_diagonals.default.0")]
    of_output = [of for name, of in moved.items() if name.endswith("cdvft_diagonals.default.1")]
    assert min(of_output) > 0 and max(of_input) > 2 * max(of_output)


def test_several_adapters_and_only_what_trains() -> None:
    model = adapted(m=2)
    model.add_adapter("other", CDVFTConfig(m=3, target_modules=["first"]))
    model.set_adapter("other")
    optimizer = cdvft.create_optimizer(model, torch.optim.SGD, 0.1, input_diagonal_lr_ratio=2)
    found = rates(model, optimizer)
    assert {name.split("cdvft_")[1].split(".")[1] for name in found if "cdvft_" in name} == {"other"}
    assert [name for name, (rate, _) in found.items() if rate == 0.2] == [
        name for name in found if name.endswith("cdvft_diagonals.other.0")
    ]


@pytest.mark.parametrize("ratio", [0, -1, math.nan, math.inf, "4", True])
def test_a_ratio_that_is_none_is_a_sentence(ratio) -> None:
    with pytest.raises(ValueError, match=r"input_diagonal_lr_ratio is .*finite number above 0"):
        cdvft.create_optimizer(adapted(), torch.optim.AdamW, 1e-2, input_diagonal_lr_ratio=ratio)


def test_a_model_without_an_adapter_is_a_sentence() -> None:
    with pytest.raises(ValueError, match="trains no input diagonal"):
        cdvft.create_optimizer(Net(), torch.optim.AdamW, 1e-2, input_diagonal_lr_ratio=4)
