"""A run as a script or notebook that trains it again with transformers, PEFT and cdvft, and without the app.

It makes the same calls in the same order as the app's trainer, so that head, adapter, dropout and batches are
the same, and with them the loss of every step on the same machine. The rows lie beside it as Parquet files.

What the script of a model that writes does as the app does it, it imports: attention, conversations,
shared_prefix, writing and the metrics need no other module of the app, and lie beside it as they are. Words
in capitals in the parts are replaced.
"""

from __future__ import annotations

import ast
import dataclasses
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np
from peft import PeftConfig

from cdvft_app.catalog import Plan, conversations
from cdvft_app.catalog.dataset_readers import Rows, Split, load_rows
from cdvft_app.catalog.entries import DatasetEntry, Kind
from cdvft_app.metrics import LabelledMetric, get_metric
from cdvft_app.progress import Progress, silent
from cdvft_app.results.apply_script import answer_format, write_apply, write_modules
from cdvft_app.results.card import Exported
from cdvft_app.results.escaping import docstring, literal, markdown
from cdvft_app.results.finished_run import FinishedRun
from cdvft_app.results.requirements import write_requirements
from cdvft_app.results.weights import BASE, write_base
from cdvft_app.tasks import attention, saved, shared_prefix, writing
from cdvft_app.tasks.generation import PLAIN_TEMPLATE
from cdvft_app.training import schedule
from cdvft_app.training.loop import head_learning_rate

SCRIPT, NOTEBOOK = "train.py", "train.ipynb"
CELL = "# %% "
ABOUT = (
    "trained again without the app.\n\n    pip install -r requirements.txt\n    python train.py\n"
    "    python apply.py new.csv answered.csv\n"
)
NOT_COMPILED = "with compiled steps, which these are not; their padding draws another dropout"
LEFT_OUT = {
    "base_model_name_or_path",
    "revision",
    "inference_mode",
    "peft_type",
    "peft_version",
    "auto_mapping",
}


def write_script(
    run: FinishedRun,
    folder: Path,
    rows: Rows | None = None,
    progress: Progress = silent,
    *,
    as_notebook: bool = False,
) -> None:
    """Make the folder with the script, its rows, and what it needs to run.

    Args:
        run: to be trained again.
        folder: must not be there yet.
        rows: data to take in place of the dataset's.
        progress: told what is fetched.
        as_notebook: a notebook in place of a script.
    """
    plan, settings = run.plan, run.plan.settings
    assert settings.train_examples and settings.evaluation_examples
    rows = rows or load_rows(
        plan.dataset,
        train_examples=settings.train_examples,
        evaluation_examples=settings.evaluation_examples,
        seed=settings.seed,
        validation=settings.evaluate_on == "validation",
        progress=progress,
    )
    folder.mkdir()
    _write_rows(rows.train, folder / "train.parquet")
    _write_rows(rows.evaluation, folder / "evaluation.parquet")
    task = saved.read(run.folder)
    base, revision = (task.base_model, task.revision) if task else plan.model.base(None)
    if base is None or plan.model.source != "hub":  # it is as it was here, whoever else has it
        base, revision = None, None
        write_base(plan, folder / BASE, progress)
    sized = task is None or task.is_sized
    text = script_text(run, rows, base or BASE, revision, sized)
    if plan.model.pooling == "none":
        write_modules([attention, conversations, shared_prefix, writing], folder)
    write_requirements(
        plan.model.kind, folder, with_peft=True, with_library=True, training=True, more=_packages(plan)
    )
    if task and plan.model.kind != "image":
        _write_apply(run, task.model_copy(update={"base_model": base, "revision": revision}), folder)
    if as_notebook:
        (folder / NOTEBOOK).write_text(json.dumps(notebook(text, run), indent=1), encoding="utf-8")
    else:
        (folder / SCRIPT).write_text(text, encoding="utf-8")


def _write_apply(run: FinishedRun, task: saved.TaskRecord, folder: Path) -> None:
    """Write apply.py for what the script will train; not for pictures, which need what only the app keeps."""
    whole = run.weights == "whole" and task.head is None
    weights = "adapter" if run.weights == "adapter" else "whole" if whole else "head"
    revision = f", revision={literal(task.revision)}" if task.revision else ""
    base = literal(task.base_model or BASE) + revision
    moved = {
        'AutoTokenizer.from_pretrained(".")': f"AutoTokenizer.from_pretrained({base})",
        'PeftModel.from_pretrained(base, ".")': 'PeftModel.from_pretrained(base, "adapter")',
        'load_file("model.safetensors")': 'load_file("trained.safetensors")',
        'from_pretrained(".")': 'from_pretrained("trained")',
    }
    exported = Exported(run, task, weights, "", is_as_trained=True)  # type: ignore[arg-type]
    write_apply(exported, folder, moved)


def script_text(run: FinishedRun, rows: Rows, base: str, revision: str | None, is_sized: bool) -> str:
    """Return the script.

    Args:
        run: to be trained again; its folder has PEFT's config.
        rows: that lie beside it.
        base: a hub id or a folder, at `revision`.
        is_sized: whether an image model is told the images' size.
    """
    plan, constants = run.plan, _settings(run, rows, base, revision)
    about = f'"""{docstring(_title(run))}, {ABOUT}"""'
    if plan.model.pooling == "none":
        return writer_text(
            about=about,
            dataset=plan.dataset,
            method=_method(run),
            settings=constants | _of_writers(plan),
            bits=plan.settings.bits if plan.settings.bits in (4, 8) else None,
        )
    return _of_a_classifier(
        about=about,
        kind=plan.model.kind,
        pooling=plan.model.pooling,
        pairs=not isinstance(rows.train.inputs[0], str),
        metric=cast(LabelledMetric, get_metric(plan.dataset.metric)),
        method=_method(run),
        settings=constants | _of_classifiers(plan, rows, is_sized),
    )


def _title(run: FinishedRun) -> str:
    plan = run.plan
    title = f"{run.label} on {plan.model.title}: {plan.dataset.title}"
    return f"{title} ({NOT_COMPILED})" if plan.settings.torch_compile else title


def _packages(plan: Plan) -> tuple[str, ...]:
    """Return the packages that the script of this run needs beyond those of all scripts."""
    of_metric = get_metric(plan.dataset.metric).packages
    return (*of_metric, *(("bitsandbytes",) if plan.settings.bits in (4, 8) else ()))


def _of_classifiers(plan: Plan, rows: Rows, is_sized: bool) -> dict[str, Any]:
    """Return the constants that only scripts of classifiers and regressions have."""
    own, (mean, deviation) = plan.settings, plan.label_scale
    inputs: dict[str, Any] = {"MAX_LENGTH": own.max_length}
    if plan.model.kind == "image":
        inputs = {"IMAGE_SIZE": own.image_size, "SIZED": {"img_size": own.image_size} if is_sized else {}}
    if (mean, deviation) != (0.0, 1.0):
        inputs |= {"MEAN": mean, "DEVIATION": deviation}
    return {
        "LABELS": list(rows.labels),
        **inputs,
        "HEAD_LEARNING_RATE": head_learning_rate(plan),
    }


def _of_writers(plan: Plan) -> dict[str, Any]:
    own = plan.settings
    return {
        "INSTRUCTION": plan.dataset.instruction,
        "MAX_LENGTH": own.max_length,
        "GRADIENT_CHECKPOINTING": own.gradient_checkpointing,
        "HALF": own.precision == "bfloat16" and own.method.key != "full",
    }


def _settings(run: FinishedRun, rows: Rows, base: str, revision: str | None) -> dict[str, Any]:
    """Return the constants that stand at the top of every script."""
    own = run.plan.settings
    parts = own.gradient_accumulation or 1
    steps = run.record.total_steps or schedule.total_steps(own, len(rows.train))
    return {
        "BASE": base,
        "REVISION": revision,
        "SEED": own.seed,
        "STEPS": steps,
        "KEPT": run.record.result.get("best_step") or run.record.step,
        "WARMUP_STEPS": math.ceil(own.warmup_ratio * steps),
        "SCHEDULE": "constant_with_warmup" if own.schedule == "constant" else own.schedule,
        "BATCH_SIZE": parts * schedule.examples_at_once(own, 1),  # less where it has no such parts
        "GRADIENT_ACCUMULATION": parts,
        "PRECISION": own.precision,
        "LEARNING_RATE": own.method.learning_rate,
        "LR_RATIOS": own.method.lr_ratios(),
        "WEIGHT_DECAY": own.weight_decay,
        "ADAM_BETA1": own.adam_beta1,
    }


def _method(run: FinishedRun) -> str:
    """Return the method in the script's words: "head", "full", or the call that makes PEFT's config."""
    if run.weights != "adapter":
        return run.record.method
    config = PeftConfig.from_pretrained(str(run.folder))
    options: Mapping[str, Any] = {
        field.name: value
        for field in dataclasses.fields(config)
        if field.name not in LEFT_OUT and (value := getattr(config, field.name)) != _default(field)
    }
    keywords = [
        f"{key}={sorted(value) if isinstance(value, set) else value!r}" for key, value in options.items()
    ]
    return f"{type(config).__name__}({', '.join(keywords)})"


def _default(field: dataclasses.Field[Any]) -> Any:
    factory = field.default_factory
    return field.default if factory is dataclasses.MISSING else factory()


def _write_rows(split: Split, file: Path) -> None:
    from datasets import Dataset, Image
    from PIL.Image import fromarray

    inputs = [split.inputs[place] for place in range(len(split))]
    labels = split.labels.tolist()
    if isinstance(inputs[0], str):
        columns: dict[str, Any] = {"text": inputs}
    elif isinstance(inputs[0], tuple | list):
        columns = {"text": [one for one, _ in inputs], "second": [two for _, two in inputs]}
    else:
        columns = {"image": [fromarray(one) if isinstance(one, np.ndarray) else one for one in inputs]}
    made = Dataset.from_dict({**columns, "labels": labels})
    (made.cast_column("image", Image()) if "image" in columns else made).to_parquet(file)


def notebook(text: str, run: FinishedRun) -> dict[str, Any]:
    """Return a notebook (format 4): the script's docstring as Markdown, then a cell for each of its parts."""
    end_of_docstring = ast.parse(text).body[0].end_lineno
    start, *parts = "\n".join(text.split("\n")[end_of_docstring:]).split(f"\n{CELL}")
    about = f"{markdown(_title(run))}, {ABOUT}"
    cells: list[dict[str, Any]] = [
        {"cell_type": "markdown", "id": "0", "metadata": {}, "source": about.strip()}
    ]
    for place, part in enumerate([f"Libraries\n{start.strip()}", *parts], 1):
        heading, _, code = part.partition("\n")
        cells.append({"cell_type": "markdown", "id": f"{place}m", "metadata": {}, "source": f"## {heading}"})
        cells.append(
            {"cell_type": "code", "id": f"{place}c", "metadata": {}, "execution_count": None, "outputs": [],
             "source": code.strip()}
        )  # fmt: skip
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    return {"cells": cells, "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5}


def _of_a_classifier(
    *,
    about: str,
    kind: Kind,
    pooling: Literal["mean", "cls", "timm"],
    pairs: bool,
    metric: LabelledMetric,
    method: str,
    settings: Mapping[str, Any],
) -> str:
    """Return the whole script of a model that gives labels.

    Args:
        about: the docstring, as it stands in the source.
        kind: of its inputs.
        pooling: how the head reads the model.
        pairs: of texts.
        metric: of the evaluation.
        method: "head", "full", or a call that makes a PEFT config.
        settings: constants by name.
    """
    constants = "\n".join(f"{name} = {value!r}" for name, value in settings.items())
    data, model = (_IMAGE_DATA, _IMAGE_MODEL) if kind == "image" else (_TEXT_DATA, _TEXT_MODELS[pooling])
    second = ', batch["second"]' if pairs else ""
    columns = '["text", "second"]' if pairs else '["text"]'
    regression = metric.regression
    loss = "F.cross_entropy(logits, labels)"
    if regression:
        of_output = "(labels.float() - MEAN) / DEVIATION" if "MEAN" in settings else "labels.float()"
        loss = f"F.mse_loss(logits.squeeze(-1), {of_output})"
    trained = _TRAINED.get(method, _ADAPTER.replace("METHOD", method))
    parts = [
        about,
        "\n" + _imports(kind, pooling, metric, method),
        f"\n# %% What is trained, and how\n{constants}",
        data.replace("SECOND", second).replace("COLUMNS", columns),
        model.replace("NUMBER", "1" if regression else "len(LABELS)"),
        trained,
        _with_shared_parts(_TRAINER, _EVALUATION_BATCH)
        .replace("LOSS", loss)
        .replace("METRIC", metric.script),
        _SAVED.get(method, _SAVED_ADAPTER),
    ]
    return "\n".join(parts)


def _with_shared_parts(text: str, own_arguments: str = "") -> str:
    """Return a part of a script with what all scripts have, and these arguments of the Trainer besides."""
    arguments = _ARGUMENTS.replace("OWN", own_arguments)
    return (
        text.replace("UNTIL_KEPT", _UNTIL_KEPT).replace("BFLOAT16", _BFLOAT16).replace("ARGUMENTS", arguments)
    )


def _imports(kind: Kind, pooling: str, metric: LabelledMetric, method: str) -> str:
    adapter = method not in _TRAINED
    lines = ["import math", "import re", ""]
    lines += ["import cdvft  # makes CDVFT known to PEFT"] if method.startswith("CDVFT") else []
    lines += _metric_import(metric, "import ")
    lines += ["import timm", "import timm.data"] if kind == "image" else []
    lines += ["import torch"]
    lines += ["from cdvft import CDVFTConfig"] if method.startswith("CDVFT") else []
    lines += (
        ["from cdvft.mean_pooled import MeanPooledForSequenceClassification"] if pooling == "mean" else []
    )
    lines += ["from datasets import load_dataset"]
    if adapter:
        own = method.partition("(")[0]
        names = ["get_peft_model", *([] if own == "CDVFTConfig" else [own])]
        lines += [f"from peft import {', '.join(sorted(names))}"]
    else:
        lines += ["from safetensors.torch import save_file"]
    lines += _metric_import(metric, "from ")
    lines += ["from torch.nn import functional as F"]
    lines += ["from torchvision.transforms import v2"] if kind == "image" else []
    names = ["Trainer", "TrainerCallback", "TrainingArguments", "set_seed"]
    if kind == "text":
        head = [] if pooling == "mean" else ["AutoModelForSequenceClassification"]
        names = ["AutoModel", *head, "AutoTokenizer", "DataCollatorWithPadding", *names]
    lines += [f"from transformers import {', '.join(names)}"]
    lines += ["from transformers.trainer_pt_utils import get_length_grouped_indices"]
    return "\n".join(lines)


def _metric_import(metric: LabelledMetric, beginning: str) -> list[str]:
    """Return the metric's import, where it begins so: isort puts `import` and `from` in different places."""
    line = metric.script_import or ""
    return [line] if line.startswith(beginning) else []


_TEXT_DATA = """
# %% The rows
rows = load_dataset("parquet", data_files={"train": "train.parquet", "evaluation": "evaluation.parquet"})
tokenizer = AutoTokenizer.from_pretrained(BASE, revision=REVISION)
if tokenizer.pad_token is None:
    tokenizer.pad_token = tokenizer.eos_token


def encoded(batch):
    return tokenizer(batch["text"]SECOND, truncation=True, max_length=MAX_LENGTH)


data = rows.map(encoded, batched=True, remove_columns=COLUMNS)
collate = DataCollatorWithPadding(tokenizer)
lengths = [len(ids) for ids in data["train"]["input_ids"]]
"""

_IMAGE_DATA = """
# %% The rows
rows = load_dataset("parquet", data_files={"train": "train.parquet", "evaluation": "evaluation.parquet"})
resize = v2.Resize(IMAGE_SIZE, v2.InterpolationMode.BICUBIC)
squared = [v2.ToImage(), v2.RGB(), resize, v2.CenterCrop(IMAGE_SIZE)]
lengths = [1] * len(rows["train"])


def prepared(batch):
    return {"x": [transform(image.convert("RGB")) for image in batch["image"]], "labels": batch["labels"]}


def collate(examples):
    labels = torch.tensor([example["labels"] for example in examples])
    return {"x": torch.stack([example["x"] for example in examples]), "labels": labels}


data = rows.with_transform(prepared)
"""

_TEXT_MODELS = {
    "mean": """
# %% The model: an encoder under a head on the mean of its states
set_seed(SEED)  # the head's start
encoder = AutoModel.from_pretrained(BASE, revision=REVISION, dtype=torch.float32)
model = MeanPooledForSequenceClassification.on(encoder, num_labels=NUMBER)
HEAD = "classifier"
""",
    "cls": """
# %% The model: an encoder under its architecture's own head
set_seed(SEED)  # the head's start
encoder = AutoModel.from_pretrained(BASE, revision=REVISION, dtype=torch.float32)
encoder.pooler = None
encoder.config.num_labels = NUMBER
model = AutoModelForSequenceClassification.from_config(encoder.config)
setattr(model, encoder.base_model_prefix, encoder)
HEAD = "classifier"
""",
}

_IMAGE_MODEL = """
# %% The model: a timm model under a linear head
set_seed(SEED)  # the head's start
hub = f"hf_hub:{BASE}@{REVISION}" if REVISION else f"hf_hub:{BASE}"
model = timm.create_model(
    "local-dir:base" if BASE == "base" else hub, pretrained=True, num_classes=0, **SIZED
)
usual = timm.data.resolve_data_config({}, model=model)
model.reset_classifier(len(LABELS))
HEAD = model.pretrained_cfg["classifier"]
normalized = [v2.ToDtype(torch.float32, scale=True), v2.Normalize(usual["mean"], usual["std"])]
transform = v2.Compose([*squared, *normalized])
"""

_ADAPTER = """
# %% What is trained
set_seed(SEED)  # the adapter's start
model = get_peft_model(model, METHOD)
model.print_trainable_parameters()
"""

_TRAINED = {
    "head": """
# %% What is trained: the head alone
set_seed(SEED)
model.requires_grad_(False)
model.get_submodule(HEAD).requires_grad_(True)
""",
    "full": """
# %% What is trained: everything
set_seed(SEED)
model.requires_grad_(True)
""",
}

_UNTIL_KEPT = """\
class UntilKept(TrainerCallback):
    \"\"\"Ends at the step that the run kept; the schedule is that of all steps.\"\"\"

    def on_step_end(self, args, state, control, **_):
        control.should_training_stop |= state.global_step >= KEPT"""

_BFLOAT16 = """\
if PRECISION == "auto":
    bf16 = torch.cuda.is_bf16_supported(including_emulation=False) if cuda else bf16_on_cpu
else:
    bf16 = PRECISION == "bfloat16\""""

_ARGUMENTS = """\
    args=TrainingArguments(
        output_dir="checkpoints",
        max_steps=STEPS,
        per_device_train_batch_size=BATCH_SIZE // GRADIENT_ACCUMULATION,
        gradient_accumulation_steps=GRADIENT_ACCUMULATION,
OWN
        learning_rate=LEARNING_RATE,
        lr_scheduler_type=SCHEDULE,
        warmup_steps=WARMUP_STEPS,
        weight_decay=WEIGHT_DECAY,
        adam_beta1=ADAM_BETA1,
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
    ),"""

_EVALUATION_BATCH = "        per_device_eval_batch_size=max(64, BATCH_SIZE),"
_CHECKPOINTING = """\
        gradient_checkpointing=GRADIENT_CHECKPOINTING,
        gradient_checkpointing_kwargs={"use_reentrant": False} if GRADIENT_CHECKPOINTING else None,"""


_TRAINER = """
# %% Training
class Order(torch.utils.data.Sampler):
    \"\"\"Batches of similar length, in an order that follows from seed and epoch.\"\"\"

    def __len__(self):
        return len(lengths)

    def __iter__(self):
        epoch = trainer.state.global_step // math.ceil(len(lengths) / BATCH_SIZE)
        generator = torch.Generator().manual_seed(SEED + 1_000_003 * epoch)
        return iter(get_length_grouped_indices(lengths, BATCH_SIZE, generator=generator))


class OwnRates(Trainer):
    \"\"\"The head has a learning rate of its own, and so have parameters of a name in LR_RATIOS.\"\"\"

    def _get_train_sampler(self, *_):
        return Order()

    def create_optimizer(self, *_):
        decayed = set(self.get_decay_parameter_names(self.model))
        groups = {}
        for name, parameter in self.model.named_parameters():
            if parameter.requires_grad:
                in_head = name.removeprefix("base_model.model.").startswith(f"{HEAD}.")
                own = [ratio for pattern, ratio in LR_RATIOS.items() if re.search(pattern, name)]
                ratio = own[0] if own and not in_head else 1.0
                groups.setdefault((in_head, ratio, name not in decayed), []).append(parameter)
        kind, options = self.get_optimizer_cls_and_kwargs(self.args)
        self.optimizer = kind(
            [
                {
                    "params": groups[in_head, ratio, spared],
                    "lr": HEAD_LEARNING_RATE if in_head else LEARNING_RATE * ratio,
                    "weight_decay": 0.0 if spared else WEIGHT_DECAY,
                }
                for in_head, ratio, spared in sorted(groups, key=lambda of: (of[0], of[1] != 1, of[2]))
            ],
            **options,
        )
        return self.optimizer

    def compute_loss(self, model, inputs, return_outputs=False, **_):
        labels = inputs.pop("labels")
        outputs = model(**inputs)
        logits = (outputs if isinstance(outputs, torch.Tensor) else outputs.logits).float()
        loss = LOSS
        return (loss, {"logits": logits}) if return_outputs else loss


UNTIL_KEPT


cuda = torch.cuda.is_available()
bf16_on_cpu = False
BFLOAT16
trainer = OwnRates(
    model=model,
ARGUMENTS
    train_dataset=data["train"],
    eval_dataset=data["evaluation"],
    data_collator=collate,
    compute_metrics=lambda given: {"metric": METRIC},
)
trainer.model_accepts_loss_kwargs = False  # the loss is a batch's mean
trainer.add_callback(UntilKept())
trainer.train()
losses = [row["loss"] for row in trainer.state.log_history if "loss" in row]
print("first losses:", losses[:10])
print("evaluation:", trainer.evaluate()["eval_metric"])
"""

_SAVED_ADAPTER = """
# %% What was learned
model.save_pretrained("adapter")
"""

_SAVED = dict.fromkeys(
    ("head", "full"),
    """
# %% What was learned
trained = {name: value.detach().clone() for name, value in model.named_parameters() if value.requires_grad}
save_file(trained, "trained.safetensors")
""",
)


# Models that write


def writer_text(
    *,
    about: str,
    dataset: DatasetEntry,
    method: str,
    settings: Mapping[str, Any],
    bits: int | None,
) -> str:
    """Return the whole script.

    Args:
        about: the docstring, as it stands in the source.
        dataset: says what makes an answer right.
        method: "full", or a call that makes a PEFT config.
        settings: constants by name.
        bits: to which the frozen weights are quantized.
    """
    unpacked = _WRITER_UNPACKED if bits == 4 else ""
    of_metric = {"METRIC": dataset.metric, **answer_format(dataset)}
    constants = {**settings, **of_metric, "PLAIN_TEMPLATE": PLAIN_TEMPLATE}
    written = [
        about,
        "\n" + _writer_imports(method, bits),
        "\n# %% What is trained, and how\n"
        + "\n".join(f"{name} = {value!r}" for name, value in constants.items()),
        _WRITER_DATA,
        _with_shared_parts(_WRITER_MODEL).replace("ROUNDING", ROUNDING[bits]).replace("UNPACKED", unpacked),
        _WRITER_FULL if method == "full" else _WRITER_ADAPTER.replace("METHOD", method),
        _with_shared_parts(_WRITER_TRAINER, _CHECKPOINTING),
        _WRITER_ANSWERS,
        _WRITER_SAVED_WHOLE if method == "full" else _SAVED_ADAPTER,
    ]
    return "\n".join(written)


def _writer_imports(method: str, bits: int | None) -> str:
    config = method.partition("(")[0]
    plain = ["import cdvft  # makes CDVFT known to PEFT"] if config == "CDVFTConfig" else []
    names = [
        "AutoModelForCausalLM",
        "AutoTokenizer",
        "Trainer",
        "TrainerCallback",
        "TrainingArguments",
        "set_seed",
    ]
    names += ["BitsAndBytesConfig"] if bits else []
    froms = [
        "from attention import attend_in_float32",
        "from conversations import messages_of",
        "from datasets import load_dataset",
        "from metrics import METRICS",
        "from shared_prefix import common_prefix, forward, must_read_whole",
        "from torch.nn import functional as F",
        f"from transformers import {', '.join(sorted(names))}",
        "from types import SimpleNamespace",
        "from writing import tokens",
    ]
    if config == "CDVFTConfig":
        froms += ["from cdvft import CDVFTConfig", "from peft import get_peft_model"]
    elif method != "full":
        froms += [f"from peft import {config}, get_peft_model"]
    return "\n".join(["import math", "import re", "", *plain, "import torch", *sorted(froms)])


_WRITER_DATA = """
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

_WRITER_MODEL = """
# %% The model
cuda = torch.cuda.is_available()
cpu = getattr(torch.cpu, "get_capabilities", dict)()  # torch before 2.11 does not tell
bf16_on_cpu = bool(cpu.get("avx512_bf16") or cpu.get("amx_bf16"))
BFLOAT16
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

_WRITER_UNPACKED = """for layer in model.modules():  # packed on a CPU, they would bring no gradient back
    if hasattr(layer, "support_avx512bf16_for_cpu"):
        layer.support_avx512bf16_for_cpu = False
"""

_WRITER_ADAPTER = """
# %% What is trained
set_seed(SEED)  # the adapter's start
language_model = model
model = get_peft_model(model, METHOD)
model.print_trainable_parameters()
"""

_WRITER_FULL = """
# %% What is trained: everything
set_seed(SEED)
language_model = model.requires_grad_(True)
"""

_WRITER_TRAINER = """
# %% Training
READS_WHOLE = must_read_whole(language_model, GRADIENT_CHECKPOINTING)


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
        \"\"\"Parameters of a name in LR_RATIOS have learning rates of their own.\"\"\"
        optimizer = super().create_optimizer(self.model)
        names = {id(one): name for name, one in self.model.named_parameters()}
        for pattern, ratio in LR_RATIOS.items():
            for group in list(optimizer.param_groups):
                own = [one for one in group["params"] if re.search(pattern, names[id(one)])]
                group["params"] = [one for one in group["params"] if not re.search(pattern, names[id(one)])]
                if own:
                    optimizer.add_param_group({**group, "params": own, "lr": LEARNING_RATE * ratio})
        return optimizer

    def compute_loss(self, model, inputs, return_outputs=False, **_):
        labels = inputs.pop("labels")
        outputs = read(model, inputs, labels)
        logits = outputs.logits[:, -labels.shape[1] - 1 : -1]
        learned = labels != IGNORED
        loss = F.cross_entropy(logits[learned].float(), labels[learned])
        return (loss, {"logits": logits.argmax(-1)}) if return_outputs else loss


UNTIL_KEPT


trainer = AnswersOnly(
    model=model,
ARGUMENTS
    train_dataset=data["train"],
    data_collator=collate,
)
trainer.model_accepts_loss_kwargs = False  # the loss is a batch's mean
trainer.add_callback(UntilKept())
trainer.train()
losses = [row["loss"] for row in trainer.state.log_history if "loss" in row]
print("first losses:", losses[:10])
"""

_WRITER_ANSWERS = """
# %% Answers to the evaluation rows, written token by token
model.config.use_cache = True
args, half = trainer.args, torch.bfloat16 if bf16 else torch.float16
order = sorted(range(len(data["evaluation"])), key=lambda place: len(data["evaluation"][place]["prompt"]))
written = {}
for start in range(0, len(order), 16):
    places = order[start : start + 16]
    batch = collate([{"prompt": data["evaluation"][place]["prompt"], "answer": []} for place in places])
    room = MAX_LENGTH - int(batch["attention_mask"].sum(1).min())
    with torch.autocast(model.device.type, half, enabled=args.bf16 or args.fp16):
        steps = [one for one, _ in tokens(language_model, batch, eos_token_id=END, max_new_tokens=room)]
    texts = tokenizer.batch_decode(torch.stack(steps, dim=1), skip_special_tokens=True)
    written |= dict(zip(places, texts))
answers = [written[place] for place in range(len(order))]
form = SimpleNamespace(metric=METRIC, fields=FIELDS, answer_mark=ANSWER_MARK)
metric = METRICS[METRIC].compute(answers, data["evaluation"]["labels"], form)
print("evaluation:", metric)
"""

_WRITER_SAVED_WHOLE = """
# %% What was learned
model.save_pretrained("trained")
tokenizer.save_pretrained("trained")
"""
