"""Train a causal language model from an exported run: prompts with the answers it is to generate.

Reads settings.json, train.parquet and evaluation.parquet, and writes the weights to trained/.
Run it in its folder: pip install -r requirements.txt && python train.py
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import torch
from datasets import load_dataset
from peft import PeftConfig, get_peft_model
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    BitsAndBytesConfig,
    DataCollatorForSeq2Seq,  # pads labels, too
    Trainer,
    TrainingArguments,
    set_seed,
)

import cdvft  # noqa: F401 - registers CDVFT with PEFT

SETTINGS: dict[str, Any] = json.loads(Path("settings.json").read_text(encoding="utf-8"))
BASE, REVISION = SETTINGS["base"], SETTINGS["revision"]
EVALUATED_AT_ONCE = 16

tokenizer = AutoTokenizer.from_pretrained(BASE, revision=REVISION)
tokenizer.pad_token = tokenizer.pad_token or tokenizer.eos_token
tokenizer.chat_template = tokenizer.chat_template or SETTINGS["chat_template"]


def encode(row: dict[str, Any]) -> dict[str, Any]:
    """Return the tokens of prompt and answer; the loss ignores the prompt's."""
    system = [{"role": "system", "content": SETTINGS["instruction"]}] if SETTINGS["instruction"] else []
    text = tokenizer.apply_chat_template(
        system + list(row["messages"]), add_generation_prompt=True, tokenize=False
    )
    prompt = tokenizer(text, add_special_tokens=False)["input_ids"]
    answer = [*tokenizer(row["answer"], add_special_tokens=False)["input_ids"], tokenizer.eos_token_id]
    return {"prompt": prompt, "input_ids": prompt + answer, "labels": [-100] * len(prompt) + answer}


def load_model() -> Any:
    bits, options = SETTINGS["bits"], {}
    if bits == 4:
        options["quantization_config"] = BitsAndBytesConfig(
            load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True
        )
    elif bits == 8:
        options["quantization_config"] = BitsAndBytesConfig(load_in_8bit=True)
    dtype = torch.bfloat16 if SETTINGS["half"] else torch.float32
    model = AutoModelForCausalLM.from_pretrained(BASE, revision=REVISION, dtype=dtype, **options)
    if SETTINGS["method"] == "full":
        return model
    return get_peft_model(model, PeftConfig.from_pretrained("peft_config"))


class CausalTrainer(Trainer):
    def create_optimizer(self, *_: Any) -> torch.optim.Optimizer:
        model: Any = self.model
        decayed, groups = set(self.get_decay_parameter_names(model)), []
        for name, one in model.named_parameters():
            rates = [rate for pattern, rate in SETTINGS["learning_rates"].items() if re.search(pattern, name)]
            decay = self.args.weight_decay if name in decayed else 0.0
            groups.append({"params": [one], "lr": rates[0], "weight_decay": decay})
        self.optimizer = torch.optim.AdamW(groups, betas=(self.args.adam_beta1, 0.999))
        return self.optimizer


def generate(model: Any, prompts: list[list[int]]) -> list[str]:
    """Return the most probable continuation of each prompt."""
    tokenizer.padding_side = "left"
    answers = []
    for start in range(0, len(prompts), EVALUATED_AT_ONCE):
        some = prompts[start : start + EVALUATED_AT_ONCE]
        batch = tokenizer.pad({"input_ids": some}, return_tensors="pt").to(model.device)
        room = SETTINGS["max_length"] - min(map(len, some))
        written = model.generate(**batch, max_new_tokens=room, do_sample=False)
        new = written[:, batch["input_ids"].shape[1] :]
        answers += tokenizer.batch_decode(new, skip_special_tokens=True)
    return answers


def final(text: str) -> str:
    """Return the part of an answer that is compared: all of it, or what follows the data's mark."""
    mark = SETTINGS["answer_mark"]
    return text.rpartition(mark)[2].strip().rstrip(".") if mark else text.strip()


set_seed(SETTINGS["arguments"]["seed"])
rows = load_dataset("parquet", data_files={name: f"{name}.parquet" for name in ("train", "evaluation")})
data = rows.map(encode, remove_columns=["messages"])
data = data.filter(lambda row: len(row["input_ids"]) <= SETTINGS["max_length"])
model = load_model()
trainer = CausalTrainer(
    model,
    TrainingArguments("checkpoints", **SETTINGS["arguments"]),
    DataCollatorForSeq2Seq(tokenizer),
    data["train"].select_columns(["input_ids", "labels"]),
)
trainer.train()
model.eval()
answers = generate(model, list(data["evaluation"]["prompt"]))
pairs = list(zip(answers, data["evaluation"]["answer"], strict=True))
correct = [final(answer) == final(expected) for answer, expected in pairs]
print(f"exact match: {sum(correct) / len(correct):.4f}")
model.save_pretrained("trained")
tokenizer.save_pretrained("trained")
