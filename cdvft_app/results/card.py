"""The model card of an exported run: what it is, how well it does, what it cost, and how it is loaded.

The lines of Python on it load the exported folder and predict with it; they need what its requirements.txt
names, and no app. Its picture is the run's loss, drawn by Pillow, which torchvision brings.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from huggingface_hub import EvalResult, ModelCard, ModelCardData

from cdvft_app.catalog.cleaning import title
from cdvft_app.catalog.conversations import transcript
from cdvft_app.format import amount, counted
from cdvft_app.judging import verdict_text
from cdvft_app.judging.compared_runs import compared_run, is_scored
from cdvft_app.judging.judge import Contestant, Run, band
from cdvft_app.judging.outcomes import JudgedRace, extra_flops
from cdvft_app.metrics import get_metric, metric_title
from cdvft_app.results.escaping import literal, markdown, one_line
from cdvft_app.results.finished_run import FinishedRun, Weights
from cdvft_app.results.weights import BASE
from cdvft_app.store.predictions import WrittenAnswers
from cdvft_app.store.records import RunRecord, shortened
from cdvft_app.tasks.saved import TaskRecord

CURVE = "loss.png"
SHOWN_PROMPTS = 4  # held out
MAX_CHARACTERS = 400  # characters of a prompt or an answer
CITATION = """\
@inproceedings{ding2025cdvft,
  title     = {Parameter-Efficient Fine-Tuning with Circulant and Diagonal Vectors},
  author    = {Ding, Xinyu and Chen, Lexuan and Liao, Siyu and Wang, Zhongfeng},
  booktitle = {Proceedings of the Thirty-Fourth International Joint Conference on Artificial Intelligence},
  pages     = {9185--9193},
  year      = {2025},
  doi       = {10.24963/ijcai.2025/1021},
}"""
_LOAD_FILE = "from safetensors.torch import load_file"
WIDTH, HEIGHT = 800, 400  # pixels; drawn at twice the size and shrunk, for smooth lines
LEFT, RIGHT, TOP, BOTTOM = 64, 20, 44, 48
SMOOTHED_OVER = 0.05  # of all steps
INK, GREY, PALE = "#222222", "#6b6b6b", "#e4e4e4"


@dataclass(frozen=True)
class Exported:
    """The content of an exported folder, from which its card, its code and its requirements follow.

    Attributes:
        run: the run that was exported.
        task: the meaning of the model's outputs.
        weights: an adapter or a head, which need a base model, or a whole model.
        about: a sentence or more on what it is.
        is_as_trained: whether the weights are those of the run's own method.
        is_merged: whether they are merged into one plain model.
    """

    run: FinishedRun
    task: TaskRecord
    weights: Weights
    about: str
    is_as_trained: bool = False
    is_merged: bool = False

    @property
    def is_cdvft(self) -> bool:
        """Whether it is an adapter of CDVFT, which PEFT does not know by itself."""
        return self.is_as_trained and self.run.record.method == "cdvft"

    @property
    def needs_library(self) -> bool:
        """Whether the adapter, or the head on the mean, needs this library."""
        return not self.is_merged and (self.is_cdvft or self.task.pooling == "mean")

    @property
    def with_base_beside(self) -> Exported:
        """Return the same content with a base model that lies in the folder."""
        return replace(self, task=self.task.model_copy(update={"base_model": None, "revision": None}))

    @property
    def library(self) -> str:
        """The library that loads it, as the hub names it."""
        if self.weights == "adapter":
            return "peft"
        if self.task.task == "image-classification":
            return "timm"
        return "sentence-transformers" if self.is_merged and self.task.pooling == "mean" else "transformers"


def card(
    exported: Exported,
    *,
    curve: bool = False,
    written: WrittenAnswers | None = None,
    race: JudgedRace | None = None,
    base_bytes: int = 0,
) -> ModelCard:
    """Return the card of what was exported.

    `curve`: whether the loss lies beside it as a picture; `written`: what it wrote to the held-out prompts;
    `race`: what it ran in, as it is judged, None where it ran alone; `base_bytes`: the size of the base model
    that lies beside it, 0 where none does.
    """
    run, task = exported.run, exported.task
    heading = f"{run.label} on {run.plan.model.title}: {run.plan.dataset.title}"
    parts = [
        f"# {markdown(heading)}",
        f"{exported.about} {_answers_with(task)}",
        "## Use it",
        "In this folder:",
        _block("bash", "pip install -r requirements.txt"),
        _block("python", python_lines(exported)),
        *_hints(exported),
        "## How well it does, and what it cost",
        _table(run, race),
        *(verdict_text.sentences(race.about(run.record.id)) if race else ()),
        f"![Loss of each step, its moving mean, and of the evaluations]({CURVE})" if curve else "",
        _written_answers(written) if written and written.entries else "",
        "## What it was trained on",
        _sources(run, task, base_bytes),
        "All settings of the run:",
        _block("json", json.dumps(run.plan.settings.model_dump(mode="json", exclude_none=True), indent=2)),
        "## Citation",
        _block("bibtex", CITATION),
    ]
    data = _metadata(exported, heading)
    return ModelCard(f"---\n{data.to_yaml()}\n---\n\n" + "\n\n".join(filter(None, parts)) + "\n")


def _block(language: str, text: str) -> str:
    return f"```{language}\n{text}\n```"


def _metadata(exported: Exported, title: str) -> ModelCardData:
    run, task = exported.run, exported.task
    record, dataset = run.record, run.plan.dataset
    base, location = one_line(task.base_model or "") or None, one_line(dataset.location)
    tags = []
    if exported.weights == "adapter":
        tags = ["peft", *(["cdvft"] if exported.is_cdvft else [])]
        tags += [f"base_model:adapter:{base}"] if base else []
    results = None
    if record.metric is not None and record.metric_name is not None and not _is_trial(record):
        results = [
            EvalResult(
                task_type=task.task,
                dataset_type=location,
                dataset_name=one_line(dataset.title),
                metric_type=record.metric_name,
                metric_value=round(record.metric, 4),
            )
        ]
    return ModelCardData(
        base_model=base,
        datasets=[location] if dataset.source == "hub" else None,
        library_name=exported.library,
        metrics=[record.metric_name] if record.metric_name else None,
        pipeline_tag=task.task,
        tags=tags or None,
        model_name=one_line(title) if results else None,
        eval_results=results,
    )


def _is_trial(record: RunRecord) -> bool:
    """Return whether its score is on rows by which settings are chosen, and so too high for new ones."""
    return record.settings.evaluate_on == "validation"


def _answers_with(task: TaskRecord) -> str:
    if task.labels:
        return f"It answers with one of: {', '.join(map(markdown, task.labels))}."
    if task.head is None:
        return "It writes its answer."
    if not task.is_scaled:
        return "It answers with a number."
    mean, deviation = f"{task.mean:.6g}", f"{task.deviation:.6g}"
    return (
        f"It answers with a number: its output times {deviation} plus {mean}, the standard deviation and "
        "mean of the labels that it was trained on. Its loss is a squared error in these deviations."
    )


def _hints(exported: Exported) -> list[str]:
    task, hints = exported.task, []
    if exported.is_cdvft:
        hints.append(
            "PEFT does not know CDVFT by itself: `KeyError: 'CDVFT'` means that the library, which is the "
            "wheel in this folder, was not imported before the adapter is loaded: `import cdvft`."
        )
    if exported.weights == "adapter" and task.pooling == "mean" and task.base_model:
        hints.append(
            "Or by PEFT alone, which fetches the base model: "
            f'`AutoPeftModel.from_pretrained(".", num_labels={len(task.labels) or 1}, '
            'import_allowlist=["cdvft"])`, after `import cdvft`.'
        )
    if exported.library == "sentence-transformers":
        hints.append(
            "Or by sentence-transformers, with many texts at once: "
            '`SentenceTransformer(".").encode(texts)` gives the logits.'
        )
    return hints


def _table(run: FinishedRun, race: JudgedRace | None) -> str:
    record, result = run.record, run.record.result
    rows: list[tuple[str, str]] = []
    if record.metric is not None and record.metric_name is not None:
        examples = result.get("evaluation_examples")
        point = race.points.get(record.id) if race else None
        own = Run(
            record.settings.seed, record.metric, examples, point.answers_of(record.id) if point else None
        )
        metric = get_metric(record.metric_name)
        interval = band(Contestant(run.label, (own,)), record.metric_name)
        ends = " to ".join(metric.format(end) for end in interval or ())
        notes = [f"95 % interval {ends}"] if ends else []
        if ends or _is_trial(record):
            kind = "validation row" if _is_trial(record) else "evaluation row"
            notes.append(f"over {counted(examples, kind) if examples else f'{kind}s'}")
        if _is_trial(record):
            notes.append("by which settings are chosen")
        over = f" ({', '.join(notes)})" if notes else ""
        rows.append((metric_title(record.metric_name), metric.format(record.metric) + over))
        if best := result.get("best_step"):
            last = result.get("last_metric")
            than = f"; the last step scores {metric.format(last)}" if last is not None else ""
            chosen = f"{best:,} of {record.total_steps or best:,}, the best on validation rows{than}"
            rows.append(("Step that is kept", chosen))
    rows.append(("Seed", f"{record.settings.seed}, one run: with another seed the score differs"))
    if record.trainable_parameters is not None:
        of = f" of {result['base_parameters']:,}" if result.get("base_parameters") else ""
        rows.append(
            (
                "Trained numbers",
                f"{record.trainable_parameters:,}{of}, and {result.get('head_parameters', 0):,} of the head",
            )
        )
    is_known = is_scored(replace(record, state="finished"))
    flops = extra_flops(compared_run(record)) if is_known else None
    if flops is not None:
        rows.append(
            (
                "FLOPs added to the training",
                f"{amount('flops', flops)}, by formula, every example at full length",
            )
        )
    if record.seconds:
        steps, device = counted(record.step, "step"), markdown(str(record.device))
        taken = amount("seconds", record.seconds)
        rows.append(("Training time", f"{taken} for {steps}, measured on {device}"))
    if result.get("peak_memory_bytes"):
        rows.append(("Peak memory", f"{amount('bytes', result['peak_memory_bytes'])}, measured"))
    if result.get("adapter_bytes"):
        rows.append(("Size of the weights", amount("bytes", result["adapter_bytes"])))
    if record.state == "stopped":
        rows.append(
            (
                "State",
                f"stopped at step {record.step:,} of {record.total_steps:,}"
                if record.total_steps
                else "stopped",
            )
        )
    return "\n".join(["| | |", "|---|---|", *(f"| {name} | {value} |" for name, value in rows)])


def _written_answers(written: WrittenAnswers) -> str:
    """Return the first held-out rows, which were drawn at random: no row is chosen for its answer."""
    rows = [
        f"| {' | '.join(map(_cell, (transcript(one.prompt), one.expected, one.written)))} "
        f"| {'yes' if right else 'no'} |"
        for one, right in zip(written.entries[:SHOWN_PROMPTS], written.correct, strict=False)
    ]
    right = f"{int(written.correct.sum()):,} of {len(written.entries):,}"
    head = f"Answers to {right} held-out prompts are right in whole. The first of these prompts:"
    return "\n".join([head, "", "| Prompt | Right answer | Written | Right |", "|---|---|---|---|", *rows])


def _cell(text: str) -> str:
    """Return a text of several lines for a cell of a Markdown table."""
    return "<br>".join(map(markdown, shortened(text, MAX_CHARACTERS).splitlines()))


def _sources(run: FinishedRun, task: TaskRecord, base_bytes: int) -> str:
    model, dataset = run.plan.model, run.plan.dataset
    place = markdown(task.base_model) if task.base_model else "which can be fetched nowhere else"
    if base_bytes:
        why = "so that no hub is needed" if model.base(None)[0] else "since it can be fetched nowhere else"
        place = f"which lies beside, in `{BASE}/`, {amount('bytes', base_bytes)}, {why}"
    base = f"{markdown(model.title)}, {place}"
    base += f" at {markdown(task.revision)}" if task.revision else ""
    data = markdown(f"{dataset.title}, {dataset.location}" if dataset.source == "hub" else dataset.title)
    trained_on = run.record.result.get("train_examples")
    rows = f", {trained_on:,} rows" if trained_on else ""
    return (
        f"- Base model: {base}. Licence: {markdown(model.licence)}.\n"
        f"- Data: {data}{rows}. Licence: {markdown(dataset.licence)}.\n"
        f"{_mended(run)}"
        "- Whether what was trained may be passed on follows from both licences."
    )


def _mended(run: FinishedRun) -> str:
    """Return the sentence on the cleaning steps of uploaded data."""
    uploaded = run.plan.dataset.uploaded
    if not uploaded or not uploaded.clean:
        return ""
    steps = "; ".join(f"{markdown(step)} ({markdown(title(step))})" for step in uploaded.clean)
    return f"- Its rows were mended before, in this order: {steps}. Inputs to the model are mended alike.\n"


def loading_lines(exported: Exported) -> tuple[list[str], list[str]]:
    """Imports, and the lines of Python that load what was exported: `model`, and `tokenizer` for texts."""
    imports, model, _ = _lines(exported)
    return imports, model


def python_lines(exported: Exported) -> str:
    """Return Python code that loads the export as `model` and prints its answer for one input."""
    imports, model, predict = _lines(exported)
    return "\n".join([*imports, "", *model, "", *predict, _print_line(exported.task)])


def _lines(exported: Exported) -> tuple[list[str], list[str], list[str]]:
    """Imports, lines that load it, and lines that ask it."""
    record, weights = exported.task, exported.weights
    if record.task == "image-classification":
        imports, model, predict = _image(record, weights)
    elif record.task == "text-generation":
        imports, model, predict = _generation(record, weights)
    else:
        imports, model, predict = _text(exported)
    if weights == "adapter" and exported.is_as_trained and exported.needs_library:
        imports = ["import cdvft  # makes CDVFT known to PEFT", *imports]
    return imports, model, predict


def _text(exported: Exported) -> tuple[list[str], list[str], list[str]]:
    record, weights = exported.task, exported.weights
    cut = f"truncation=True, max_length={record.max_length}"
    predict = [f'inputs = tokenizer("your text", {cut}, return_tensors="pt")', "with torch.no_grad():"]
    tokenizer = 'tokenizer = AutoTokenizer.from_pretrained(".")'
    if exported.library == "sentence-transformers":
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
        f"    written = model.generate(**inputs, max_length={record.max_length}, do_sample=False)",
        'answer = written[0, inputs["input_ids"].shape[1]:]',
    ]
    return imports, [*model, 'tokenizer = AutoTokenizer.from_pretrained(".")'], predict


def _load_weights(base: str, weights: Weights, imports: list[str]) -> tuple[list[str], list[str]]:
    """Return the lines that put a run's weights onto its base model, and the imports with theirs."""
    if weights == "adapter":
        model = [f"base = {base}", 'model = PeftModel.from_pretrained(base, ".").eval()']
        return model, [*imports, "from peft import PeftModel"]
    model = [f"model = {base}.eval()", 'model.load_state_dict(load_file("model.safetensors"), strict=False)']
    return model, [*imports, _LOAD_FILE]


def _print_line(record: TaskRecord) -> str:
    if record.task == "text-generation":
        return "print(tokenizer.decode(answer, skip_special_tokens=True))"
    if not record.labels:
        scale = f" * {record.deviation!r} + {record.mean!r}" if record.is_scaled else ""
        return f"print(logits.item(){scale})"
    return f"print(dict(zip({list(record.labels)}, logits.softmax(-1)[0].tolist())))"


def write_curve(rows: Sequence[Mapping[str, Any]], colour: str, title: str, file: Path) -> bool:
    """Draw the training loss, each step's and its moving mean, and the losses of the evaluations.

    Args:
        rows: of a run's history; those of steps and of evaluations are drawn.
        colour: "#rrggbb", the method's.
        title: written above.
        file: a PNG.

    Returns:
        Whether there was anything to draw.
    """
    from PIL import Image, ImageDraw, ImageFont

    steps = _points(rows, "step")
    evaluations = _points(rows, "evaluation")
    if len(steps) < 2:
        return False
    losses = [loss for _, loss in (*steps, *evaluations)]
    first, last = steps[0][0], steps[-1][0]
    low, high, every = _axis(min(losses), max(losses))

    def place(step: float, loss: float) -> tuple[float, float]:
        across = LEFT + (step - first) / (last - first) * (WIDTH - LEFT - RIGHT)
        down = TOP + (high - loss) / (high - low) * (HEIGHT - TOP - BOTTOM)
        return 2 * across, 2 * down

    picture = Image.new("RGB", (2 * WIDTH, 2 * HEIGHT), "white")
    draw = ImageDraw.Draw(picture)
    small, large = ImageFont.load_default(24), ImageFont.load_default(28)
    draw.text((2 * LEFT, 28), title, INK, large, anchor="lt")
    for tick in range(round((high - low) / every) + 1):
        loss = low + tick * every
        draw.line([place(first, loss), place(last, loss)], PALE, 2)
        draw.text((2 * LEFT - 16, place(first, loss)[1]), f"{loss:g}", GREY, small, anchor="rm")
    for step in sorted({first, (first + last) // 2, last}):
        draw.text((place(step, low)[0], place(step, low)[1] + 14), f"{step:,}", GREY, small, anchor="mt")
    draw.text((WIDTH, 2 * HEIGHT - 16), "step", GREY, small, anchor="mb")
    pale = "#" + "".join(f"{(int(colour[at : at + 2], 16) + 3 * 255) // 4:02x}" for at in (1, 3, 5))
    draw.line([place(*point) for point in steps], pale, 3)
    draw.line([place(*point) for point in _smoothed(steps)], colour, 6, joint="curve")
    for x, y in (place(*point) for point in evaluations):
        draw.ellipse([x - 9, y - 9, x + 9, y + 9], "white", INK, 4)
    picture.resize((WIDTH, HEIGHT), Image.Resampling.LANCZOS).save(file, optimize=True)
    return True


def _points(rows: Sequence[Mapping[str, Any]], kind: str) -> list[tuple[int, float]]:
    return [(row["step"], row["loss"]) for row in rows if row["kind"] == kind and row["loss"] is not None]


def _smoothed(points: Sequence[tuple[int, float]]) -> list[tuple[int, float]]:
    """Return the running mean over the last twentieth, which never looks ahead."""
    window = max(1, round(SMOOTHED_OVER * len(points)))
    means = []
    for place, (step, _) in enumerate(points):
        recent = [loss for _, loss in points[max(0, place - window + 1) : place + 1]]
        means.append((step, sum(recent) / len(recent)))
    return means


def _axis(lowest: float, highest: float) -> tuple[float, float, float]:
    """Return round ends around all values, and the distance of about four ticks between."""
    span = highest - lowest or abs(highest) or 1.0
    power = 10 ** math.floor(math.log10(span / 4))
    every = next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= span / 4)
    low = math.floor(lowest / every) * every
    return low, max(math.ceil(highest / every) * every, low + every), every
