"""apply.py of an exported folder: it answers each row of a file, without the app and offline."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import ModuleType

from cdvft_app import metrics
from cdvft_app.catalog import cleaning, conversations, picture_labels, written_numbers
from cdvft_app.catalog.entries import DatasetEntry
from cdvft_app.catalog.uploaded import EVALUATION_NAMES, TRAINING_NAMES
from cdvft_app.data import records, row_errors
from cdvft_app.metrics import get_metric
from cdvft_app.results import picture_rows, table_rows, table_score
from cdvft_app.results.card import Exported, loading_lines
from cdvft_app.results.escaping import docstring
from cdvft_app.tasks import shared_prefix, writing

APPLY = "apply.py"
ABOUT = """{title}: each row of a file, given back with its answer.

In this folder:

    pip install -r requirements.txt
    python apply.py {usage}; a score with its
interval is told then, and of each row how right its answer is.
"""
USAGE = """\
new.csv answered.csv [--text COLUMN] [--label COLUMN]

For a pair of texts --text is given twice. Files are CSV, TSV, JSONL, JSON, Parquet or .xlsx, and may have a
column of labels"""
USAGE_OF_PICTURES = """\
pictures answered.csv

What is answered is a folder of pictures, a zip of them, one picture, or a table with a column of their paths
(--text COLUMN). Folders of classes, names that begin with their class, or a CSV with the columns file and
label tell labels, as does a table's column (--label COLUMN)"""


def write_apply(exported: Exported, folder: Path, moved: Mapping[str, str] | None = None) -> None:
    """Write apply.py, and beside it the modules that it imports.

    Args:
        exported: what the folder holds.
        folder: of it.
        moved: what stands for a place, as it is written in Python, where it lies elsewhere in the folder.
    """
    run, task = exported.run, exported.task
    dataset, uploaded = run.plan.dataset, run.plan.dataset.uploaded
    of_pictures = task.task == "image-classification"
    metric = get_metric(dataset.metric)
    imports, model = loading_lines(exported)
    for before, now in (moved or {}).items():
        model = [line.replace(before, now) for line in model]
    steps = uploaded.clean if uploaded else ()
    columns = [*(uploaded.inputs if uploaded else dataset.text_columns)] or ["text"]
    label = (uploaded.label if uploaded else dataset.label_column) or "label"
    constants: dict[str, object] = {
        "COLUMNS": ["image"] if of_pictures else columns,
        "LABEL": label,
        "LABELS": list(task.labels),
        "MAX_LENGTH": task.max_length,
        "METRIC": metric.key,
    }
    if task.is_scaled:
        constants |= {"MEAN": task.mean, "DEVIATION": task.deviation}
    modules = [table_rows, records, row_errors, table_score]
    mended, expected = "", "text"
    if of_pictures:
        modules += [picture_rows, picture_labels]
        constants["SPLITS"] = [*TRAINING_NAMES, *EVALUATION_NAMES]
    if task.task == "text-generation":
        modules += [conversations, shared_prefix, writing]
        constants |= {"INSTRUCTION": task.instruction, **answer_format(dataset)}
        imports = [
            *imports,
            "from conversations import asked_in, is_conversation, joined, messages_of",
            "from jinja2 import TemplateError",
            "from writing import tokens",
        ]
    if steps:
        modules += [cleaning, written_numbers, *([] if conversations in modules else [conversations])]
        constants["STEPS"] = list(steps)
        imports = [*imports, "from cleaning import mend_label, mend_texts"]
        mended = "" if of_pictures else MENDED
        expected = "mend_label(text, STEPS, LABELS)"
    body = {"image-classification": IMAGES, "text-generation": WRITES}.get(task.task, TEXTS)
    logits = "model(**given).logits"
    if exported.library == "sentence-transformers":
        logits = MEAN_POOLED
    if task.task == "text-generation":
        judged, answers, answerable = "of_texts", RIGHT_TEXT if metric.percent else LIKE_TEXT, "any"
    elif task.labels:
        judged, answers, answerable = "of_classes", CLASSES, "all"
    else:
        judged, answers, answerable = "of_numbers", NUMBERS, "all"
    imports = [
        *imports,
        "from metrics import METRICS",
        f"from table_score import {judged}",
    ]
    imports += [] if of_pictures else ["from transformers import logging"]
    light = ["from picture_rows import Pictures"] if of_pictures else []
    light += [
        "from row_errors import RowErrors",
        f"from table_rows import NoAnswer, {'' if of_pictures else 'read, '}require_writable, write",
    ]
    plain = ["argparse", "itertools", *(["math"] if judged == "of_numbers" else []), "os"]
    title = docstring(f"{run.label} on {run.plan.model.title}, {dataset.title}")
    about = ABOUT.format(title=title, usage=USAGE_OF_PICTURES if of_pictures else USAGE)
    parts = [
        f'"""{about}"""',
        "\n".join(["", *map("import {}".format, plain), *FROM_PYTHON, ""]),
        "\n".join([*light, ""]),
        "\n".join(f"{name} = {value!r}" for name, value in constants.items()),
        ASKED.replace("READ\n", READ_PICTURES if of_pictures else "").replace(
            "PARTS\n", PARTS if task.task != "text-generation" else ""
        ),
        IMPORTS.replace("IMPORTS", "\n    ".join(dict.fromkeys(imports))),
        "" if of_pictures else QUIET,
        MODEL.replace("MODEL", "\n    ".join(model)),
        body.replace("MENDED_LABEL", expected)
        .replace("LOGITS", logits)
        .replace("ADAPTED", "base" if exported.weights == "adapter" else "model"),
        answers.replace("MENDED_LABEL", expected)
        .replace("UNNAMED", "None" if uploaded else NUMBERED)
        .replace("SCALED", "value * DEVIATION + MEAN" if task.is_scaled else "value"),
        MAIN.replace("CONVERSATIONS\n", CONVERSATIONS if task.task == "text-generation" else "")
        .replace("MENDED\n", mended)
        .replace("ANSWERABLE", answerable)
        .replace("GIVE", GIVE_PICTURES if of_pictures else GIVE),
    ]
    (folder / APPLY).write_text("\n".join(filter(None, parts)), encoding="utf-8")
    write_modules(modules, folder)


def write_modules(modules: Iterable[ModuleType], folder: Path) -> None:
    """Write modules of the app into an exported folder, and beside them the metrics, as the package
    `metrics`."""
    (folder / "metrics").mkdir(exist_ok=True)
    files = {folder / f"{one.__name__.rpartition('.')[2]}.py": inspect.getsource(one) for one in modules}
    for file in Path(metrics.__path__[0]).glob("*.py"):
        files[folder / "metrics" / file.name] = file.read_text(encoding="utf-8")
    for file, source in files.items():
        alone = source.replace("from cdvft_app.tasks import", "import")
        for package in ("cdvft_app.catalog.", "cdvft_app.data.", "cdvft_app.results.", "cdvft_app."):
            alone = alone.replace(f"from {package}", "from ")
        file.write_text(alone, encoding="utf-8")


def answer_format(dataset: DatasetEntry) -> dict[str, object]:
    """Return the constants of which an exported script makes a `metrics.base.AnswerFormat`."""
    return {"FIELDS": list(dataset.fields), "ANSWER_MARK": dataset.answer_mark}


FROM_PYTHON = ("from pathlib import Path", "from types import SimpleNamespace")

READ_PICTURES = """
pictures = Pictures(LABEL, SPLITS)
read = pictures.read
"""

PARTS = """\
    if asked.text and len(asked.text) != len(COLUMNS):
        raise SystemExit(
            f"What is read is {' and '.join(COLUMNS)}; --text is given {len(asked.text)} times. Give it once "
            "for each of these, in their order."
        )
"""

ASKED = """\
READ


def asked_and_rows():
    options = argparse.ArgumentParser()
    options.add_argument("file", type=Path)
    options.add_argument("out", type=Path)
    options.add_argument("--text", action="append")
    options.add_argument("--label")
    asked = options.parse_args()
PARTS
    require_writable(asked.out, asked.file)
    faults = RowErrors()
    rows = read(asked.file, asked.text or COLUMNS, faults)
    first = next(rows, None)
    if first is None:
        none = f"“{asked.file}” has no rows. Give a file with a head and rows."
        raise SystemExit("\\n".join([*faults.sentences(), none]))
    return asked, itertools.chain([first], rows), faults


if __name__ == "__main__":  # what is wrong with it is said before the model is loaded
    asked, rows, faults = asked_and_rows()
"""

IMPORTS = """\
HERE, CALLED_FROM = Path(__file__).resolve().parent, Path.cwd()

try:
    IMPORTS
except ImportError as error:
    raise SystemExit(f"{error}. In {HERE}: pip install -r requirements.txt") from None
"""

MODEL = """\
os.chdir(HERE)  # where the files are that are named next
try:
    MODEL
except (OSError, ValueError) as error:
    why = str(error).partition("\\n")[0].rstrip(".")
    raise SystemExit(
        f"The model cannot be loaded: {why}. Keep all files of {HERE} together; a pretrained model of the "
        "hub is fetched once, for which the hub must be in reach."
    ) from None
os.chdir(CALLED_FROM)"""

MENDED = "    given = [tuple(mend_texts(row, STEPS, LABELS)) for row in given]\n"
GIVE = "Say --text NAME."
GIVE_PICTURES = (
    "Give a folder of pictures, a zip of them or one picture, or a table with the column of their paths: "
    "--text NAME."
)

QUIET = """\
logging.set_verbosity_error()  # it warns of a base without the head that comes after it
logging.disable_progress_bar()"""

MEAN_POOLED = """(
            (encoder(**given).last_hidden_state * given["attention_mask"][..., None]).sum(1)
            / given["attention_mask"].sum(1, keepdim=True)
        ) @ head["linear.weight"].T + head["linear.bias"]"""

TEXTS = """

def prepare(row):
    return row


@torch.no_grad()
def logits_of(rows):
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
prepared = json.load(open(HERE / "config.json"))["pretrained_cfg"]
size = prepared["input_size"][1]
transform = v2.Compose([
    v2.ToImage(), v2.RGB(), v2.Resize(size, v2.InterpolationMode.BICUBIC), v2.CenterCrop(size),
    v2.ToDtype(torch.float32, scale=True), v2.Normalize(prepared["mean"], prepared["std"]),
])


def prepare(row):
    return transform(pictures.open(*row))


@torch.no_grad()
def logits_of(rows):
    return model(torch.stack(rows)).float()
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


CHECK = "correct"


def check(answer, label):
    return answer.strip() == label


def score(answered):
    return of_classes(metric, LABELS, *zip(*answered))
"""

NUMBERED = "LABELS[int(text)] if text.isdecimal() and int(text) < len(LABELS) else None"
"""Datasets of the catalogue write classes as numbers."""

NUMBERS = """
ADDED = ["answer"]


def answers(rows):
    for value in logits_of(rows).reshape(-1).tolist():
        yield {"answer": float(f"{SCALED:.6g}")}


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
    return of_numbers(metric, *zip(*answered))
"""

RIGHT_TEXT = """

CHECK = "correct"


def check(answer, label):
    return metric.per_row([answer], [label], FORMAT)[0] == 1


def score(answered):
    return of_texts(metric, *zip(*answered), [check(*one) for one in answered])
"""

LIKE_TEXT = """

CHECK = METRIC


def check(answer, label):
    return round(metric.per_row([answer], [label], FORMAT)[0], 4)


def score(answered):
    return of_texts(metric, *zip(*answered), [check(*one) for one in answered])
"""

WRITES = """
tokenizer.padding_side = "left"
if tokenizer.pad_token is None:
    tokenizer.pad_token = tokenizer.eos_token


def prepare(row):  # the tokens of a prompt, if there is room for an answer
    system = [{"role": "system", "content": INSTRUCTION}] if INSTRUCTION else []
    try:
        prompt = tokenizer.apply_chat_template(
            system + messages_of(joined(dict(enumerate(row)), *range(len(row)))),
            add_generation_prompt=True,
            tokenize=False,
        )
    except TemplateError as error:
        raise NoAnswer(
            f"The model's chat template does not take this conversation ({str(error)[:200]}). Leave its "
            "system prompt or its earlier turns out, or choose another model."
        ) from None
    ids = tokenizer(prompt, add_special_tokens=False)["input_ids"]
    if len(ids) + 1 > MAX_LENGTH:
        raise NoAnswer(
            f"This text has {len(ids) + 1:,} tokens; “Longest text” allows {MAX_LENGTH:,}. Raise that, or "
            "leave out what is longer."
        )
    return ids


def answers(prompts):
    end = tokenizer.eos_token_id
    for start in range(0, len(prompts), 16):
        given = tokenizer.pad({"input_ids": prompts[start : start + 16]}, return_tensors="pt")
        mask = given["attention_mask"]
        given["position_ids"] = (mask.cumsum(1) - 1).clamp(min=0)
        room = MAX_LENGTH - int(mask.sum(1).min())
        written = [token for token, _ in tokens(ADAPTED, given, eos_token_id=end, max_new_tokens=room)]
        for ids in torch.stack(written, dim=1).tolist():
            text = tokenizer.decode(ids, skip_special_tokens=True)
            yield {"answer": text if end in ids else text + "…"}  # it would have gone on


def prompt_and_answer(value):
    try:
        return asked_in(value)
    except ValueError:
        return "", None


ADDED = ["answer"]
FORMAT = SimpleNamespace(metric=METRIC, fields=FIELDS, answer_mark=ANSWER_MARK)


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
SHOWN = 5  # rows without an answer that are named
metric = METRICS[METRIC]


def named(row, wanted):  # capitals and spaces around it aside; None where there is none
    found = {name.strip().casefold(): name for name in row if name}
    return wanted if wanted in row else found.get(wanted.strip().casefold())


def column(row, wanted, advice):
    found = named(row, wanted)
    if found is None:
        columns = ", ".join(map(str, row))
        raise SystemExit(f"There is no column {wanted!r}; the columns are {columns}. {advice}")
    return found


def other_than(row, wanted):  # so that all columns stay: answer, else answer 2
    places = (f"{wanted} {place}" if place > 1 else wanted for place in itertools.count(1))
    return next(name for name in places if named(row, name) is None)


def answered(rows, asked, told):
    while some := list(itertools.islice(rows, ROWS)):
        yield from with_answers(*zip(*some), asked, told)


def text_of(value):
    return "" if value is None else str(value).strip()


def columns_of(held, asked):  # what is read of each row; and their labels, None without a column of them
    first = held[0]
CONVERSATIONS
    names = [column(first, one, "GIVE") for one in asked.text or COLUMNS]
    label = column(first, asked.label, "Say --label NAME.") if asked.label else named(first, LABEL)
    given = [tuple(text_of(row.get(name)) for name in names) for row in held]
    return given, [text_of(row.get(label)) for row in held] if label else None


def with_answers(numbers, held, asked, told):
    given, labels = columns_of(held, asked)
MENDED
    added = [(one, other_than(held[0], one)) for one in ADDED + ([] if labels is None else [CHECK])]
    to_ask = {}
    for place, one in enumerate(given):
        try:
            if not ANSWERABLE(one):
                raise NoAnswer("It is empty. Give it a value, or leave the row out.")
            to_ask[place] = prepare(one)
        except NoAnswer as why:
            told.refused.append(f"Row {numbers[place]:,}: {why}")
    found = dict(zip(to_ask, answers([*to_ask.values()]) if to_ask else []))
    told.rows, told.answered = told.rows + len(held), told.answered + len(found)
    for place, row in enumerate(held):
        answer = dict(found.get(place, {}))
        right = expected(labels[place]) if labels and answer else None
        if right is not None:
            told.known.append((answer["answer"], right))
            answer[CHECK] = check(answer["answer"], right)
        elif labels and answer and (labels[place] or "").strip():
            why = "is not scored: no answer can be compared with its label."
            told.refused.append(f"Row {numbers[place]:,} {why}")
        yield {**row, **{name: answer.get(one) for one, name in added}}


def main(asked, rows, faults):
    told = SimpleNamespace(rows=0, answered=0, known=[], refused=[])
    write(asked.out, answered(rows, asked, told))
    print(f"{told.answered:,} of {told.rows:,} rows answered, in {asked.out}")
    for fault in faults.sentences():
        print(f"not in it: {fault}")
    for sentence in told.refused[:SHOWN]:
        print(sentence)
    if len(told.refused) > SHOWN:
        print(f"and {len(told.refused) - SHOWN:,} more rows like these")
    if told.known:
        print(score(told.known))


if __name__ == "__main__":
    main(asked, rows, faults)
"""
