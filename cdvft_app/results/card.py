"""The model card of an exported run: what it is, how well it does, what it cost, and how it is loaded."""

from __future__ import annotations

import json
from dataclasses import replace

from huggingface_hub import EvalResult, ModelCard, ModelCardData

from cdvft_app.costs.quantities import amount
from cdvft_app.judging import words
from cdvft_app.judging.judge import Contestant, Run, band
from cdvft_app.judging.outcomes import from_run
from cdvft_app.judging.race import JudgedRace
from cdvft_app.judging.run_flops import extra_flops
from cdvft_app.judging.score_text import metric_title, score
from cdvft_app.judging.words import counted
from cdvft_app.results.escaping import markdown, one_line
from cdvft_app.results.finished_run import FinishedRun
from cdvft_app.results.loading import Form, lines
from cdvft_app.results.lora import Conversion
from cdvft_app.store.written_answers import WrittenAnswers
from cdvft_app.tasks.saved import TaskRecord

CURVE = "loss.png"
SHOWN = 4  # held-out prompts
MOST_OF_TEXT = 400  # characters of a prompt or an answer
CITATION = """\
@inproceedings{ding2025cdvft,
  title     = {Parameter-Efficient Fine-Tuning with Circulant and Diagonal Vectors},
  author    = {Ding, Xinyu and Chen, Lexuan and Liao, Siyu and Wang, Zhongfeng},
  booktitle = {Proceedings of the Thirty-Fourth International Joint Conference on Artificial Intelligence},
  pages     = {9185--9193},
  year      = {2025},
  doi       = {10.24963/ijcai.2025/1021},
}"""


def card(
    run: FinishedRun,
    task: TaskRecord,
    form: Form,
    *,
    conversion: Conversion | None = None,
    curve: bool = False,
    written: WrittenAnswers | None = None,
    race: JudgedRace | None = None,
) -> ModelCard:
    """The card of a run exported in this form.

    `curve`: whether the loss lies beside it as a picture; `written`: what it wrote to the held-out prompts;
    `race`: what it ran in, as it is judged, None where it ran alone.
    """
    title = f"{run.label} on {run.plan.model.title}: {run.plan.dataset.title}"
    parts = [
        f"# {markdown(title)}",
        _what(run, task, form, conversion),
        "## Use it",
        "In this folder:",
        _block("bash", "pip install -r requirements.txt"),
        _block("python", lines(task, form, run.weights)),
        *_hints(run, task, form),
        "## How well it does, and what it cost",
        _table(run, race),
        *(words.sentences(race.about(run.record.id)) if race else ()),
        f"![Loss of each step, its moving mean, and of the evaluations]({CURVE})" if curve else "",
        _answers(written) if written and written.entries else "",
        "## What it was trained on",
        _sources(run, task),
        "All settings of the run:",
        _block("json", json.dumps(run.plan.settings.model_dump(mode="json", exclude_none=True), indent=2)),
        "## Citation",
        _block("bibtex", CITATION),
    ]
    data = _metadata(run, task, form, title)
    return ModelCard(f"---\n{data.to_yaml()}\n---\n\n" + "\n\n".join(filter(None, parts)) + "\n")


def _block(language: str, text: str) -> str:
    return f"```{language}\n{text}\n```"


def _metadata(run: FinishedRun, task: TaskRecord, form: Form, title: str) -> ModelCardData:
    record, dataset = run.record, run.plan.dataset
    base, location = one_line(task.base_model or "") or None, one_line(dataset.location)
    adapter = run.weights == "adapter" and form != "merged"
    tags = ["peft", *(["cdvft"] if record.method == "cdvft" and form == "adapter" else [])] if adapter else []
    if base and adapter:
        tags.append(f"base_model:adapter:{base}")
    results = None
    if record.metric is not None and record.metric_name is not None:
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
        library_name=_library(run, task, form),
        metrics=[record.metric_name] if record.metric_name else None,
        pipeline_tag=task.task,
        tags=tags or None,
        model_name=one_line(title) if results else None,
        eval_results=results,
    )


def _library(run: FinishedRun, task: TaskRecord, form: Form) -> str:
    if run.weights == "adapter" and form != "merged":
        return "peft"
    if task.task == "image-classification":
        return "timm"
    return "sentence-transformers" if task.pooling == "mean" and form == "merged" else "transformers"


def _what(run: FinishedRun, task: TaskRecord, form: Form, conversion: Conversion | None) -> str:
    answers = f"It answers with one of: {', '.join(map(markdown, task.labels))}."
    if not task.labels:
        answers = "It writes its answer." if task.head is None else "It answers with a number."
    if form == "merged":
        return f"A whole model: what {run.label} learned is merged into its weights. {answers}"
    if form == "lora" and conversion is not None:
        least = min(conversion.layers.items(), key=lambda item: item[1])
        rank, share = conversion.rank, f"{100 * conversion.share:.1f} %"
        return (
            f"A LoRA adapter of rank {rank}: of what {run.label} changed in each layer, the {rank} largest "
            f"singular values. They hold {share} of the change's energy, and {100 * least[1]:.1f} % in "
            f"{least[0]}, which lost most. Its scores were not measured; those below are of the run itself. "
            f"{answers}"
        )
    kept = {
        "adapter": "An adapter" if task.head is None else "An adapter and a head",
        "head": "A head",
        "whole": "A whole model",
    }[run.weights]
    return f"{kept}, trained with {run.label} by CDVFT Studio. {answers}"


def _hints(run: FinishedRun, task: TaskRecord, form: Form) -> list[str]:
    hints = []
    if run.record.method == "cdvft" and form == "adapter":
        hints.append(
            "PEFT does not know CDVFT by itself: `KeyError: 'CDVFT'` means that the library is missing, or "
            "not imported before the adapter is loaded. It is the wheel in this folder; where pip has "
            "installed that, PEFT finds CDVFT by itself, and nothing is lost by forgetting `import cdvft`."
        )
    if run.weights == "adapter" and form != "merged" and task.pooling == "mean" and task.base_model:
        hints.append(
            "Or by PEFT alone, which fetches the base model: "
            f'`AutoPeftModel.from_pretrained(".", num_labels={len(task.labels) or 1}, '
            'import_allowlist=["cdvft"])`, after `import cdvft`.'
        )
    if form == "merged" and task.task != "image-classification" and task.pooling == "mean":
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
        interval = band(Contestant(run.label, (own,)), record.metric_name)
        ends = " to ".join(score(record.metric_name, end) for end in interval or ())
        over = f" (95 % interval {ends}, over {counted(examples or 0, 'evaluation row')})" if ends else ""
        rows.append((metric_title(record.metric_name), score(record.metric_name, record.metric) + over))
    rows.append(("Seed", f"{record.settings.seed}, one run: with another seed the score differs"))
    if record.trainable_parameters is not None:
        of = f" of {result['base_parameters']:,}" if result.get("base_parameters") else ""
        rows.append(
            (
                "Trained numbers",
                f"{record.trainable_parameters:,}{of}, and {result.get('head_parameters', 0):,} of the head",
            )
        )
    outcome = from_run(replace(record, state="finished"))
    flops = extra_flops(outcome) if outcome else None
    if flops is not None:
        rows.append(
            (
                "FLOPs added to the training",
                f"{amount('flops', flops)}, by formula, every example at full length",
            )
        )
    if record.seconds:
        measured = f"measured on {markdown(str(record.device))}"
        rows.append(
            ("Training time", f"{amount('seconds', record.seconds)} for {record.step:,} steps, {measured}")
        )
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


def _answers(written: WrittenAnswers) -> str:
    """The first of the held-out rows, which were drawn at random: no row is chosen for its answer."""
    rows = [
        f"| {_cell(one.prompt)} | {_cell(one.expected)} | {_cell(one.written)} | {'yes' if right else 'no'} |"
        for one, right in zip(written.entries[:SHOWN], written.correct, strict=False)
    ]
    right = f"{int(written.correct.sum()):,} of {len(written.entries):,}"
    head = f"Answers to {right} held-out prompts are right in whole. The first of these prompts:"
    return "\n".join([head, "", "| Prompt | Right answer | Written | Right |", "|---|---|---|---|", *rows])


def _cell(text: str) -> str:
    """A text of several lines inside a table of Markdown."""
    cut = text if len(text) <= MOST_OF_TEXT else f"{text[:MOST_OF_TEXT]}…"
    return "<br>".join(map(markdown, cut.splitlines()))


def _sources(run: FinishedRun, task: TaskRecord) -> str:
    model, dataset = run.plan.model, run.plan.dataset
    place = markdown(task.base_model) if task.base_model else "which lies beside, in `base/`"
    base = f"{markdown(model.title)}, {place}"
    base += f" at {markdown(task.revision)}" if task.revision else ""
    data = markdown(f"{dataset.title}, {dataset.location}" if dataset.source == "hub" else dataset.title)
    trained_on = run.record.result.get("train_examples")
    rows = f", {trained_on:,} rows" if trained_on else ""
    return (
        f"- Base model: {base}. Licence: {markdown(model.licence)}.\n"
        f"- Data: {data}{rows}. Licence: {markdown(dataset.licence)}.\n"
        "- Whether what was trained may be passed on follows from both licences."
    )
