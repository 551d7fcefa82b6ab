"""Convert a SmolLM in a GGUF file into safetensors and a tokenizer that transformers loads by itself.

transformers reads the file with the gguf package, bit for bit. It lacks two things: it refuses to save what
it read, and it does not know that this family's tokenizer takes digits one by one.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

_NAME = "model.gguf"


def convert(content: bytes, folder: Path) -> None:
    """Write config, weights (float32) and tokenizer of a GGUF file into `folder`."""
    import torch
    from safetensors.torch import save_file
    from tokenizers import pre_tokenizers
    from transformers import AutoModelForCausalLM, AutoTokenizer

    with tempfile.TemporaryDirectory(dir=folder) as work:
        (Path(work) / _NAME).write_bytes(content)
        local: Any = {"gguf_file": _NAME, "local_files_only": True, "trust_remote_code": False}
        model = AutoModelForCausalLM.from_pretrained(work, dtype=torch.float32, **local)
        tokenizer = AutoTokenizer.from_pretrained(work, **local)
    config = model.config
    del config.quantization_config  # by which transformers refuses to save it
    config.architectures = [type(model).__name__]
    config.rms_norm_eps = round(config.rms_norm_eps, 12)  # float32 in the file
    config.save_pretrained(folder)
    tied = {"lm_head.weight"} if config.tie_word_embeddings else set()
    weights = {name: weight for name, weight in model.state_dict().items() if name not in tied}
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    tokenizer.backend_tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    tokenizer.model_max_length = config.max_position_embeddings
    tokenizer.save_pretrained(folder)
