"""Train the form's race as Jobs of the hub, on the visitor's own account: price, Send, Follow again."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import gradio as gr

from cdvft_app.catalog import Plan
from cdvft_app.catalog.hub import endpoint
from cdvft_app.errors import UserError
from cdvft_app.hub_jobs.executor import HubJobs, JobOrder
from cdvft_app.hub_jobs.hardware import check_minutes, hardware, known_offers, prices_are_known
from cdvft_app.methods import labels
from cdvft_app.results import hub
from cdvft_app.results.finished_run import ResultsError
from cdvft_app.settings import typed_number
from cdvft_app.ui.shared import actions, form
from cdvft_app.ui.shared.controls import html, text_field
from cdvft_app.ui.shared.hub_token import is_out_of_reach, token_field, with_token
from cdvft_app.ui.shared.listeners import LATEST
from cdvft_app.ui.shared.problem import problem
from cdvft_app.ui.shared.state import AppState, token_of
from cdvft_app.ui.shared.viewing import has_login, visitor

TITLE = "Train on the hub"
ABOUT = (
    "Each method of the race then trains on a machine of Hugging Face, and your account pays for it. Curves, "
    "Stop and the adapter come here as usual; adapter and card also go into a private repository that "
    "is made for it."
)
CHANGED = "The race has changed: above is what it costs now. Press Send again if that is well."
SIGNED_OUT_BEFORE = (
    "Your sign-in ends before these Jobs may, and they could not put what they learn into the repository: "
    "sign out and in again, or give them less time."
)
TO_BEGIN = 1800.0  # seconds that a Job may wait for its machine
SIGN_IN = "Sign in first: the Jobs run on your account."
GIVE_TOKEN = "Give a token that may read the Jobs of the account on which they train."
USUAL_FLAVOR, USUAL_MINUTES = "t4-small", 30
LABELS = form.LABELS | {"flavor": "Machine", "minutes": "Time limit in minutes"}
CLICKED: dict[str, Any] = {
    "concurrency_limit": 4,
    "concurrency_id": "send",
    "api_visibility": "private",
    "show_progress": "hidden",
    "trigger_mode": "once",
}


@dataclass(frozen=True)
class JobForm:
    """The fold, and in it everything that is connected by `connect`; None where nobody can sign in."""

    fold: gr.Accordion
    repository: gr.Textbox
    flavor: gr.Dropdown
    minutes: gr.Textbox
    cost: gr.HTML
    token: gr.Textbox
    send: gr.Button
    again: gr.Button
    message: gr.HTML


def job_form() -> JobForm | None:
    """Lay it out, folded."""
    with gr.Accordion(TITLE, open=False, elem_classes=["fold"], elem_id="as-job") as fold:
        if is_out_of_reach("sent"):
            return None
        html(f"<p class='hint'>{ABOUT}</p>")
        repository = text_field(
            "Repository for what is learned",
            "Made for it. With several methods each has its own: film-reviews-cdvft and so on.",
            placeholder="your-name/film-reviews",
            max_length=96,
            elem_id="job-repository",
        )
        flavor = gr.Dropdown([], label=LABELS["flavor"], info="Prices by the hub.", elem_id="job-flavor")
        minutes = text_field(
            LABELS["minutes"],
            "The hub ends a Job then, and what it learned by then is lost.",
            value=str(USUAL_MINUTES),
            max_length=6,
            elem_id="job-minutes",
        )
        token = token_field(
            "job", "With the right to write, and to start Jobs. The Job gets it; here it is not kept."
        )
        cost = html('<p class="quiet">Asking the hub for its prices …</p>', elem_id="job-cost")
        with gr.Row():
            send = gr.Button("Send", interactive=False, elem_id="job-send")
            again = gr.Button("Follow again", visible=False, elem_id="job-again")
        message = html(elem_id="job-said")
    return JobForm(fold, repository, flavor, minutes, cost, token, send, again, message)


def connect(
    app: AppState,
    job: JobForm | None,
    *,
    inputs: Sequence[Any],
    values_of: Callable[[tuple[Any, ...]], dict[str, Any]],
    counted: Sequence[Any],
    token: gr.BrowserState,
    sent: Callable[[str, list[str]], dict[Any, Any]],
    outputs: Sequence[Any],
) -> None:
    """Let it answer.

    Args:
        app: whose queue follows the Jobs.
        job: None: nobody can sign in here.
        inputs: of the race's settings.
        values_of: the form's values of them.
        counted: events after which the race may have more or fewer runs.
        token: of the browser, which owns the runs.
        sent: what becomes of the `outputs` for the token and the runs that were sent.
        outputs: beside the form's own.
    """
    if job is None:
        return

    def priced(flavor: Any, minutes: Any, *given: Any) -> tuple[Any, Any]:
        if flavor is None and not prices_are_known():
            return gr.skip(), gr.skip()  # nobody has opened the fold
        return price_of(flavor, minutes, values_of(given))

    price: dict[str, Any] = {
        "fn": priced,
        "inputs": [job.flavor, job.minutes, *inputs],
        "outputs": [job.cost, job.send],
    }
    job.fold.expand(machines, None, job.flavor, **LATEST).then(**price, **LATEST)
    gr.on([job.flavor.input, job.minutes.change, *counted], **price, **LATEST)

    def send_race(fields: dict[Any, Any], secret: str, ends: float | None) -> dict[Any, Any]:
        if has_login() and not secret:
            return {job.message: problem(SIGN_IN)}
        flavor, minutes = fields[job.flavor], fields[job.minutes]
        limit = typed_number(minutes)
        if ends is not None and isinstance(limit, int) and ends - time.time() < 60 * limit + TO_BEGIN:
            return {job.message: problem(SIGNED_OUT_BEFORE)}
        values = values_of(tuple(fields[one] for one in inputs))
        cost, button = price_of(flavor, minutes, values)
        if fields[job.send] != button["value"]:
            return {job.message: problem(CHANGED), job.cost: cost, job.send: button}
        ids, refused = send(
            app,
            values,
            token_of(fields[token]),
            secret,
            repository=str(fields[job.repository] or "").strip(),
            flavor=flavor,
            minutes=minutes,
        )
        if refused:
            return {job.message: problem(refused)}
        return {job.message: "", job.token: "", **sent(token_of(fields[token]), ids)}

    asked = {token, job.token, job.repository, job.flavor, job.minutes, job.send, *inputs}
    changed = [job.message, job.token, job.cost, job.send, *outputs]
    job.send.click(with_token(send_race, job.token), asked, changed, **CLICKED)


def connect_again(
    app: AppState,
    job: JobForm | None,
    *,
    view: Any,
    run_ids_of: Callable[[Any], list[str]],
    token: gr.BrowserState,
    followed: Callable[[str, list[str]], Mapping[Any, Any]],
    outputs: list[Any],
) -> None:
    """Let the button answer that follows Jobs again, which went on when the program that followed them ended.

    It is there as long as a Job of the shown race is left.

    Args:
        app: whose queue follows them.
        job: None: nobody can sign in here.
        view: of the race.
        run_ids_of: the runs that its value shows.
        token: of the browser, which owns the runs.
        followed: what becomes of the `outputs` for the token and the runs.
        outputs: beside the form's own.
    """
    if job is None:
        return

    def offered(shown: Any, mine: str) -> Any:
        runs = [app.store.get(run) for run in run_ids_of(shown) if app.store.owner(run, token_of(mine))]
        return gr.update(visible=any(run is not None and run.is_left_job for run in runs))

    view.run_state(offered, [view, token], job.again, **LATEST)

    def follow(fields: dict[Any, Any], secret: str, _: float | None) -> dict[Any, Any]:
        if not secret:
            return {job.message: problem(SIGN_IN if has_login() else GIVE_TOKEN)}
        from huggingface_hub import HfApi

        ids, mine = run_ids_of(fields[view]), token_of(fields[token])
        executor = HubJobs(HfApi(endpoint=endpoint(), token=secret))
        if refused := actions.follow_again(app, ids, mine, executor):
            return {job.message: problem(refused)}
        return {job.message: "", job.token: "", job.again: gr.update(visible=False), **followed(mine, ids)}

    asked = {view, token, job.token}
    changed = [job.message, job.token, job.again, *outputs]
    job.again.click(with_token(follow, job.token), asked, changed, **CLICKED)


def send(
    app: AppState,
    values: Mapping[str, Any],
    owner: str,
    token: str,
    *,
    repository: str,
    flavor: Any,
    minutes: Any,
) -> tuple[list[str], str | None]:
    """Return the new runs' ids, or none and why not.

    Args:
        app: whose queue follows them.
        values: of the form.
        owner: the browser's token.
        token: of the hub.
        repository: owner/name.
        flavor, minutes: as they were chosen and typed.
    """
    from huggingface_hub import HfApi

    try:
        plans = actions.plans_of(app, form.race(values), owner)
        limit = _minutes(minutes)
        chosen = hardware(known_offers(), str(flavor)).flavor
        hub.check(repository, token)  # as it was typed
        places = repositories(repository, plans)
        orders = [
            JobOrder(plan, place, chosen, limit, token) for plan, place in zip(plans, places, strict=True)
        ]
        for order in orders:
            order.check()
        api = HfApi(endpoint=endpoint(), token=token)
        return app.queue.follow(
            [plan.settings for plan in plans],
            owner,
            plans[0].title,
            executors=[HubJobs(api, order) for order in orders],
            repositories=places,
            visitor=visitor(),
        ), None
    except UserError as error:
        return [], form.with_titles(str(error), LABELS)


def repositories(name: str, plans: Sequence[Plan]) -> list[str]:
    """Return a name for each run: `name` itself for one alone, else with the label of its method."""
    if len(plans) == 1:
        return [name]
    called = labels([plan.settings.method for plan in plans])
    plain = [label.lower().replace("α", "alpha") for label in called]
    return [f"{name}-{re.sub(r'[^a-z0-9]+', '-', label).strip('-')}" for label in plain]


def _minutes(given: Any) -> int:
    minutes = typed_number(given)
    check_minutes(minutes)
    return int(minutes)


def machines() -> Any:
    """Return the machines with their prices, as the dropdown's choices."""
    try:
        found = known_offers()
    except ResultsError:
        return gr.update(choices=[], value=None)
    choices = [(f"{one.title}, {60 * one.dollars:.2f} dollars an hour", one.flavor) for one in found]
    usual = USUAL_FLAVOR if any(one.flavor == USUAL_FLAVOR for one in found) else found[0].flavor
    return gr.update(choices=choices, value=usual)


def price_of(flavor: Any, minutes: Any, values: Mapping[str, Any]) -> tuple[str, Any]:
    """Return the most that the Jobs cost, or why none can be sent, as HTML; and the update of Send."""
    try:
        offers = known_offers()
        jobs = len(form.race(values).runs())
        limit = _minutes(minutes)
        chosen = hardware(offers, str(flavor))
    except UserError as error:
        return problem(form.with_titles(str(error), LABELS)), gr.update(interactive=False, value="Send")
    many = f"{jobs} Jobs, one a method. " if jobs > 1 else ""
    return (
        f'<p class="promise">At most <b>{jobs * limit * chosen.dollars:.2f} dollars</b></p>'
        f'<p class="hint">{many}{escape(chosen.most(limit, jobs))}. A Job costs only while it runs.</p>',
        gr.update(interactive=True, value=f"Send {jobs} Jobs" if jobs > 1 else "Send the Job"),
    )
