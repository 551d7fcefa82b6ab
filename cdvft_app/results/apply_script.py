"""apply.py of an exported folder: it answers each row of a file, without the app and offline."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from pathlib import Path

from cdvft_app.catalog import cleaning, conversations, written_numbers
from cdvft_app.results import table_rows
from cdvft_app.results.card import Exported, loading_lines
from cdvft_app.results.escaping import docstring
from cdvft_app.tasks.saved import TaskRecord

APPLY = "apply.py"
ABOUT = """{title}: each row of a file, given back with its answer.

In this folder:

    pip install -r requirements.txt
    python apply.py new.csv answered.csv [--text COLUMN] [--label COLUMN]

For a pair of texts --text is given twice. Files are CSV, TSV, JSONL, JSON, Parquet or .xlsx, or a folder of
pictures; with a column of labels, how many answers are right is told.
"""


def write_apply(exported: Exported, folder: Path, moved: Mapping[str, str] | None = None) -> None:
    """Write apply.py, and beside it the modules that it imports.

    Args:
        exported: what the folder holds.
        folder: of it.
        moved: what stands for a place, as it is written in Python, where it lies elsewhere in the folder.
    """
    run, task = exported.run, exported.task
    dataset, uploaded = run.plan.dataset, run.plan.dataset.uploaded
    imports, model = loading_lines(exported)
    for before, now in (moved or {}).items():
        model = [line.replace(before, now) for line in model]
    steps = uploaded.clean if uploaded else ()
    columns = [*(uploaded.inputs if uploaded else dataset.text_columns)] or ["text"]
    label = (uploaded.label if uploaded else dataset.label_column) or "label"
    constants: dict[str, object] = {
        "COLUMNS": ["image"] if task.task == "image-classification" else columns,
        "LABEL": label,
        "LABELS": list(task.labels),
        "MAX_LENGTH": task.max_length,
    }
    if task.is_scaled:
        constants |= {"MEAN": task.mean, "DEVIATION": task.deviation}
    modules = [table_rows]
    texts, expected = "texts", "value"
    if task.task == "text-generation":
        modules.append(conversations)
        constants["INSTRUCTION"] = task.instruction
        imports = [*imports, "from conversations import joined, messages_of"]
    if steps and task.task != "image-classification":
        modules += [cleaning, written_numbers, *([] if conversations in modules else [conversations])]
        constants["STEPS"] = list(steps)
        imports = [*imports, "from cleaning import mend_label, mend_texts"]
        texts, expected = "mend_texts(texts, STEPS, LABELS)", "mend_label(value, STEPS, LABELS)"
    body = {"image-classification": IMAGES, "text-generation": WRITES}.get(task.task, TEXTS)
    logits = "model(**given).logits"
    if exported.library == "sentence-transformers":
        logits = MEAN_POOLED
    imports = [*imports, "from table_rows import read, write"]
    title = f"{run.label} on {run.plan.model.title}, {dataset.title}"
    parts = [
        f'"""{ABOUT.format(title=docstring(title))}"""',
        "\n".join(["", "import argparse", "from pathlib import Path", "", *dict.fromkeys(imports)]),
        "\n" + "\n".join(f"{name} = {value!r}" for name, value in constants.items()),
        "\n".join(model),
        body.replace("MENDED", texts).replace("LOGITS", logits),
        _answers(task),
        MAIN.replace("EXPECTED", expected),
    ]
    (folder / APPLY).write_text("\n".join(filter(None, parts)), encoding="utf-8")
    for module in modules:
        source = inspect.getsource(module).replace("from cdvft_app.catalog.", "from ")
        (folder / f"{module.__name__.rpartition('.')[2]}.py").write_text(source, encoding="utf-8")


def _answers(task: TaskRecord) -> str:
    """What becomes of logits; nothing of answers that are written."""
    if task.labels:
        return CLASSES
    scale = " * DEVIATION + MEAN" if task.is_scaled else ""
    return NUMBERS.replace("NUMBER", f"value{scale}") if task.task != "text-generation" else ""


MEAN_POOLED = """(
            (encoder(**given).last_hidden_state * given["attention_mask"][..., None]).sum(1)
            / given["attention_mask"].sum(1, keepdim=True)
        ) @ head["linear.weight"].T + head["linear.bias"]"""

TEXTS = """

@torch.no_grad()
def logits_of(rows):
    width = len(rows[0])
    texts = [text for row in rows for text in row]
    texts = MENDED
    rows = [texts[place : place + width] for place in range(0, len(texts), width)]
    order = sorted(range(len(rows)), key=lambda place: sum(map(len, rows[place])))
    found = {}
    for start in range(0, len(order), 64):
        places = order[start : start + 64]
        sides = [list(side) for side in zip(*(rows[place] for place in places))]
        given = tokenizer(*sides, truncation=True, max_length=MAX_LENGTH, padding=True, return_tensors="pt")
        logits = LOGITS
        found |= dict(zip(places, logits.float()))
    return torch.stack([found[place] for place in range(len(rows))])
"""

IMAGES = """
prepared = json.load(open("config.json"))["pretrained_cfg"]
size = prepared["input_size"][1]
transform = v2.Compose([
    v2.ToImage(), v2.RGB(), v2.Resize(size, v2.InterpolationMode.BICUBIC), v2.CenterCrop(size),
    v2.ToDtype(torch.float32, scale=True), v2.Normalize(prepared["mean"], prepared["std"]),
])


@torch.no_grad()
def logits_of(rows):
    return model(torch.stack([transform(Image.open(path).convert("RGB")) for path, in rows])).float()
"""

CLASSES = """
def answers(rows):
    for shares in logits_of(rows).softmax(-1).tolist():
        best = max(range(len(shares)), key=shares.__getitem__)
        yield {"answer": LABELS[best], "confidence": round(shares[best], 4)}
"""

NUMBERS = """
def answers(rows):
    for value in logits_of(rows).reshape(-1).tolist():
        yield {"answer": float(f"{NUMBER:.6g}")}
"""

WRITES = """
tokenizer.padding_side = "left"
if tokenizer.pad_token is None:
    tokenizer.pad_token = tokenizer.eos_token


@torch.no_grad()
def answers(rows):
    width = len(rows[0])
    texts = [text for row in rows for text in row]
    texts = MENDED
    rows = [texts[place : place + width] for place in range(0, len(texts), width)]
    system = [{"role": "system", "content": INSTRUCTION}] if INSTRUCTION else []
    prompts = [
        tokenizer.apply_chat_template(
            system + messages_of(joined(dict(enumerate(row)), *range(width))),
            add_generation_prompt=True,
            tokenize=False,
        )
        for row in rows
    ]
    for start in range(0, len(prompts), 16):
        given = tokenizer(
            prompts[start : start + 16], add_special_tokens=False, padding=True, return_tensors="pt"
        )
        room = MAX_LENGTH - int(given["attention_mask"].sum(1).min())
        written = model.generate(
            **given, max_new_tokens=max(room, 1), do_sample=False, pad_token_id=tokenizer.pad_token_id
        )
        for ids in written[:, given["input_ids"].shape[1] :]:
            yield {"answer": tokenizer.decode(ids, skip_special_tokens=True)}
"""

MAIN = """
ROWS = 256  # that are held at a time


def column(row, wanted):
    named = {name.strip().casefold(): name for name in row if name}
    if wanted.strip().casefold() not in named:
        columns = ", ".join(map(str, row))
        raise SystemExit(f"There is no column {wanted!r}; the columns are {columns}. Say --text.")
    return named[wanted.strip().casefold()]


def answered(rows, wanted, label, counted):
    held = []
    for row in rows:
        held.append(row)
        if len(held) == ROWS:
            yield from with_answers(held, wanted, label, counted)
            held = []
    if held:
        yield from with_answers(held, wanted, label, counted)


def with_answers(held, wanted, label, counted):
    names = [column(held[0], one) for one in wanted]
    given = [tuple(str(row.get(name) or "").strip() for name in names) for row in held]
    asked = [one for one in given if any(one)]
    found = iter(list(answers(asked)) if asked else [])
    for row, texts in zip(held, given):
        answer = next(found) if any(texts) else {"answer": None}
        value = str(row.get(label) or "").strip()
        if value and any(texts) and isinstance(answer["answer"], str):
            counted["rows"] += 1
            counted["right"] += answer["answer"].strip() == EXPECTED
        yield {**row, **answer}


def main():
    options = argparse.ArgumentParser()
    options.add_argument("file", type=Path)
    options.add_argument("out", type=Path)
    options.add_argument("--text", action="append")
    options.add_argument("--label", default=LABEL)
    asked = options.parse_args()
    counted = {"rows": 0, "right": 0}
    count = write(asked.out, answered(read(asked.file), asked.text or COLUMNS, asked.label, counted))
    print(f"{count:,} rows, in {asked.out}")
    if counted["rows"]:
        share = counted["right"] / counted["rows"]
        print(f"{100 * share:.1f} % of {counted['rows']:,} rows with a label are right")


if __name__ == "__main__":
    main()
"""
