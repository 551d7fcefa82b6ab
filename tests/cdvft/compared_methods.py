"""The methods that `cdvft.cost` compares, by PEFT."""

from __future__ import annotations

from functools import partial

from peft import C3AConfig, FourierFTConfig, LoraConfig, PeftModel, VeraConfig, get_peft_model
from torch import nn

from cdvft import CDVFTConfig

KINDS = {
    "cdvft": CDVFTConfig,
    "lora": LoraConfig,
    "dora": partial(LoraConfig, use_dora=True),
    "vera": VeraConfig,
    "fourierft": FourierFTConfig,
    "c3a": C3AConfig,
}


def adapted(method: str, settings: dict[str, int | None], layers: dict[str, nn.Module]) -> PeftModel:
    """The layers with a method's adapters; `settings` are by the names that `cdvft.cost` has for them."""
    by_peft = {"n_frequency" if name == "n" else name: value for name, value in settings.items()}
    return get_peft_model(nn.ModuleDict(layers), KINDS[method](target_modules=list(layers), **by_peft))
