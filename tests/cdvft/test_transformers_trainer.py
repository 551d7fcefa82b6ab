"""transformers.Trainer trains, saves and resumes a CDVFT adapter like any other of PEFT's."""

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
    options = {
        "output_dir": str(folder),
        "per_device_train_batch_size": 4,
        "learning_rate": 0.01,
        "save_steps": 2,
        "seed": 3,
        "report_to": "none",
        "disable_tqdm": True,
        "use_cpu": True,
        "logging_steps": 1,
    }
    return Trainer(model, TrainingArguments(**options | arguments), train_dataset=EXAMPLES)


def trained(model: nn.Module) -> dict[str, torch.Tensor]:
    return {key: value.clone() for key, value in get_peft_model_state_dict(model).items()}


@pytest.mark.parametrize("gradient_checkpointing", [False, True])
def test_two_steps_then_resume_equal_four(bert, tmp_path, gradient_checkpointing: bool) -> None:
    options = {"max_steps": 4, "gradient_checkpointing": gradient_checkpointing}
    whole = trainer(bert, tmp_path, **options)
    start = trained(whole.model)
    whole.train()
    end = trained(whole.model)
    assert any(not torch.equal(start[key], end[key]) for key in end if "cdvft_" in key)
    files = {path.name for path in (tmp_path / "checkpoint-2").iterdir()}
    assert {"adapter_model.safetensors", "adapter_config.json"} <= files

    resumed = trainer(bert, tmp_path / "again", **options)
    resumed.train(resume_from_checkpoint=str(tmp_path / "checkpoint-2"))
    assert resumed.state.global_step == 4
    for key, value in trained(resumed.model).items():
        torch.testing.assert_close(value, end[key])


@pytest.mark.skipif(
    Version(transformers.__version__) < Version("5.24"),
    reason="needs transformers 5.24: 5.20 resumes no adapter that lies beside folders of others",
)
def test_checkpoints_beside_a_weighted_sum_are_saved_and_resumed(bert, tmp_path) -> None:
    def with_sum(folder) -> Trainer:
        torch.manual_seed(0)  # vectors of the second adapter
        made = trainer(bert, folder, task_type=None, max_steps=4)  # a head of its own has no exact sum
        made.model.add_adapter("other", CDVFTConfig(init_weights=False))
        made.model.add_weighted_adapter(["default", "other"], [0.5, 2.0], "sum")
        made.model.set_adapter("default")
        return made

    whole = with_sum(tmp_path)
    whole.train()
    resumed = with_sum(tmp_path / "again")
    resumed.train(resume_from_checkpoint=str(tmp_path / "checkpoint-2"))
    assert resumed.state.global_step == 4
    end = trained(whole.model)
    for key, value in trained(resumed.model).items():
        torch.testing.assert_close(value, end[key])
    for model in (whole.model, resumed.model):
        model.set_adapter("sum")
    torch.testing.assert_close(bert.outputs(resumed.model), bert.outputs(whole.model))
