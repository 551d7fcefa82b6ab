"""Whole training steps of models with random weights: forward, loss, backward and AdamW."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from peft import C3AConfig, FourierFTConfig, LoraConfig, get_peft_model
from torch import Tensor, nn

from cdvft import CDVFTConfig


@dataclass(frozen=True)
class Model:
    """How to build a model, what of it to adapt, where its activations begin, and one batch of inputs."""

    title: str
    build: Callable[[], nn.Module]
    targets: tuple[str, ...]
    first: str
    inputs: Callable[[], dict[str, Tensor]]
    batch: int


def _bert(hidden: int, layers: int, heads: int) -> Callable[[], nn.Module]:
    def build() -> nn.Module:
        from transformers import BertConfig, BertForSequenceClassification

        return BertForSequenceClassification(
            BertConfig(
                hidden_size=hidden,
                num_hidden_layers=layers,
                num_attention_heads=heads,
                intermediate_size=4 * hidden,
                num_labels=2,
            )
        )

    return build


def _roberta() -> nn.Module:
    from transformers import RobertaConfig, RobertaForSequenceClassification

    return RobertaForSequenceClassification(
        RobertaConfig(vocab_size=50265, max_position_embeddings=514, num_labels=2)
    )


class _Images(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        import timm

        self.vit = timm.create_model("vit_small_patch16_224", pretrained=False, num_classes=2)

    def forward(self, pixels: Tensor) -> Any:
        return self.vit(pixels)


def _tokens(batch: int) -> Callable[[], dict[str, Tensor]]:
    return lambda: {
        "input_ids": torch.randint(5, 30000, (batch, 128)),
        "attention_mask": torch.ones(batch, 128),
    }


MODELS = (
    Model(
        "MiniLM shape, 16 x 128 tokens",
        _bert(384, 6, 12),
        ("query", "value"),
        "bert.embeddings",
        _tokens(16),
        16,
    ),
    Model(
        "RoBERTa-base shape, 8 x 128 tokens",
        _roberta,
        ("query", "value"),
        "roberta.embeddings",
        _tokens(8),
        8,
    ),
    Model(
        "ViT-S shape, 8 images of 197 tokens",
        _Images,
        ("qkv", "proj"),
        "vit.norm_pre",
        lambda: {"pixels": torch.randn(8, 3, 224, 224)},
        8,
    ),
)
DRY = Model(
    "a tiny encoder, 2 x 128 tokens", _bert(384, 1, 12), ("query", "value"), "bert.embeddings", _tokens(2), 2
)
"""For dry runs alone."""
METHODS: dict[str, Callable[[list[str]], Any]] = {
    "lora": lambda targets: LoraConfig(r=8, target_modules=targets),
    "fourierft": lambda targets: FourierFTConfig(n_frequency=1000, target_modules=targets),
    "c3a": lambda targets: C3AConfig(block_size=384, target_modules=targets),
    "cdvft": lambda targets: CDVFTConfig(target_modules=targets),
}


def candidates(
    model: Model, device: torch.device | str = "cpu", dtype: torch.dtype = torch.float32
) -> dict[str, Callable[[], None]]:
    """A step a method; "frozen" is the limit: gradients reach the embeddings, only the head trains.

    dtype: of products, by autocast
    """
    torch.manual_seed(1)
    inputs = {name: tensor.to(device) for name, tensor in model.inputs().items()}
    labels = torch.randint(0, 2, (model.batch,), device=device)
    found = {}
    for method in ("frozen", *METHODS):
        torch.manual_seed(0)
        net = model.build().train()
        heads = [name for name, _ in net.named_parameters() if "classifier" in name or "vit.head" in name]
        if method == "frozen":
            net.requires_grad_(False)
            net.get_submodule(model.first).register_forward_hook(lambda *call: call[-1].requires_grad_())
        else:
            targets = [
                name
                for name, _ in net.named_modules()
                if name.endswith(model.targets) and "patch" not in name
            ]
            net = get_peft_model(net, METHODS[method](targets)).base_model.model
        for name, parameter in net.named_parameters():
            if name in heads:
                parameter.requires_grad_(True)
        found[method] = _step(net.to(device), inputs, labels, dtype)
    return found


def _step(
    net: nn.Module, inputs: dict[str, Tensor], labels: Tensor, dtype: torch.dtype
) -> Callable[[], None]:
    device = labels.device.type
    trained = [p for p in net.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=1e-4, capturable=device == "cuda")  # for `captured`

    def step() -> None:
        with torch.autocast(device, dtype, enabled=dtype != torch.float32):
            out = net(**inputs)
            loss = nn.functional.cross_entropy(getattr(out, "logits", out), labels)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()

    return step
