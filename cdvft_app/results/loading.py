"""The Python lines on a model card that load an exported run and predict with it; a test runs each of them.

They are for the exported folder, and need what its requirements.txt names, and no app.
"""

from __future__ import annotations

from typing import Literal

from cdvft_app.results.escaping import literal
from cdvft_app.results.finished_run import Weights
from cdvft_app.tasks.saved import TaskRecord

Form = Literal["adapter", "merged", "lora"]
BASE = "base"
"""The folder beside an adapter that holds its base model, where nobody else has that."""


def lines(record: TaskRecord, form: Form, weights: Weights) -> str:
    """Python that loads what was exported as `model` and prints its answer for one input."""
    if form == "merged":
        weights = "whole"
    if record.task == "image-classification":
        imports, model, predict = _image(record, weights)
    elif record.task == "text-generation":
        imports, model, predict = _generation(record, weights)
    else:
        imports, model, predict = _text(record, form, weights)
    if weights == "adapter" and form == "adapter" and "import cdvft" not in imports:
        imports = ["import cdvft  # makes CDVFT known to PEFT", *imports]
    return "\n".join([*imports, "", *model, "", *predict, _print_line(record)])


def _text(record: TaskRecord, form: Form, weights: Weights) -> tuple[list[str], list[str], list[str]]:
    cut = f"truncation=True, max_length={record.max_length}"
    predict = [f'inputs = tokenizer("your text", {cut}, return_tensors="pt")', "with torch.no_grad():"]
    tokenizer = 'tokenizer = AutoTokenizer.from_pretrained(".")'
    if form == "merged" and record.pooling == "mean":
        imports = ["import torch", _LOAD_FILE, "from transformers import AutoModel, AutoTokenizer"]
        model = [
            'encoder, head = AutoModel.from_pretrained(".").eval(), load_file("2_Dense/model.safetensors")'
        ]
        predict += [
            "    states = encoder(**inputs).last_hidden_state",
            '    logits = states.mean(1) @ head["linear.weight"].T + head["linear.bias"]',
        ]
        return imports, [*model, tokenizer], predict
    if record.pooling == "mean":
        kind = "MeanPooledForSequenceClassification"
        imports = [
            "import torch",
            f"from cdvft.mean_pooled import {kind}",
            "from transformers import AutoTokenizer",
        ]
    else:
        kind = "AutoModelForSequenceClassification"
        imports = ["import torch", f"from transformers import {kind}, AutoTokenizer"]
    if weights == "whole":
        model = [f'model = {kind}.from_pretrained(".").eval()']
    else:
        revision = f", revision={literal(record.revision)}" if record.revision else ""
        base = f"{literal(record.base_model or BASE)}{revision}, num_labels={len(record.labels) or 1}"
        model, imports = _load_weights(f"{kind}.from_pretrained({base})", weights, imports)
    return imports, [*model, tokenizer], [*predict, "    logits = model(**inputs).logits"]


def _image(record: TaskRecord, weights: Weights) -> tuple[list[str], list[str], list[str]]:
    imports = ["import json", "import timm", "import torch", "from PIL import Image"]
    imports.append("from torchvision.transforms import v2")
    if weights == "whole":
        model = ['model = timm.create_model("local-dir:.", pretrained=True).eval()']
    else:
        revision = f"@{record.revision}" if record.revision else ""
        base = f"hf_hub:{record.base_model}{revision}" if record.base_model else f"local-dir:{BASE}"
        options = f"pretrained=True, num_classes={len(record.labels)}"
        options += f", img_size={record.image_size}" if record.is_sized else ""
        model, imports = _load_weights(f"timm.create_model({literal(base)}, {options})", weights, imports)
    size = record.image_size
    predict = [
        'prepared = json.load(open("config.json"))["pretrained_cfg"]',
        "transform = v2.Compose([",
        f"    v2.ToImage(), v2.Resize({size}, v2.InterpolationMode.BICUBIC), v2.CenterCrop({size}),",
        '    v2.ToDtype(torch.float32, scale=True), v2.Normalize(prepared["mean"], prepared["std"]),',
        "])",
        'inputs = transform(Image.open("your_image.png").convert("RGB"))[None]',
        "with torch.no_grad():",
        "    logits = model(inputs)",
    ]
    return imports, model, predict


def _generation(record: TaskRecord, weights: Weights) -> tuple[list[str], list[str], list[str]]:
    imports = ["import torch", "from transformers import AutoModelForCausalLM, AutoTokenizer"]
    if weights == "whole":
        model = ['model = AutoModelForCausalLM.from_pretrained(".").eval()']
    else:
        revision = f", revision={literal(record.revision)}" if record.revision else ""
        base = f"AutoModelForCausalLM.from_pretrained({literal(record.base_model or BASE)}{revision})"
        model, imports = _load_weights(base, weights, imports)
    system = [{"role": "system", "content": record.instruction}] if record.instruction else []
    predict = [
        f"messages = {[*system, {'role': 'user', 'content': 'your text'}]!r}",
        "prompt = tokenizer.apply_chat_template(messages, add_generation_prompt=True, tokenize=False)",
        'inputs = tokenizer(prompt, add_special_tokens=False, return_tensors="pt")',
        "with torch.no_grad():",
        f"    written = model.generate(**inputs, max_new_tokens={record.max_length}, do_sample=False)",
        'answer = written[0, inputs["input_ids"].shape[1]:]',
    ]
    return imports, [*model, 'tokenizer = AutoTokenizer.from_pretrained(".")'], predict


_LOAD_FILE = "from safetensors.torch import load_file"


def _load_weights(base: str, weights: Weights, imports: list[str]) -> tuple[list[str], list[str]]:
    """Lines that put a run's weights onto its base, and the imports with theirs."""
    if weights == "adapter":
        model = [f"base = {base}", 'model = PeftModel.from_pretrained(base, ".").eval()']
        return model, [*imports, "from peft import PeftModel"]
    model = [f"model = {base}.eval()", 'model.load_state_dict(load_file("model.safetensors"), strict=False)']
    return model, [*imports, _LOAD_FILE]


def _print_line(record: TaskRecord) -> str:
    if record.task == "text-generation":
        return "print(tokenizer.decode(answer, skip_special_tokens=True))"
    if not record.labels:
        return "print(logits.item())"
    return f"print(dict(zip({list(record.labels)}, logits.softmax(-1)[0].tolist())))"
