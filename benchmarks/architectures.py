"""To which architectures and layers CDVFT applies: each is wrapped, trained for a step, and merged.

    python -m benchmarks.architectures

Every model is tiny and random, of the class that the pretrained ones have. It is adapted on the default
layers, or on those named here; every vector must get a gradient in the step that follows; then the update is
merged, and the outputs before and after are compared. Of layers that are refused the sentence is kept. Writes
benchmarks/results/architectures.json. A few seconds.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import timm
import torch
import transformers
from peft import PeftModel, get_peft_model
from torch import Tensor, nn

from benchmarks.machine import machine, write_record
from cdvft import CDVFTConfig, CDVFTLinear

RESULTS = Path(__file__).parent / "results" / "architectures.json"
SIZES = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "vocab_size": 50,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
Inputs = Callable[[], dict[str, Tensor]]


def tokens() -> dict[str, Tensor]:
    return {"input_ids": torch.arange(3, 19).view(2, 8)}


def pixels() -> dict[str, Tensor]:
    return {"pixel_values": torch.randn(2, 3, 32, 32)}


def pairs() -> dict[str, Tensor]:
    return tokens() | {"decoder_input_ids": torch.arange(3, 11).view(2, 4)}


def speech() -> dict[str, Tensor]:
    return {"input_features": torch.randn(2, 80, 60), "decoder_input_ids": pairs()["decoder_input_ids"]}


@dataclass(frozen=True)
class Architecture:
    """A class of transformers or a name of timm, what kind of model it is, and its sizes where they differ.

    `own_names`: it calls its sizes by other names than the others do.
    """

    name: str
    kind: str
    inputs: Inputs = tokens
    targets: tuple[str, ...] | None = None
    sizes: tuple[tuple[str, Any], ...] = ()
    own_names: bool = False

    def build(self) -> nn.Module:
        torch.manual_seed(0)
        if "." in self.name or self.name.startswith("test_"):
            return _OfTimm(self.name)
        config = getattr(transformers, f"{self.name}Config")(
            **({} if self.own_names else SIZES) | dict(self.sizes)
        )
        return getattr(transformers, f"{self.name}Model")(config)


class _OfTimm(nn.Module):
    def __init__(self, name: str) -> None:
        super().__init__()
        self.backbone = timm.create_model(name, num_classes=0)

    def forward(self, pixel_values: Tensor) -> Tensor:
        side = self.backbone.default_cfg["input_size"][-1]
        return self.backbone(nn.functional.interpolate(pixel_values, size=(side, side)))


IMAGE = (("image_size", 32), ("patch_size", 8))
STAGES = (("depths", (1, 1)), ("hidden_sizes", (16, 32)), ("num_stages", 2))
ENCODER_DECODER = (
    ("d_model", 32), ("encoder_layers", 2), ("decoder_layers", 2), ("encoder_attention_heads", 4),
    ("decoder_attention_heads", 4), ("encoder_ffn_dim", 64), ("decoder_ffn_dim", 64),
)  # fmt: skip
TESTED = (
    Architecture("Bert", "text encoder"),
    Architecture("Roberta", "text encoder"),
    Architecture("DebertaV2", "text encoder"),
    Architecture("ModernBert", "text encoder"),
    Architecture("GPT2", "language model", sizes=(("n_embd", 32), ("n_layer", 2), ("n_head", 4))),
    Architecture("Llama", "language model"),
    Architecture("Mistral", "language model"),
    Architecture("Qwen2", "language model"),
    Architecture("Qwen3", "language model"),
    Architecture("Gemma2", "language model", sizes=(("head_dim", 8),)),
    Architecture("Phi3", "language model"),
    Architecture("SmolLM3", "language model"),
    Architecture("Mixtral", "language model, experts", sizes=(("num_local_experts", 2),)),
    Architecture("Mamba", "state space", targets=("in_proj", "x_proj", "out_proj")),
    Architecture(
        "T5", "text to text", pairs, sizes=(("d_model", 32), ("d_kv", 8), ("d_ff", 64), ("num_layers", 2))
    ),
    Architecture("Bart", "text to text", pairs, sizes=ENCODER_DECODER),
    Architecture(
        "Whisper",
        "speech to text",
        speech,
        sizes=(*ENCODER_DECODER, ("max_source_positions", 30), ("decoder_start_token_id", 1)),
    ),
    Architecture("ViT", "image", pixels, sizes=IMAGE),
    Architecture("DeiT", "image", pixels, sizes=IMAGE),
    Architecture("Dinov2", "image", pixels, sizes=IMAGE),
    Architecture("SiglipVision", "image", pixels, ("q_proj", "v_proj"), IMAGE),
    Architecture("CLIPVision", "image", pixels, ("q_proj", "v_proj"), IMAGE),
    Architecture(
        "Swin",
        "image",
        pixels,
        sizes=(
            ("image_size", 32),
            ("patch_size", 4),
            ("embed_dim", 16),
            ("depths", (1, 1)),
            ("num_heads", (2, 4)),
            ("window_size", 4),
        ),
        own_names=True,
    ),
    Architecture("ConvNextV2", "image, convolutions", pixels, sizes=STAGES),
    Architecture("test_vit", "image, timm", pixels, targets=("qkv",)),
    Architecture("test_convnext", "image, timm", pixels, targets=("fc1", "fc2")),
)


class Around(nn.Module):
    """A layer of a class that CDVFT has to take or to refuse."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer


LAYERS: dict[str, Callable[[], nn.Module]] = {
    "Linear": lambda: nn.Linear(24, 24),
    "Linear, wider than long": lambda: nn.Linear(24, 40),
    "Linear, no common divisor": lambda: nn.Linear(7, 5),
    "Conv1D of GPT-2": lambda: transformers.pytorch_utils.Conv1D(40, 24),
    "Linear in bfloat16": lambda: nn.Linear(24, 24).bfloat16(),
    "Conv2d": lambda: nn.Conv2d(3, 4, 3),
    "Embedding": lambda: nn.Embedding(9, 8),
    "LSTM": lambda: nn.LSTM(8, 8),
    "MultiheadAttention": lambda: nn.MultiheadAttention(8, 2),
    "LayerNorm": lambda: nn.LayerNorm(8),
}


def first_tensor(output: Any) -> Tensor:
    """The one of a model's outputs that all its layers lead to."""
    return output if isinstance(output, Tensor) else output[0]


def adapted(model: nn.Module) -> Iterator[CDVFTLinear]:
    return (one for one in model.modules() if isinstance(one, CDVFTLinear))


def tried(one: Architecture) -> dict[str, Any]:
    """Wrap, train for a step, merge: what was adapted, and by how much merging changes the outputs."""
    torch.manual_seed(0)
    inputs = one.inputs()
    targets = list(one.targets) if one.targets else None
    model = get_peft_model(one.build().eval(), CDVFTConfig(target_modules=targets, init_weights=False))
    layers = list(adapted(model))
    names = sorted(model.base_model.targeted_module_names)
    trained = trained_a_step(model, inputs)
    with torch.no_grad():
        before = first_tensor(model(**inputs))
        merged = model.merge_and_unload(safe_merge=True)
        after = first_tensor(merged(**inputs))
    return {
        "name": one.name,
        "kind": one.kind,
        "targets": sorted({name.rsplit(".", 1)[-1] for name in names}),
        "layers": len(layers),
        "shapes": sorted({f"{layer.in_features} -> {layer.out_features}" for layer in layers}),
        "trained": trained,
        "merged": not any(adapted(merged)),
        "merge_error": float(f"{((after - before).norm() / before.norm()).item():.1e}"),
    }


def trained_a_step(model: PeftModel, inputs: dict[str, Tensor]) -> bool:
    """Whether each vector has a gradient, and has changed after a step along it.

    The loss is the output's product with random numbers: normalised outputs have the same norm always.
    """
    vectors = [one for one in model.parameters() if one.requires_grad]
    earlier = [one.detach().clone() for one in vectors]
    output = first_tensor(model(**inputs)).float()
    (output * torch.randn_like(output)).sum().backward()
    torch.optim.AdamW(vectors, lr=1e-2).step()
    return all(
        one.grad is not None and not torch.equal(one, before)
        for one, before in zip(vectors, earlier, strict=True)
    )


def layer_row(title: str, layer: nn.Module) -> dict[str, Any]:
    """Whether a layer of that class is taken, or the sentence by which it is refused."""
    try:
        get_peft_model(Around(layer), CDVFTConfig(target_modules=["layer"]))
    except ValueError as refused:
        return {"layer": title, "taken": False, "said": str(refused).split(". ")[0] + "."}
    return {"layer": title, "taken": True, "said": ""}


def rows() -> dict[str, list[dict[str, Any]]]:
    return {
        "architectures": [tried(one) for one in TESTED],
        "layers": [layer_row(title, make()) for title, make in LAYERS.items()],
    }


def main() -> None:
    record = {
        "command": "python -m benchmarks.architectures",
        "date": time.strftime("%Y-%m-%d"),
        "machine": machine() | {"transformers": transformers.__version__, "timm": timm.__version__},
        **rows(),
    }
    write_record(RESULTS, record)
    print(f"Wrote {RESULTS.name}: {len(record['architectures'])} architectures.")


if __name__ == "__main__":
    main()
