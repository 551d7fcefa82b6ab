"""The run side of the Train tab: what the page asks for once a second, and slices that it drives.

The rows of runs are cached as JSON, so that all who watch a run share one answer.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from functools import lru_cache, partial
from typing import Any, cast

import gradio as gr
import orjson
from anyio import to_thread

from cdvft_app import catalog
from cdvft_app.catalog.conversations import transcript
from cdvft_app.catalog.entries import Recipe
from cdvft_app.catalog.hub import endpoint
from cdvft_app.data.library import SHORT_SHA256
from cdvft_app.executors.zero_gpu import Slices
from cdvft_app.figures import palette
from cdvft_app.format import joined
from cdvft_app.judging.outcomes import judged_race
from cdvft_app.methods import flat
from cdvft_app.metrics import get_metric, metric_title
from cdvft_app.payloads.train import (
    Answers,
    Forecast,
    Job,
    PollRequest,
    RaceVerdict,
    RunLasting,
    RunNews,
    RunNow,
    RunRows,
    RunsPoll,
    RunView,
    VerdictRequest,
    WholeRun,
    Why,
)
from cdvft_app.settings import HELD_OUT, RunSettings
from cdvft_app.settings.environment import environment
from cdvft_app.store.records import NODE, RunRecord, label_in
from cdvft_app.store.runs import RunStore
from cdvft_app.ui.shared.actions import buttons
from cdvft_app.ui.shared.component import component, telling
from cdvft_app.ui.shared.form import summary, with_titles
from cdvft_app.ui.shared.server_functions import Encoded
from cdvft_app.ui.shared.state import AppState

MAX_RUNS = 32
SLICES_AT_ONCE = 16  # each holds one of the page's 40 threads
MAX_ROWS = 2000
KINDS = ("preparing", "step", "evaluation", "answers", "note")
ANSWER_FIELDS = ("prompts", "answers", "right", "wrong", "tokens")
MAX_KEPT = 64
"""Answers in the cache. Watchers ask from a run's latest cursors, newcomers from its first one."""


def lasting(run: RunRecord, race: Sequence[RunRecord] = ()) -> RunLasting:
    """Return the facts of a run that do not change while it is watched.

    `race` are the runs of its group, from whose labels its own must differ; of a sweep's many, none.
    """
    twins = [one.id for one in race if one.method == run.method]
    recipe = catalog.RECIPES.get(run.settings.recipe)
    return {
        "group": run.group_id,
        "method": run.method,
        "label": label_in(run, race),
        "twin": twins.index(run.id) if run.id in twins else 0,
        "summary": (
            "damaged: its settings cannot be read"
            if run.damaged
            else " · ".join([*_of_recipe(run, recipe), summary(run.settings)])
        ),
        "settings": run.settings.model_dump(mode="json", exclude_none=True),
        "options": _options(run.settings),
        "created": run.created,
        "forecast": cast("Forecast | None", run.forecast),
        "untrained": untrained(run),
    }


def _of_recipe(run: RunRecord, recipe: Recipe | None) -> list[str]:
    """Return the name that stands for the recipe: its title, or on own data the title of its model."""
    if recipe is None or run.name == recipe.title:
        return []
    if run.settings.data is None:
        return [recipe.title]
    is_usual = run.settings.model in (None, recipe.model)
    return [catalog.get_model(recipe.model).title] if is_usual else []


def untrained(run: RunRecord) -> str | None:
    """Return the score of the recipe's model without training, in a sentence; None where it is not known."""
    recipe, settings = catalog.RECIPES.get(run.settings.recipe), run.settings
    if recipe is None or settings.data or not recipe.expected.untrained:
        return None
    own = (recipe.model, recipe.dataset, recipe.evaluation_examples)
    chosen = (settings.model, settings.dataset, settings.evaluation_examples)
    if any(one is not None and one != other for one, other in zip(chosen, own, strict=True)):
        return None
    metric = get_metric(catalog.get_dataset(recipe.dataset).metric)
    scores = [f"{metric.format(value)} {given}" for given, value in recipe.expected.untrained.items()]
    return f"The same model without training: {joined(scores)}."


def current(run: RunRecord) -> RunNow:
    """Return the facts of a run that may change from one second to the next."""
    return {
        "id": run.id,
        "name": run.name,
        "state": run.state,
        "reason": run.reason and with_titles(run.reason),
        "step": run.step,
        "total_steps": run.total_steps,
        "trainable_parameters": run.trainable_parameters,
        "head_parameters": run.result.get("head_parameters"),
        "base_parameters": run.result.get("base_parameters"),
        "metric_name": run.metric_name,
        "metric_title": metric_title(run.metric_name, short=True) if run.metric_name else None,
        "metric": run.metric,
        "best_step": run.result.get("best_step"),
        "last_metric": run.result.get("last_metric"),
        "seconds": run.seconds,
        "examples_per_second": run.result.get("examples_per_second"),
        "device": " on ".join(filter(None, (run.device, run.result.get(NODE)))) or None,
        "precision": run.result.get("precision"),
        "whole_seconds": run.whole_seconds,
        "adapter_bytes": run.result.get("adapter_bytes"),
        "peak_memory_bytes": run.result.get("peak_memory_bytes"),
        "lent_seconds": run.result.get("lent_seconds"),
        "job": _job(run),
    }


def _job(run: RunRecord) -> Job | None:
    """Return the addresses of its Job on the hub; None for a run that trains here."""
    if not run.is_job:
        return None
    repository = run.result.get("repository") or ""
    return {
        "address": run.result.get("job_address") or None,
        "repository": repository,
        "repository_address": f"{endpoint()}/{repository}",
    }


class Feed:
    """Rows of runs after a cursor. Answers are cached by the run's last row: a new row makes a new one."""

    def __init__(self, store: RunStore) -> None:
        self._store = store
        self._cached_rows = lru_cache(maxsize=MAX_KEPT)(self._write)

    def after(self, run_id: str, cursor: int, own: bool) -> tuple[RunRows, int, bool]:
        """Return at most `MAX_ROWS` rows as JSON for orjson, the next cursor, and whether more wait.

        `own`: whether who asks now is told the prompt that the run's owner typed.
        """
        return self._cached_rows(run_id, cursor, self._store.last_row(run_id), own)

    def _write(self, run_id: str, cursor: int, last: int, own: bool) -> tuple[RunRows, int, bool]:
        rows, cursor_now = self._store.rows(run_id, cursor, kinds=KINDS, limit=MAX_ROWS)
        parts = {name: orjson.Fragment(orjson.dumps(value)) for name, value in rows_for_page(rows).items()}
        return cast(RunRows, parts), cursor_now, len(rows) == MAX_ROWS


def rows_for_page(rows: list[dict[str, Any]]) -> RunRows:
    """Return rows as the page takes them."""
    preparing = [row for row in rows if row["kind"] == "preparing"]
    found: RunRows = {
        "steps": [(row["step"], row["seconds"], row["loss"]) for row in rows if row["kind"] == "step"],
        "evaluations": [
            (row["step"], row["seconds"], row["metric"], bool(row.get("validation")))
            for row in rows
            if row["kind"] == "evaluation"
        ],
        "notes": [{"text": row["text"], "level": row["level"]} for row in rows if row["kind"] == "note"],
    }
    answers = [_answers(row) for row in rows if row["kind"] == "answers"]
    if answers:
        found["answers"] = answers
    if preparing:
        found["preparing"] = {"text": preparing[-1]["text"], "fraction": preparing[-1]["fraction"]}
    return found


def _answers(row: dict[str, Any]) -> Answers:
    """Return a row of answers as the page takes it; those of older versions have fewer fields."""
    found = {"step": row["step"]} | {name: row[name] for name in ANSWER_FIELDS if row.get(name)}
    return cast(Answers, found | {"prompts": [*map(transcript, row["prompts"])]})


def poll(
    store: RunStore, feed: Feed, request: PollRequest, slices: Slices | None = None
) -> Encoded[RunsPoll]:
    """Return all that is new since the cursors of the request, and whether its token may stop the runs.

    With `slices`, pages drive what they show.
    """
    known = dict(list(request["cursors"].items())[:MAX_RUNS])
    stoppable = buttons(store, [*known], request.get("token", "")).stop
    answer: RunsPoll = {"runs": [], "missing": [], "stoppable": stoppable}
    if slices is not None:
        answer["slice"] = due_slice(store, slices, [*known], request.get("token"))
    for run_id, cursor in known.items():
        run = store.get(run_id)
        if run is None:
            answer["missing"].append(str(run_id)[:40])
            continue
        rows, cursor_now, more = feed.after(run_id, cursor, run.settings.own_prompt is not None)
        news: RunNews = {**current(run), **rows, "cursor": cursor_now, "more": more}
        if slices is not None and (lent := slices.lent_seconds(run_id)) is not None:
            news["lent_seconds"] = lent
        if run.state == "queued":
            news["place"] = store.queue_place(run_id)
        answer["runs"].append(news if cursor else _whole(store, run, news))
    return Encoded(orjson.dumps(answer))


def verdict(store: RunStore, request: VerdictRequest) -> RaceVerdict:
    """Return the judge's verdict on the ended race of these runs. Several races are not compared here."""
    first = store.get(request["runs"][0]) if request["runs"] else None
    runs = store.group(first.group_id) if first and not first.sweep else []
    judged = judged_race(runs, store)
    between = list(judged.comparison_set.between.values()) if judged else []
    if judged is None:
        return {"sentences": [], "leaders": []}
    beaten = {
        one.second if one.word == "ahead" else one.first for one in between if one.word in ("ahead", "behind")
    }
    ahead = {
        one.first if one.word == "ahead" else one.second for one in between if one.word in ("ahead", "behind")
    }
    leaders = [run for run, point in judged.points.items() if point.label in ahead - beaten]
    sentences = [*judged.sentences, *filter(None, [judged.advice])]
    return {"sentences": sentences, "leaders": leaders}


def _whole(store: RunStore, run: RunRecord, news: RunNews) -> WholeRun:
    race = [] if run.sweep else store.group(run.group_id)
    return {**news, **lasting(run, race)}


def _options(settings: RunSettings) -> dict[str, Any]:
    """As the command line takes them; data of one's own by the SHA-256 of its file, by which it is found
    here, on a public server by its name, which is that of a file elsewhere."""
    options = flat.write_run(settings)
    if settings.data:
        own = settings.data
        columns: dict[str, dict[str, Any]] = {
            "text": {"text": list(own.inputs), "label": own.label},
            "image": {"label": own.label},
            "generation": {"prompt": list(own.inputs), "answer": own.label},
        }
        split = {"held_out": own.held_out} if own.held_out != HELD_OUT else {}
        split |= {"split_seed": own.split_seed} if own.split_seed else {}
        here = not environment().public
        given = {"data": own.sha256[:SHORT_SHA256] if here else own.title}
        if own.evaluation_sha256:
            given |= {"eval": own.evaluation_sha256[:SHORT_SHA256] if here else "evaluation"}
        options |= given | columns[own.kind] | split | ({"clean": list(own.clean)} if own.clean else {})
    return options


def shown(runs: list[str], kind: Why, token: str, serial: int = 0) -> RunView:
    """Return the value of a `run_view` that shows these runs; `kind` says why."""
    return {"runs": runs, "kind": kind, "token": token, "serial": serial, "recorded": None, "rows": None}


def shown_recorded(store: RunStore, token: str) -> RunView | None:
    """Return the value of a `run_view` for the race that ships with the program; None where none does."""
    race = store.recorded()
    if not race:
        return None
    rows = [_whole(store, run, _all_rows(store, run)) for run in race]
    view = shown([run.id for run in race], "last", token)
    return {**view, "recorded": race[0].origin, "rows": {"runs": [*rows], "missing": []}}


def _all_rows(store: RunStore, run: RunRecord) -> RunNews:
    rows, cursor = store.rows(run.id, kinds=KINDS, limit=MAX_ROWS)
    return {**current(run), **rows_for_page(rows), "cursor": cursor, "more": False}


def run_view(
    store: RunStore,
    first: RunView | None = None,
    invitation: str = "",
    slices: Slices | None = None,
    **arguments: Any,
) -> gr.HTML:
    """Status, curves, scoreboard and cards of the runs in its value (see `shown`).

    It begins with `first`; `invitation` stands beside a recorded race.

    Sends `run_state` whenever a run changes its state, so that the buttons elsewhere can follow, `run_ended`
    when one of them ended while it was watched, `stop_runs` from where the Stop button has scrolled away,
    `use_settings` when somebody wants the shown race's settings back in the form, and `next_slice` when one
    of them waits for this page to drive it.
    """
    return component(
        "train/run_view.js",
        first or shown([], "last", ""),
        events=("run_state", "run_ended", "stop_runs", "use_settings", "next_slice"),
        server_functions={"poll": partial(poll, store, Feed(store), slices=slices)},
        slow_functions={"verdict": partial(verdict, store)},
        lines=palette.lines(),
        layout=palette.layout(),
        invitation=invitation,
        max_runs=MAX_RUNS,
        **arguments,
    )


def connect_slices(app: AppState, view: Any, token: Any, run_ids_of: Callable[[Any], list[str]]) -> None:
    """Let the view's event `next_slice` train one; does nothing where runs train by themselves."""
    slices = app.queue.slices
    if slices is None:
        return

    async def train_slice(shown_value: Any, mine: str) -> AsyncIterator[None]:
        run_id = due_slice(app.store, slices, run_ids_of(shown_value), mine)
        if run_id is None:
            return
        news = slices.drive(run_id)
        try:
            # Gradio closes this generator at a yield when the page is closed.
            while await to_thread.run_sync(next, news, None) is not None:
                yield
        finally:
            await to_thread.run_sync(news.close)

    view.next_slice(
        train_slice,
        [view, token],
        None,
        show_progress="hidden",
        trigger_mode="once",
        concurrency_limit=SLICES_AT_ONCE,
        api_visibility="private",
    ).then(None, None, None, js=telling("slice-ended"))


def due_slice(store: RunStore, slices: Slices, run_ids: Sequence[str], token: object) -> str | None:
    """The run whose next slice the page of this token is to ask for, of those that it shows and owns."""
    return slices.due(run_id for run_id in run_ids if store.owner(run_id, token))
