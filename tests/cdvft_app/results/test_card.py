"""Whatever somebody called their data, labels, models or prompts: exports hold it as text, and nothing of it
is run, is markup, or is a key of a card's front matter."""

from __future__ import annotations

import ast
import contextlib
import dataclasses
import functools
import json
import re

import pytest
import yaml
from huggingface_hub import ModelCard
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token
from peft import LoraConfig

from cdvft_app.catalog import resolve
from cdvft_app.catalog.dataset_readers import Rows
from cdvft_app.executors.hub_script import script_text as job_script
from cdvft_app.results.card import Exported, card
from cdvft_app.results.finished_run import FinishedRun
from cdvft_app.settings import RunSettings
from cdvft_app.tasks.saved import TaskRecord

HARMLESS = "films"
MARKDOWN = MarkdownIt("commonmark").enable(["table", "strikethrough"])
FRONT = re.compile(r"(?<=\n)---[ \t]*\r?\n")  # ends a card's front matter, as the hub reads it
ATTACK = '"""\nopen("run_by_an_export", "w").close()\n"""'
NAMES = [
    ATTACK,
    '"',
    'ends in a quote"',
    'it\'s "both"',
    "ends in \\",
    "\\",
    "\\\\",
    '\\"""',
    "\\U0010FFFF",
    "\\N{DASH}",
    "a\nb",
    "\u2028import os\u2029",
    "\x85\x0b\x0c\x1c\x1d\x1e",
    "nul\x00",
    "\u202etxt.exe\u2066",
    "{}{0}{title}{x!r}",
    "{{ card_data }}{% if %}{# #}",
    "${HOME} $(id) `id`",
    "\n---\nlicense: mit\n---\n",
    "--- \nbase_model: stolen",
    "- a\n- b: c",
    "!!python/object/apply:os.system ['id']",
    "&anchor *anchor",
    "null",
    " leading: and trailing ",
    "<script>alert(1)</script>",
    "</code></pre><img src=x onerror=alert(1)>",
    "![](https://example.org/seen.png)",
    "[here](javascript:alert(1))",
    "[a]: https://example.org",
    "**bold** __bold__ *i* _i_ ~~s~~ `code`",
    "$$x$$ $y$",
    "| a | b |\n|---|---|",
    "```\n```python\nimport os\n```",
    "# ///\n# dependencies = ['evil']\n# ///",
    "\U0001f600 ä 漢字 \u0627\u0644",
    "x" * 10_000,
    '"""' * 3_000,
    " ",
]
names = st.text(
    st.characters(exclude_categories=["Cs"]) | st.sampled_from("\"'\\\n\r#`<>|[]{}$-:&*_ "), min_size=1
)


def on_hostile_names(test):
    """The list, and a few that hypothesis finds."""
    for name in NAMES:
        test = example(name)(test)
    checks = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
    return settings(max_examples=5, deadline=None, suppress_health_check=checks)(given(names)(test))


@pytest.fixture(scope="module")
def make(request, store, tmp_path_factory):
    """`make(kind, name)`: a run and its rows, with everything called by that name; nothing is trained."""
    folder = tmp_path_factory.mktemp("named")

    @functools.lru_cache(maxsize=4)
    def parts(kind):
        plan = request.getfixturevalue(f"{kind}_plan")("lora", max_steps=2)
        (record,) = store.create([plan.settings], None, "Films", "1:1")
        result = {"evaluation_examples": 24, "base_parameters": 100, "peak_memory_bytes": 5}
        kept = dataclasses.replace(
            record, state="finished", total_steps=2, step=2, metric=0.5, metric_name=plan.dataset.metric,
            seconds=2.0, result=result,
        )  # fmt: skip
        return plan, kept, request.getfixturevalue(f"{kind}_rows")

    def named(kind: str, name: str) -> tuple[FinishedRun, Rows]:
        plan, record, rows = parts(kind)
        LoraConfig(r=2, target_modules=[name], modules_to_save=[name]).save_pretrained(str(folder))
        mark = {"fields": (), "answer_mark": name} if len(name) % 2 else {"fields": (name, "kind")}
        dataset = dataclasses.replace(
            plan.dataset, title=name, location=name, licence=name, instruction=name, **mark
        )
        model = dataclasses.replace(plan.model, title=name, location=name, licence=name, source="hub")
        own = plan.settings.model_copy(update={"own_prompt": name, "dataset": name})
        plan = dataclasses.replace(plan, dataset=dataset, model=model, settings=own)
        labels = (name, *rows.labels[1:]) if rows.labels else ()
        return FinishedRun(dataclasses.replace(record, device=name), plan, folder), dataclasses.replace(
            rows, labels=labels
        )

    return named


def visible(text: str) -> str:
    return "".join(one for one in text if one.isprintable() and one != " ")


def skeleton(tree: ast.Module) -> str:
    """The syntax of code, without the texts in it, which are gone from the tree."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            node.value = ""
    return ast.dump(tree)


def constants(tree: ast.Module) -> dict:
    found = {}
    for node in tree.body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            with contextlib.suppress(ValueError):
                found[node.targets[0].id] = ast.literal_eval(node.value)
    return found


def markup(tokens: list[Token]) -> list[object]:
    """What Markdown makes of it, without the texts themselves; a line break in a cell is none of it."""
    found: list[object] = []
    for token in tokens:
        found.append((token.type, token.level, token.info))
        for child in token.children or []:
            is_break = (child.type, child.content) == ("html_inline", "<br>")
            if child.type not in ("text", "softbreak") and not is_break:
                found.append((child.type, child.attrs))
    return found


def code_of(tokens: list[Token], language: str) -> str:
    """The one block of code of that language."""
    (code,) = [one.content for one in tokens if (one.type, one.info) == ("fence", language)]
    return code


def keys(value: object) -> object:
    """The structure of YAML or JSON, without its texts."""
    if isinstance(value, dict):
        return {name: keys(one) for name, one in value.items()}
    return [keys(one) for one in value] if isinstance(value, list) else type(value)


@pytest.mark.parametrize(("kind", "form"), [("text", "adapter"), ("image", "merged"), ("answer", "lora")])
def test_card_shows_names_as_text(make, kind, form):
    def written(name: str) -> tuple[str, dict, list[Token], str]:
        run, rows = make(kind, name)
        pooling = {"text": "mean", "image": "timm", "answer": "none"}[kind]
        tasks = {"text": "text-classification", "image": "image-classification", "answer": "text-generation"}
        task = TaskRecord(
            task=tasks[kind], labels=rows.labels, base_model=name, revision=name, pooling=pooling, head=None,
            max_length=8, image_size=32, instruction=name,
        )  # fmt: skip
        weights, is_merged = ("whole", True) if form == "merged" else ("adapter", False)
        of = Exported(run, task, weights, "It is one.", is_as_trained=form == "adapter", is_merged=is_merged)
        text = str(card(of))
        front, body = FRONT.split(text, maxsplit=1)
        tokens = MARKDOWN.parse(body)
        return text, yaml.safe_load(front), tokens, code_of(tokens, "python")

    _, harmless_front, harmless_body, harmless_code = written(HARMLESS)
    compile(harmless_code, "card.py", "exec")
    harmless_keys, harmless_markup = keys(harmless_front), markup(harmless_body)

    @on_hostile_names
    def check(name: str) -> None:
        text, front, body, code = written(name)
        assert keys(front) == harmless_keys or not visible(name)
        read = front.get("base_model"), ModelCard(text).data.base_model
        assert {visible(one or "") for one in read} == {visible(name)}
        assert markup(body) == harmless_markup
        assert json.loads(code_of(body, "json"))["own_prompt"] == name
        assert code == harmless_code  # names are read from task.json

    check()


def test_job_script_holds_names_as_text():
    plan = resolve(RunSettings(recipe="sentiment", method="lora"))

    def written(name: str) -> str:
        own = plan.settings.model_copy(update={"dataset": name, "target_modules": (name,)})
        return job_script(own, name, name)

    harmless = written(HARMLESS)
    compile(harmless, "job.py", "exec")
    syntax = skeleton(ast.parse(harmless))

    @on_hostile_names
    def check(name: str) -> None:
        text = written(name)
        tree = ast.parse(text)
        held = constants(tree)
        assert held["REPOSITORY"] == name
        assert (held["SETTINGS"]["dataset"], held["SETTINGS"]["target_modules"]) == (name, [name])
        assert ast.get_docstring(tree, clean=False).startswith(f"{name}, as a Job")
        head, of_harmless = (one.partition('\n"""')[0] for one in (text, harmless))
        assert head == of_harmless  # what uv installs
        assert skeleton(tree) == syntax

    check()
