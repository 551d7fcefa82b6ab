"""The text of the script that trains a model to write again; script.py says with what.

What it does as the app does it, it imports: attention, conversations, shared_prefix and fields need no
other module of the app, and lie beside it as they are. Words in capitals in the parts are replaced.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from cdvft_app.catalog import conversations
from cdvft_app.catalog.entries import DatasetEntry
from cdvft_app.metrics import fields
from cdvft_app.tasks import attention, shared_prefix
from cdvft_app.tasks.generation import PLAIN_TEMPLATE


def imported(dataset: DatasetEntry) -> dict[str, str]:
    """By the file's name, the text of each module that the script imports."""
    modules = [attention, conversations, shared_prefix, *([fields] if dataset.fields else [])]
    return {f"{one.__name__.rpartition('.')[2]}.py": inspect.getsource(one) for one in modules}


def text(
    *,
    about: str,
    dataset: DatasetEntry,
    method: str,
    settings: Mapping[str, Any],
    bits: int | None,
) -> str:
    """The whole script.

    Args:
        about: the docstring, as it stands in the source.
        dataset: says what makes an answer right.
        method: "full", or a call that makes a PEFT config.
        settings: constants by name.
        bits: that the frozen weights are rounded to.
    """
    right, names, imports = _right(dataset)
    unpacked = UNPACKED if bits == 4 else ""
    constants = {**settings, **names, "PLAIN_TEMPLATE": PLAIN_TEMPLATE}
    written = [
        about,
        "\n" + _imports(method, bits, imports),
        "\n# %% What is trained, and how\n"
        + "\n".join(f"{name} = {value!r}" for name, value in constants.items()),
        DATA,
        MODEL.replace("ROUNDING", ROUNDING[bits]).replace("UNPACKED", unpacked),
        FULL if method == "full" else ADAPTER.replace("METHOD", method),
        TRAINER,
        right + WRITTEN,
        SAVED_WHOLE if method == "full" else SAVED_ADAPTER,
    ]
    return "\n".join(written)


def _imports(method: str, bits: int | None, of_metric: list[str]) -> str:
    config = method.partition("(")[0]
    plain = ["import cdvft  # makes CDVFT known to PEFT"] if config == "CDVFTConfig" else []
    names = ["AutoModelForCausalLM", "AutoTokenizer", "Trainer", "TrainingArguments", "set_seed"]
    names += ["BitsAndBytesConfig"] if bits else []
    froms = [
        "from attention import attend_in_float32",
        "from conversations import messages_of",
        "from datasets import load_dataset",
        "from shared_prefix import common_prefix, forward, must_read_whole",
        "from torch.nn import functional as F",
        f"from transformers import {', '.join(sorted(names))}",
        *of_metric,
    ]
    if config == "CDVFTConfig":
        froms += ["from cdvft import CDVFTConfig", "from peft import get_peft_model"]
    elif method != "full":
        froms += [f"from peft import {config}, get_peft_model"]
    return "\n".join(["import math", "", *plain, "import torch", *sorted(froms)])


def _right(dataset: DatasetEntry) -> tuple[str, dict[str, Any], list[str]]:
    """What gives the metric of answers: code, its constants, and imports."""
    if dataset.fields:
        return FIELDS, {"FIELDS": list(dataset.fields)}, ["from fields import read_fields, same"]
    if dataset.metric == "chrf":
        return CHRF, {}, ["from sacrebleu.metrics.chrf import CHRF"]
    return TEXT, {"ANSWER_MARK": dataset.answer_mark}, []


DATA = """
# %% The rows
rows = load_dataset("parquet", data_files={"train": "train.parquet", "evaluation": "evaluation.parquet"})
tokenizer = AutoTokenizer.from_pretrained(BASE, revision=REVISION)
if tokenizer.chat_template is None:
    tokenizer.chat_template = PLAIN_TEMPLATE
END = tokenizer.eos_token_id
PADDING = END if tokenizer.pad_token_id is None else tokenizer.pad_token_id
IGNORED = -100


def encoded(row):
    told = [{"role": "system", "content": INSTRUCTION}] if INSTRUCTION else []
    told += messages_of(row["text"])
    text = tokenizer.apply_chat_template(told, add_generation_prompt=True, tokenize=False)
    prompt = tokenizer(text, add_special_tokens=False).input_ids
    return {"prompt": prompt, "answer": [*tokenizer(row["labels"], add_special_tokens=False).input_ids, END]}


def fits(row):
    return len(row["prompt"]) + len(row["answer"]) <= MAX_LENGTH


data = rows.map(encoded, remove_columns=["text"]).filter(fits)


def padded(rows, filler):
    longest = max(map(len, rows))
    return torch.tensor([[filler] * (longest - len(row)) + row for row in rows])


def collate(examples):
    \"\"\"Rows that end together; labels are those of the last places, of the answers alone.\"\"\"
    whole = [example["prompt"] + example["answer"] for example in examples]
    mask = padded([[1] * len(row) for row in whole], 0)
    return {
        "input_ids": padded(whole, PADDING),
        "attention_mask": mask,
        "position_ids": (mask.cumsum(1) - 1).clamp(min=0),
        "labels": padded([example["answer"] for example in examples], IGNORED),
    }
"""

MODEL = """
# %% The model
cuda = torch.cuda.is_available()
cpu = getattr(torch.cpu, "get_capabilities", dict)()  # torch before 2.11 does not tell
if PRECISION == "auto":
    bf16 = torch.cuda.is_bf16_supported(including_emulation=False) if cuda else bool(
        cpu.get("avx512_bf16") or cpu.get("amx_bf16")
    )
else:
    bf16 = PRECISION == "bfloat16"
model = AutoModelForCausalLM.from_pretrained(
    BASE, revision=REVISION, dtype=torch.bfloat16 if HALF else torch.float32ROUNDING
)
model.config.use_cache = False
attend_in_float32(model)  # on a CPU: PyTorch's own in bfloat16 is slow on the way back
UNPACKED"""

ROUNDING: Mapping[int | None, str] = {
    None: "",
    8: ", quantization_config=BitsAndBytesConfig(load_in_8bit=True)",
    4: """,
    quantization_config=BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=torch.bfloat16 if HALF else torch.float32,
    ),""",
}

UNPACKED = """for layer in model.modules():  # packed on a CPU, these weights would bring no gradient back
    if hasattr(layer, "support_avx512bf16_for_cpu"):
        layer.support_avx512bf16_for_cpu = False
"""

ADAPTER = """
# %% What is trained
set_seed(SEED)  # the adapter's start
language_model = model
model = get_peft_model(model, METHOD)
model.print_trainable_parameters()
"""

FULL = """
# %% What is trained: everything
set_seed(SEED)
language_model = model.requires_grad_(True)
"""

TRAINER = """
# %% Training
READS_WHOLE = must_read_whole(model.config, GRADIENT_CHECKPOINTING)


def read(model, inputs, labels):
    \"\"\"In float32 on a CPU, what all prompts begin with is read once: keys and values serve all rows.\"\"\"
    whole = READS_WHOLE or cuda or bf16
    prefix = 0 if whole else common_prefix(inputs, (labels != IGNORED).sum(1))
    return forward(model, language_model, inputs, prefix) if prefix else model(**inputs)


class Order(torch.utils.data.Sampler):
    \"\"\"Examples in a random order that follows from seed and epoch.\"\"\"

    def __len__(self):
        return len(data["train"])

    def __iter__(self):
        epoch = trainer.state.global_step // math.ceil(len(self) / BATCH_SIZE)
        generator = torch.Generator().manual_seed(SEED + 1_000_003 * epoch)
        return iter(torch.randperm(len(self), generator=generator).tolist())


class AnswersOnly(Trainer):
    \"\"\"The loss is the cross-entropy of the answers' tokens, each predicted by the place before it.\"\"\"

    def _get_train_sampler(self, *_):
        return Order()

    def create_optimizer(self, *_):
        \"\"\"CDVFT's input diagonals may have a learning rate of their own.\"\"\"
        optimizer = super().create_optimizer(self.model)
        parameters = {id(one): name for name, one in self.model.named_parameters()}
        for group in list(optimizer.param_groups):
            names = [parameters[id(one)] for one in group["params"]]
            of_input = ["cdvft_diagonals" in name and name.endswith(".0") for name in names]
            if INPUT_DIAGONAL_LR_RATIO != 1 and any(of_input):
                own = [one for one, is_input in zip(group["params"], of_input) if is_input]
                group["params"] = [one for one, is_input in zip(group["params"], of_input) if not is_input]
                rate = LEARNING_RATE * INPUT_DIAGONAL_LR_RATIO
                optimizer.add_param_group({**group, "params": own, "lr": rate})
        return optimizer

    def compute_loss(self, model, inputs, return_outputs=False, **_):
        labels = inputs.pop("labels")
        outputs = read(model, inputs, labels)
        logits = outputs.logits[:, -labels.shape[1] - 1 : -1]
        learned = labels != IGNORED
        loss = F.cross_entropy(logits[learned].float(), labels[learned])
        return (loss, {"logits": logits.argmax(-1)}) if return_outputs else loss


trainer = AnswersOnly(
    model=model,
    args=TrainingArguments(
        output_dir="checkpoints",
        max_steps=STEPS,
        per_device_train_batch_size=BATCH_SIZE // GRADIENT_ACCUMULATION,
        gradient_accumulation_steps=GRADIENT_ACCUMULATION,
        gradient_checkpointing=GRADIENT_CHECKPOINTING,
        gradient_checkpointing_kwargs={"use_reentrant": False} if GRADIENT_CHECKPOINTING else None,
        learning_rate=LEARNING_RATE,
        lr_scheduler_type=SCHEDULE,
        warmup_steps=WARMUP_STEPS,
        weight_decay=WEIGHT_DECAY,
        max_grad_norm=1.0,
        seed=SEED,
        use_cpu=bf16 and not cuda,
        bf16=bf16,
        fp16=cuda and not bf16 and PRECISION == "auto",
        logging_steps=1,
        save_strategy="no",
        label_names=["labels"],
        remove_unused_columns=False,
        report_to="none",
        dataloader_pin_memory=cuda,
    ),
    train_dataset=data["train"],
    data_collator=collate,
)
trainer.model_accepts_loss_kwargs = False  # the loss is a batch's mean
trainer.train()
losses = [row["loss"] for row in trainer.state.log_history if "loss" in row]
print("first losses:", losses[:10])
"""

FIELDS = """
# %% What makes an answer right: every field, and none too many
def found(answer):
    return {(name, same(value)) for name, value in read_fields(answer, FIELDS).items()}


def measure(written, expected):
    return sum(found(one) == found(other) for one, other in zip(written, expected)) / len(expected)
"""

TEXT = """
# %% What makes an answer right
def final(answer):
    return answer.rpartition(ANSWER_MARK)[2].strip().rstrip(".") if ANSWER_MARK else answer.strip()


def measure(written, expected):
    return sum(final(one) == final(other) for one, other in zip(written, expected)) / len(expected)
"""

CHRF = """
# %% How near an answer comes
def measure(written, expected):
    return CHRF().corpus_score(written, [list(expected)]).score / 100
"""

WRITTEN = """

# %% Answers to the evaluation rows, written token by token
model.eval()
model.config.use_cache = True
args, half = trainer.args, torch.bfloat16 if bf16 else torch.float16
order = sorted(range(len(data["evaluation"])), key=lambda place: len(data["evaluation"][place]["prompt"]))
written = {}
for start in range(0, len(order), 16):
    places = order[start : start + 16]
    prompts = [data["evaluation"][place]["prompt"] for place in places]
    ids = padded(prompts, PADDING).to(model.device)
    mask = padded([[1] * len(one) for one in prompts], 0).to(model.device)
    with torch.no_grad(), torch.autocast(model.device.type, half, enabled=args.bf16 or args.fp16):
        tokens = model.generate(
            input_ids=ids,
            attention_mask=mask,
            max_new_tokens=MAX_LENGTH - min(map(len, prompts)),
            do_sample=False,
            pad_token_id=END,
            eos_token_id=END,
        )[:, ids.shape[1] :]
    written |= dict(zip(places, tokenizer.batch_decode(tokens, skip_special_tokens=True)))
answers = [written[place] for place in range(len(order))]
metric = measure(answers, data["evaluation"]["labels"])
print("evaluation:", metric)
"""

SAVED_ADAPTER = """
# %% What was learned
model.save_pretrained("adapter")
"""

SAVED_WHOLE = """
# %% What was learned
model.save_pretrained("trained")
tokenizer.save_pretrained("trained")
"""
