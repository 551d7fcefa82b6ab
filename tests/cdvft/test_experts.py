"""Experts as parameters (`target_parameters`): against dense matrices, by PEFT's calls, in mixtures."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from peft import PeftModel, get_peft_model
from short_training import losses_of
from torch import Tensor, nn
from torch.func import functional_call

from cdvft import CDVFTConfig
from cdvft.circulant import cd_product
from cdvft.experts import ParamWrapper

OPTIONS: dict[str, Any] = {"target_modules": [], "init_weights": False, "alpha": 0.1}
OPTIONS |= {"target_parameters": ["experts.gate_up_proj", "experts.down_proj"]}
SMALL = {"vocab_size": 64, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4}
SMALL |= {"num_key_value_heads": 2, "num_experts_per_tok": 2, "head_dim": 8, "num_local_experts": 4}
TOKENS = torch.arange(1, 25).view(2, 12)


def mixtral() -> Any:
    return transformers.MixtralForCausalLM(transformers.MixtralConfig(**SMALL, intermediate_size=48))


def gpt_oss() -> Any:
    return transformers.GptOssForCausalLM(transformers.GptOssConfig(**SMALL, intermediate_size=48))


def adapted(model: Any, **settings: Any) -> PeftModel:
    return get_peft_model(model.eval(), CDVFTConfig(**OPTIONS | settings))


def logits(model: Any) -> Tensor:
    return model(input_ids=TOKENS).logits


def wrappers(model: nn.Module) -> list[ParamWrapper]:
    return [module for module in model.modules() if isinstance(module, ParamWrapper)]


@pytest.mark.parametrize("make", [mixtral, gpt_oss])
def test_experts_train_save_merge_and_unmerge(make: Callable[[], Any], tmp_path: Path) -> None:
    torch.manual_seed(0)
    base = make()
    base.save_pretrained(tmp_path / "base")
    with torch.no_grad():
        bare = logits(base.eval())
    model = adapted(base, init_weights=True, alpha=1.0)
    assert len(wrappers(model)) == 4  # two parameters in each of two layers
    torch.testing.assert_close(logits(model), bare)
    trained = [p for p in model.parameters() if p.requires_grad]
    assert [p.shape[0] for p in trained] == [4] * (4 * 3)  # two diagonals and a circulant per expert
    losses = losses_of(model, lambda: model(input_ids=TOKENS, labels=TOKENS).loss, steps=3, lr=0.1)
    assert losses[-1] < losses[0]
    with torch.no_grad():
        apart = logits(model)
        assert (apart - bare).abs().mean() > 1e-3
        model.save_pretrained(tmp_path / "adapter")
        fresh = type(base).from_pretrained(tmp_path / "base").eval()
        again = PeftModel.from_pretrained(fresh, tmp_path / "adapter")
        torch.testing.assert_close(logits(again), apart)
        for change in (model.merge_adapter, model.unmerge_adapter):
            change()
            torch.testing.assert_close(logits(model), apart, rtol=1e-4, atol=1e-5)
        with model.disable_adapter():
            torch.testing.assert_close(logits(model), bare, rtol=1e-4, atol=1e-5)
        plain = again.merge_and_unload()
        assert not any("cdvft" in name or "base_layer" in name for name in plain.state_dict())
        torch.testing.assert_close(logits(plain), apart, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("transposed", "settings"), [(False, {}), (True, {"m": 3, "block_size": 5})])
def test_expert_gradients_match_dense_matrices(transposed: bool, settings: dict) -> None:
    torch.manual_seed(0)

    class Experts(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.is_transposed = transposed
            self.up = nn.Parameter(torch.randn(3, 6, 10) if transposed else torch.randn(3, 10, 6))

        def forward(self, x: Tensor) -> Tensor:
            return torch.einsum("td,edo->eto" if transposed else "td,eod->eto", x, self.up)

    experts = Experts().double()
    net = nn.Sequential(OrderedDict(experts=experts))
    model = adapted(net, target_parameters=["experts.up"], **settings).double()
    (wrapper,) = wrappers(model)
    diagonals, circulants, _ = wrapper.factors("default")
    leaves = [torch.randn(4, 6, dtype=torch.float64, requires_grad=True), *diagonals, *circulants]
    dense = [cd_product([a[e] for a in diagonals], [c[e] for c in circulants]) for e in range(3)]
    update = 0.1 * torch.stack([each.T if transposed else each for each in dense])
    outputs = model(leaves[0]), functional_call(experts, {"up": experts.up + update}, (leaves[0],))
    torch.testing.assert_close(*outputs)
    weights = torch.randn_like(outputs[0])
    torch.testing.assert_close(*(torch.autograd.grad((out * weights).sum(), leaves) for out in outputs))


def test_expert_adapters_switch_and_delete() -> None:
    model = adapted(mixtral(), target_modules=["q_proj"], m_pattern={"experts.down_proj": 3})
    model.add_adapter("other", CDVFTConfig(**OPTIONS))
    assert len(wrappers(model)) == 4
    diagonals = {w.parameter_name: len(w.cdvft_diagonals["default"]) for w in wrappers(model)}
    assert diagonals == {"gate_up_proj": 2, "down_proj": 3}
    first = logits(model)
    model.set_adapter("other")
    second = logits(model)
    assert not torch.allclose(first, second, atol=1e-4)
    with pytest.raises(ValueError, match="_proj'"):
        model.eval()(input_ids=TOKENS, adapter_names=["default", "other"])
    model.delete_adapter("default")
    torch.testing.assert_close(logits(model), second)
