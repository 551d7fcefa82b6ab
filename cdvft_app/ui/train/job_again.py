"""Follow the shown race's Jobs again, which went on when the program ended that followed them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import gradio as gr

from cdvft_app.catalog.hub import endpoint
from cdvft_app.hub_jobs.executor import HubJobs
from cdvft_app.ui.shared import actions
from cdvft_app.ui.shared.problem import problem
from cdvft_app.ui.shared.state import AppState, token_of
from cdvft_app.ui.shared.viewing import has_login
from cdvft_app.ui.train.controls import QUIET
from cdvft_app.ui.train.job import CLICKED, SIGN_IN, JobForm

GIVE_TOKEN = "Give a token that may read the Jobs of the account on which they train."


def connect(
    app: AppState,
    job: JobForm | None,
    *,
    view: Any,
    run_ids_of: Callable[[Any], list[str]],
    token: gr.BrowserState,
    followed: Callable[[str, list[str]], Mapping[Any, Any]],
    outputs: list[Any],
) -> None:
    """Let the button answer, which is there as long as a Job of the shown race is left.

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

    view.run_state(offered, [view, token], job.again, **QUIET)

    def follow(shown: Any, mine: str, secret: str, lacking: str) -> dict[Any, Any]:
        if not secret:
            return {job.message: problem(lacking)}
        from huggingface_hub import HfApi

        ids, mine = run_ids_of(shown), token_of(mine)
        executor = HubJobs(HfApi(endpoint=endpoint(), token=secret))
        if refused := actions.follow_again(app, ids, mine, executor):
            return {job.message: problem(refused)}
        return {job.message: "", job.token: "", job.again: gr.update(visible=False), **followed(mine, ids)}

    if has_login():

        def clicked(shown: Any, mine: str, typed: str, user: gr.OAuthToken | None = None) -> dict[Any, Any]:
            return follow(shown, mine, user.token if user else "", SIGN_IN)

    else:

        def clicked(shown: Any, mine: str, typed: str) -> dict[Any, Any]:  # type: ignore[misc]
            return follow(shown, mine, str(typed or "").strip(), GIVE_TOKEN)

    job.again.click(
        clicked, [view, token, job.token], [job.message, job.token, job.again, *outputs], **CLICKED
    )
