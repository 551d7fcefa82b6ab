"""transformers.Trainer trains, saves, and resumes a CDVFT adapter."""

from pathlib import Path

import pytest
import torch
from peft import get_peft_model, get_peft_model_state_dict
from torch import nn
from transformers import Trainer, TrainingArguments

from cdvft import CDVFTConfig

EXAMPLES = [{"input_ids": [1 + i, 2 + i, 3], "labels": i % 3} for i in range(16)]


def trainer(bert, folder: Path, **arguments) -> Trainer:
    model = get_peft_model(bert.model(), CDVFTConfig(task_type="SEQ_CLS"))
    arguments |= {
        "output_dir": str(folder), "max_steps": 4, "save_steps": 2, "logging_steps": 1, "seed": 3,
        "per_device_train_batch_size": 4, "learning_rate": 0.01, "use_cpu": True, "report_to": "none",
        "disable_tqdm": True,
    }  # fmt: skip
    return Trainer(model, TrainingArguments(**arguments), train_dataset=EXAMPLES)


def trained(model: nn.Module) -> dict[str, torch.Tensor]:
    return {key: value.clone() for key, value in get_peft_model_state_dict(model).items()}


@pytest.mark.parametrize("gradient_checkpointing", [False, True])
def test_resumed_training_equals_uninterrupted(bert, tmp_path: Path, gradient_checkpointing: bool) -> None:
    whole, resumed = (
        trainer(bert, folder, gradient_checkpointing=gradient_checkpointing)
        for folder in (tmp_path, tmp_path / "again")
    )
    start = trained(whole.model)
    whole.train()
    end = trained(whole.model)
    assert any(not torch.equal(start[key], end[key]) for key in end if "cdvft_" in key)
    resumed.train(resume_from_checkpoint=str(tmp_path / "checkpoint-2"))
    assert resumed.state.global_step == 4
    torch.testing.assert_close(trained(resumed.model), end)
    files = {path.name for path in (tmp_path / "checkpoint-2").iterdir()}
    assert {"adapter_model.safetensors", "adapter_config.json"} <= files
