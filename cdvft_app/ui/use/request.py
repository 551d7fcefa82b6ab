"""Requests, as curl and as Python, to a run that `python -m cdvft_app serve` serves."""

from __future__ import annotations

import json
from html import escape
from typing import Any

import gradio as gr

from cdvft_app.errors import UserError
from cdvft_app.results.finished_run import FinishedRun, find
from cdvft_app.results.inputs import takes_pairs
from cdvft_app.ui.shared.controls import html
from cdvft_app.ui.shared.listeners import QUIET
from cdvft_app.ui.shared.state import AppState

URL = "http://127.0.0.1:8000"
OPENAI = """from openai import OpenAI

client = OpenAI(base_url="{url}/v1", api_key="none")
answer = client.chat.completions.create(
    model="{model}", messages={messages}
)
print(answer.choices[0].message.content)"""
PLAIN = """import httpx

answer = httpx.post("{url}/predict", json={body})
print(answer.json()["answers"])"""


def build(app: AppState, run: gr.Radio) -> None:
    """Lay the part out: `run` says which one is asked."""
    shown = html(elem_id="use-request")

    def requested(run_id: object) -> str:
        try:
            return request_html(find(app.store, run_id))
        except UserError:
            return ""

    run.change(requested, run, shown, **QUIET)


def request_html(run: FinishedRun) -> str:
    """Return the command that serves it, and one request in both forms."""
    id, kind = run.record.id, run.plan.model.kind
    body: dict[str, Any]
    if kind == "generation":
        path, body = "/v1/chat/completions", {"model": id, "messages": [{"role": "user", "content": "Hello"}]}
        python = OPENAI.format(url=URL, model=id, messages=json.dumps(body["messages"]))
    else:
        text: Any = ["One text", "another"] if takes_pairs(run) else "A text"
        body = {"model": id, "inputs": ["an image file in base64" if kind == "image" else text]}
        path, python = "/predict", PLAIN.format(url=URL, body=json.dumps(body))
    sent = json.dumps(body).replace("'", "'\\''")
    curl = f"curl {URL}{path} -H 'Content-Type: application/json' \\\n  -d '{sent}'"
    parts = (("Serve it", f"python -m cdvft_app serve {id}"), ("curl", curl), ("Python", python))
    blocks = "".join(
        f'<p class="quiet">{title}</p>'
        f'<pre tabindex="0" role="region" aria-label="{title}">{escape(code)}</pre>'
        for title, code in parts
    )
    return f'<details class="from-code"><summary>Predict from code</summary>{blocks}</details>'
