from __future__ import annotations

import sys

import pytest
import torch
from peft import C3AConfig, FourierFTConfig, LoraConfig, PeftModel, VeraConfig, get_peft_model
from peft.mapping import PEFT_TYPE_TO_CONFIG_MAPPING, PEFT_TYPE_TO_PREFIX_MAPPING, PEFT_TYPE_TO_TUNER_MAPPING
from torch import nn
from transformers import RobertaConfig, RobertaForSequenceClassification

from cdvft import CDVFTConfig
from cdvft_app.results.finished_run import ResultsError
from cdvft_app.results.weights import write_lora

CONFIG = RobertaConfig(
    vocab_size=50,
    hidden_size=32,
    num_hidden_layers=2,
    num_attention_heads=2,
    intermediate_size=64,
    max_position_embeddings=20,
    pad_token_id=0,
)
IDS = torch.tensor([[2, 4, 8, 3], [2, 5, 3, 7]])
ADAPTERS = {
    "cdvft": (CDVFTConfig, {"m": 2}),
    "lora": (LoraConfig, {"r": 4, "lora_alpha": 12}),
    "dora": (LoraConfig, {"r": 4, "lora_alpha": 12, "use_dora": True}),
    "vera": (VeraConfig, {"r": 16}),
    "fourierft": (FourierFTConfig, {"n_frequency": 40}),
    "c3a": (C3AConfig, {"block_size": 16}),
}


def base() -> nn.Module:
    torch.manual_seed(0)
    return RobertaForSequenceClassification(CONFIG).eval()


def trained(method: str) -> PeftModel:
    """A model whose adapter and whose head of two layers are far from their start."""
    kind, settings = ADAPTERS[method]
    shared = {"modules_to_save": ["classifier"], "task_type": "SEQ_CLS"}
    model = get_peft_model(
        base(), kind(target_modules=r".*encoder.*\.(query|value|dense)", **settings, **shared)
    )
    torch.manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.add_(0.2 * torch.randn_like(parameter))
    return model.eval()


@torch.no_grad()
def logits(model: nn.Module) -> torch.Tensor:
    return model(input_ids=IDS).logits


@pytest.mark.parametrize("method", ADAPTERS)
def test_at_full_rank_it_is_the_same_model(method, tmp_path):
    model = trained(method)
    conversion = write_lora(model, 32, tmp_path)
    assert len(conversion.layers) == 2 * 5
    assert conversion.share == pytest.approx(1, abs=1e-6)
    again = PeftModel.from_pretrained(base(), str(tmp_path)).eval()
    torch.testing.assert_close(logits(again), logits(model), rtol=0, atol=1e-5)
    assert not torch.allclose(logits(again), logits(base()), atol=0.1)


@torch.no_grad()
def test_a_layer_keeps_the_energy_of_its_largest_singular_values(tmp_path):
    model = trained("cdvft")
    conversion = write_lora(model, 3, tmp_path)
    whole = kept = 0.0
    for name, share in conversion.layers.items():
        update = model.base_model.model.get_submodule(name).get_delta_weight("default").double()
        energies = torch.linalg.svdvals(update) ** 2
        assert share == pytest.approx(float(energies[:3].sum() / energies.sum()), abs=1e-5)
        whole, kept = whole + float(energies.sum()), kept + float(energies[:3].sum())
    assert conversion.share == pytest.approx(kept / whole, abs=1e-5)
    assert 0.1 < conversion.share < 0.9


def test_an_update_of_zero_has_nothing_to_lose(tmp_path):
    model = get_peft_model(base(), CDVFTConfig(target_modules=["query"], task_type="SEQ_CLS"))
    conversion = write_lora(model, 2, tmp_path)
    assert (conversion.share, set(conversion.layers.values())) == (1.0, {1.0})


def test_peft_loads_it_where_cdvft_is_not_installed(tmp_path, monkeypatch):
    model = trained("cdvft")
    write_lora(model, 32, tmp_path / "lora")
    expected = logits(model)
    for table in (PEFT_TYPE_TO_CONFIG_MAPPING, PEFT_TYPE_TO_TUNER_MAPPING, PEFT_TYPE_TO_PREFIX_MAPPING):
        monkeypatch.delitem(table, "CDVFT")
    for name in [name for name in sys.modules if name.partition(".")[0] == "cdvft"]:
        monkeypatch.setitem(sys.modules, name, None)  # an import of it fails
    with pytest.raises(ImportError):
        import cdvft  # noqa: F401 (it is gone)
    again = PeftModel.from_pretrained(base(), str(tmp_path / "lora")).eval()
    torch.testing.assert_close(logits(again), expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("rank", [0, 33])
def test_a_rank_that_no_layer_has_is_refused(rank, tmp_path):
    with pytest.raises(ResultsError, match=f"got {rank}; the layers of this run take ranks from 1 to 32"):
        write_lora(trained("cdvft"), rank, tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_model_without_an_adapter_is_refused(tmp_path):
    with pytest.raises(ResultsError, match="trained no adapter"):
        write_lora(base(), 2, tmp_path)
