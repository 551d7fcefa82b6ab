"""apply.py of an exported folder: it answers each row of a file, without the app and offline."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from pathlib import Path

from cdvft_app.catalog import cleaning, conversations, written_numbers
from cdvft_app.catalog.entries import DatasetEntry
from cdvft_app.metrics import fields, get_metric, metric_title
from cdvft_app.metrics.matthews import Matthews
from cdvft_app.results import table_rows, table_score
from cdvft_app.results.card import Exported, loading_lines
from cdvft_app.results.escaping import docstring
from cdvft_app.tasks.saved import TaskRecord

APPLY = "apply.py"
ABOUT = """{title}: each row of a file, given back with its answer.

In this folder:

    pip install -r requirements.txt
    python apply.py new.csv answered.csv [--text COLUMN] [--label COLUMN]

For a pair of texts --text is given twice. Files are CSV, TSV, JSONL, JSON, Parquet or .xlsx, or a folder of
pictures; with a column of labels, a score with its interval is told, and of each row how right its answer is.
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
    metric = get_metric(dataset.metric)
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
    modules = [table_rows, table_score]
    mended, expected = "", "text"
    if task.task == "text-generation":
        modules.append(conversations)
        constants["INSTRUCTION"] = task.instruction
        imports = [*imports, "from conversations import asked_in, is_conversation, joined, messages_of"]
        if dataset.fields:
            modules.append(fields)
            constants["FIELDS"] = list(dataset.fields)
            imports.append("from fields import count_pairs")
        elif metric.key == "chrf":
            imports.append("from sacrebleu.metrics.chrf import CHRF")
        else:
            constants["ANSWER_MARK"] = dataset.answer_mark
    if steps and task.task != "image-classification":
        modules += [cleaning, written_numbers, *([] if conversations in modules else [conversations])]
        constants["STEPS"] = list(steps)
        imports = [*imports, "from cleaning import mend_label, mend_texts"]
        mended = "    texts = mend_texts(texts, STEPS, LABELS)\n"
        expected = "mend_label(text, STEPS, LABELS)"
    body = {"image-classification": IMAGES, "text-generation": WRITES}.get(task.task, TEXTS)
    logits = "model(**given).logits"
    if exported.library == "sentence-transformers":
        logits = MEAN_POOLED
    if task.labels:
        judged = "of_classes" if isinstance(metric, Matthews) else "of_right"
    elif task.task == "text-generation":
        judged = "of_right" if metric.percent else "of_scores"
    else:
        judged = "of_numbers"
    imports = [*imports, "from table_rows import read, write", f"from table_score import {judged}"]
    quiet = task.task != "image-classification"
    imports += ["from transformers import logging"] if quiet else []
    plain = ["argparse", "itertools", *(["math"] if judged == "of_numbers" else [])]
    title = f"{run.label} on {run.plan.model.title}, {dataset.title}"
    parts = [
        f'"""{ABOUT.format(title=docstring(title))}"""',
        "\n".join(
            ["", *map("import {}".format, plain), "from pathlib import Path", "", *dict.fromkeys(imports)]
        ),
        "\n" + "\n".join(f"{name} = {value!r}" for name, value in constants.items()),
        QUIET if quiet else "",
        "\n".join(model),
        body.replace("MENDED_LABEL", expected).replace("MENDED\n", mended).replace("LOGITS", logits),
        _answers(task, dataset)
        .replace("MENDED_LABEL", expected)
        .replace("UNNAMED", "None" if uploaded else NUMBERED),
        MAIN.replace("CONVERSATIONS\n", CONVERSATIONS if task.task == "text-generation" else ""),
    ]
    (folder / APPLY).write_text("\n".join(filter(None, parts)), encoding="utf-8")
    for module in modules:
        source = inspect.getsource(module).replace("from cdvft_app.catalog.", "from ")
        (folder / f"{module.__name__.rpartition('.')[2]}.py").write_text(source, encoding="utf-8")


def packages(dataset: DatasetEntry) -> tuple[str, ...]:
    """Return the packages that apply.py needs for the dataset's metric."""
    return ("sacrebleu",) if dataset.metric == "chrf" else ()


def _answers(task: TaskRecord, dataset: DatasetEntry) -> str:
    """Return the code of apply.py that turns logits into answers and scores them against a file's labels."""
    metric = get_metric(dataset.metric)
    if task.labels:
        of_matthews = isinstance(metric, Matthews)
        score = SCORE_OF_CLASSES if of_matthews else SCORE_OF_RIGHT
        title = metric_title("matthews" if of_matthews else "accuracy")
        return CLASSES + RIGHT + score.replace("TITLE", title)
    if task.task == "text-generation":
        title = metric_title(metric.key)
        if dataset.fields:
            check = RIGHT_FIELDS if metric.percent else SHARED_FIELDS
        else:
            check = RIGHT_TEXT if metric.percent else LIKE_TEXT
        score = SCORE_OF_RIGHT if metric.percent else SCORE_OF_SCORES
        return check.replace("METRIC", metric.key) + score.replace("TITLE", title)
    scale = " * DEVIATION + MEAN" if task.is_scaled else ""
    return NUMBERS.replace("NUMBER", f"value{scale}")


QUIET = """\
logging.set_verbosity_error()  # it warns of a base without the head that comes after it
logging.disable_progress_bar()"""

MEAN_POOLED = """(
            (encoder(**given).last_hidden_state * given["attention_mask"][..., None]).sum(1)
            / given["attention_mask"].sum(1, keepdim=True)
        ) @ head["linear.weight"].T + head["linear.bias"]"""

TEXTS = """

@torch.no_grad()
def logits_of(rows):
    width = len(rows[0])
    texts = [text for row in rows for text in row]
MENDED
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
ADDED = ["answer", "confidence"]


def answers(rows):
    for shares in logits_of(rows).softmax(-1).tolist():
        best = max(range(len(shares)), key=shares.__getitem__)
        yield {"answer": LABELS[best], "confidence": round(shares[best], 4)}


def expected(text):
    text = MENDED_LABEL
    return text if text in LABELS else UNNAMED
"""

NUMBERED = "LABELS[int(text)] if text.isdecimal() and int(text) < len(LABELS) else None"
"""Datasets of the catalogue write classes as numbers."""

NUMBERS = """
ADDED = ["answer"]


def answers(rows):
    for value in logits_of(rows).reshape(-1).tolist():
        yield {"answer": float(f"{NUMBER:.6g}")}


def expected(text):
    try:
        number = float(MENDED_LABEL)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


CHECK = "error"


def check(answer, label):
    return float(f"{answer - label:.6g}")


def score(answered):
    return of_numbers("Pearson correlation", *zip(*answered))
"""

RIGHT = """

CHECK = "correct"


def check(answer, label):
    return answer.strip() == label
"""

RIGHT_TEXT = """

CHECK = "correct"


def final(text):
    return text.rpartition(ANSWER_MARK)[2].strip().rstrip(".") if ANSWER_MARK else text.strip()


def check(answer, label):
    return final(answer) == final(label)
"""

LIKE_TEXT = """

CHECK = "METRIC"


def check(answer, label):
    return round(CHRF().sentence_score(answer, [label]).score / 100, 4)
"""

RIGHT_FIELDS = """

CHECK = "correct"


def check(answer, label):
    ((shared, both),) = count_pairs([answer], [label], FIELDS)
    return 2 * shared == both
"""

SHARED_FIELDS = """

CHECK = "METRIC"


def check(answer, label):
    ((shared, both),) = count_pairs([answer], [label], FIELDS)
    return round(2 * shared / both, 4) if both else 0.0
"""

SCORE_OF_SCORES = """

def score(answered):
    return of_scores("TITLE", [check(*one) for one in answered])
"""

SCORE_OF_RIGHT = """

def score(answered):
    return of_right("TITLE", [check(*one) for one in answered])
"""

SCORE_OF_CLASSES = """

def score(answered):
    return of_classes("TITLE", *zip(*answered))
"""

WRITES = """
tokenizer.padding_side = "left"
if tokenizer.pad_token is None:
    tokenizer.pad_token = tokenizer.eos_token


@torch.no_grad()
def answers(rows):
    width = len(rows[0])
    texts = [text for row in rows for text in row]
MENDED
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


def prompt_and_answer(value):
    try:
        return asked_in(value)
    except ValueError:
        return "", None


ADDED = ["answer"]


def expected(text):
    return MENDED_LABEL or None
"""

CONVERSATIONS = """\
    talks = [name for name in first if any(is_conversation(row.get(name)) for row in held)]
    if talks and not asked.text and named(first, COLUMNS[0]) is None:
        parts = [prompt_and_answer(row.get(talks[0])) for row in held]
        return [(prompt,) for prompt, _ in parts], [answer or "" for _, answer in parts]
"""

MAIN = """
ROWS = 256  # that are held at a time


def named(row, wanted):  # capitals and spaces around it aside; None where there is none
    found = {name.strip().casefold(): name for name in row if name}
    return wanted if wanted in row else found.get(wanted.strip().casefold())


def column(row, wanted, option):
    found = named(row, wanted)
    if found is None:
        columns = ", ".join(map(str, row))
        raise SystemExit(f"There is no column {wanted!r}; the columns are {columns}. Say {option}.")
    return found


def other_than(row, wanted):  # so that all columns stay: answer, else answer 2
    places = (f"{wanted} {place}" if place > 1 else wanted for place in itertools.count(1))
    return next(name for name in places if named(row, name) is None)


def answered(rows, asked, known):
    rows = iter(rows)
    while held := list(itertools.islice(rows, ROWS)):
        yield from with_answers(held, asked, known)


def text_of(value):
    return "" if value is None else str(value).strip()


def columns_of(held, asked):  # what is read of each row; and their labels, None without a column of them
    first = held[0]
CONVERSATIONS
    names = [column(first, one, "--text") for one in asked.text or COLUMNS]
    label = column(first, asked.label, "--label") if asked.label else named(first, LABEL)
    given = [tuple(text_of(row.get(name)) for name in names) for row in held]
    return given, [text_of(row.get(label)) for row in held] if label else None


def with_answers(held, asked, known):
    given, labels = columns_of(held, asked)
    added = [(one, other_than(held[0], one)) for one in ADDED + ([] if labels is None else [CHECK])]
    to_ask = [one for one in given if any(one)]
    found = iter(list(answers(to_ask)) if to_ask else [])
    for place, row in enumerate(held):
        answer = dict(next(found)) if any(given[place]) else {}
        right = expected(labels[place]) if labels and answer else None
        if right is not None:
            known.append((answer["answer"], right))
            answer[CHECK] = check(answer["answer"], right)
        yield {**row, **{name: answer.get(one) for one, name in added}}


def main():
    options = argparse.ArgumentParser()
    options.add_argument("file", type=Path)
    options.add_argument("out", type=Path)
    options.add_argument("--text", action="append")
    options.add_argument("--label")
    asked, known = options.parse_args(), []
    rows = read(asked.file, asked.text or COLUMNS)
    count = write(asked.out, answered(rows, asked, known))
    print(f"{count:,} rows, in {asked.out}")
    if known:
        print(score(known))


if __name__ == "__main__":
    main()
"""
