"""transformers.Trainer trains, saves and resumes a CDVFT adapter like any other of PEFT's."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import transformers
from packaging.version import Version
from peft import get_peft_model, get_peft_model_state_dict
from torch import nn
from transformers import Trainer, TrainingArguments

from cdvft import CDVFTConfig

EXAMPLES = [{"input_ids": [1 + i, 2 + i, 3], "labels": i % 3} for i in range(16)]


def trainer(bert, folder, task_type="SEQ_CLS", **arguments) -> Trainer:
    model = get_peft_model(bert.model(), CDVFTConfig(task_type=task_type))
    arguments |= {
        "output_dir": str(folder), "max_steps": 4, "save_steps": 2, "logging_steps": 1, "seed": 3,
        "per_device_train_batch_size": 4, "learning_rate": 0.01, "use_cpu": True, "report_to": "none",
        "disable_tqdm": True,
    }  # fmt: skip
    return Trainer(model, TrainingArguments(**arguments), train_dataset=EXAMPLES)


def trained(model: nn.Module) -> dict[str, torch.Tensor]:
    return {key: value.clone() for key, value in get_peft_model_state_dict(model).items()}


def resumed_is_whole(make: Callable[[Path], Trainer], folder: Path) -> tuple[nn.Module, nn.Module]:
    """Models of four steps at once, and of two after the two that were saved; they hold the same."""
    whole, resumed = make(folder), make(folder / "again")
    start = trained(whole.model)
    whole.train()
    end = trained(whole.model)
    assert any(not torch.equal(start[key], end[key]) for key in end if "cdvft_" in key)
    resumed.train(resume_from_checkpoint=str(folder / "checkpoint-2"))
    assert resumed.state.global_step == 4
    torch.testing.assert_close(trained(resumed.model), end)
    return whole.model, resumed.model


@pytest.mark.parametrize("gradient_checkpointing", [False, True])
def test_two_steps_then_resume_equal_four(bert, tmp_path: Path, gradient_checkpointing: bool) -> None:
    options = {"gradient_checkpointing": gradient_checkpointing}
    resumed_is_whole(lambda folder: trainer(bert, folder, **options), tmp_path)
    files = {path.name for path in (tmp_path / "checkpoint-2").iterdir()}
    assert {"adapter_model.safetensors", "adapter_config.json"} <= files


@pytest.mark.skipif(
    Version(transformers.__version__) < Version("5.24"),
    reason="needs transformers 5.24: 5.20 resumes no adapter that lies beside folders of others",
)
def test_checkpoints_beside_a_weighted_sum_are_saved_and_resumed(bert, tmp_path: Path) -> None:
    def with_sum(folder: Path) -> Trainer:
        torch.manual_seed(0)  # vectors of the second adapter
        made = trainer(bert, folder, task_type=None)  # a head of its own has no exact sum
        made.model.add_adapter("other", CDVFTConfig(init_weights=False))
        made.model.add_weighted_adapter(["default", "other"], [0.5, 2.0], "sum")
        made.model.set_adapter("default")
        return made

    whole, resumed = resumed_is_whole(with_sum, tmp_path)
    for model in (whole, resumed):
        model.set_adapter("sum")
    torch.testing.assert_close(bert.outputs(resumed), bert.outputs(whole))
