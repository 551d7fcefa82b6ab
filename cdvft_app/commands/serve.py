"""`cdvft serve`: finished runs over HTTP, with a subset of OpenAI's API for text generation.

    POST /v1/chat/completions   for runs that generate text; "model" names the run
    POST /predict               {"model", "inputs"} for classes and numbers
    GET  /v1/models             the runs' names; /v1/models/NAME is one of them

The model computes one step at a time: requests that arrive together take turns.
"""

from __future__ import annotations

import json
import logging
import secrets
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal, cast

import typer
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response, StreamingResponse
from pydantic import BaseModel, Field, model_validator
from starlette.exceptions import HTTPException

from cdvft_app.commands.data import print_progress
from cdvft_app.commands.options import full_run_id
from cdvft_app.errors import UserError
from cdvft_app.public.origins import allowed
from cdvft_app.results import inputs
from cdvft_app.results.exported_folder import open_run
from cdvft_app.results.finished_run import FinishedRun, slug
from cdvft_app.settings import InvalidChoice
from cdvft_app.settings.environment import LOOPBACK, environment
from cdvft_app.store.runs import RunStore

if TYPE_CHECKING:
    from cdvft_app.results.predictor import Completion, Predictor
    from cdvft_app.tasks.writing import Sampling

_log = logging.getLogger(__name__)
MAX_REQUESTS = 256  # at a time
MAX_BODY = 20_000_000  # bytes; images come in base64
MAX_PROMPT = 10 * inputs.MAX_CHARACTERS
KEY = "CDVFT_SERVE_KEY"
USUAL_TOKENS = 128
NEEDS_KEY = "--host {host} exposes the server to your network. Set {key} first."
NO_WEB_PAGE = "Web pages and other hosts need a key. Set {key} to allow them."
WRONG_KEY = "The key is missing or wrong. Send it as “Authorization: Bearer KEY”."
NO_MODEL = "There is no model {name!r}. Models: {names}."
GENERATES, PREDICTS = "{name} generates text. Use /v1/chat/completions.", "{name} predicts. Use /predict."
TOO_LONG = "The messages have {tokens:,} tokens, and {name} takes {most:,} with the completion. Shorten them."
TOO_LARGE = "The request has no length, or more than {most:,} bytes."
FAILED = "The server failed to respond. See its log."
NOT_SUPPORTED = "{name} is {value}, which is not supported. Leave it out."
BAD_TEMPLATE = "messages: rejected by the chat template: {error}"
BAD_INPUTS = "inputs: each must be {what}."
# What clients send by themselves, and beside None, "none" and 0 the values that change nothing.
UNSUPPORTED: Mapping[str, object] = {
    "top_p": 1, "presence_penalty": 0, "frequency_penalty": 0, "n": 1, "logprobs": False, "tools": [],
    "tool_choice": "auto", "response_format": {"type": "text"}, "logit_bias": {}, "functions": [],
    "function_call": "auto", "modalities": ["text"], "audio": None, "web_search_options": None,
    "reasoning_effort": None, "verbosity": "medium",
}  # fmt: skip
Runs = Annotated[
    list[str], typer.Argument(metavar="RUN...", help="Run ids, exported folders, or Hub ids of such.")
]


def serve(
    runs: Runs,
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port.")] = 8000,
    host: Annotated[str, typer.Option(help="Other hosts than 127.0.0.1 need a key.")] = "127.0.0.1",
) -> None:
    """Serve finished runs: OpenAI's chat completions for text generation, JSON for the others.

    Runs of one base model share it. Requests must send the key in CDVFT_SERVE_KEY, if it is set.
    """
    key = environment().serve_key.get_secret_value()
    if host not in LOOPBACK and not key:
        raise InvalidChoice(f"host: {NEEDS_KEY.format(host=host, key=KEY)}")
    store = RunStore.default()
    found = [open_run(store, full_run_id(one), print_progress) for one in runs]
    import uvicorn

    models = load_models(found)
    for one in models:
        typer.echo(f"{one.name}: {one.run.label}, {one.run.record.name}", err=True)
    typer.echo(f"Serving on http://{host}:{port}/v1", err=True)
    app = application(models, key)
    uvicorn.run(app, host=host, port=port, log_level="warning", limit_concurrency=MAX_REQUESTS)


@dataclass(frozen=True)
class ServedModel:
    """A run by the name that requests use; runs of one base model share a predictor."""

    name: str
    run: FinishedRun
    predictor: Predictor


def load_models(runs: Sequence[FinishedRun]) -> list[ServedModel]:
    """Load the runs on as few base models as possible; equal names get the beginning of the run's id."""
    from cdvft_app.results.predictor import Predictor, base_key
    from cdvft_app.training.device import device_kind

    groups: dict[object, list[FinishedRun]] = {}
    for run in runs:
        groups.setdefault(base_key(run), []).append(run)
    device = device_kind()
    loaded = {key: Predictor.load(group, print_progress).to(device) for key, group in groups.items()}
    short = ["-".join(filter(None, map(slug, (run.record.name, run.record.method)))) for run in runs]
    return [
        ServedModel(
            name if short.count(name) == 1 else f"{name}-{run.record.id[:6]}", run, loaded[base_key(run)]
        )
        for name, run in zip(short, runs, strict=True)
    ]


class RequestError(Exception):
    """A request that cannot be answered, with OpenAI's fields of an error."""

    def __init__(
        self, message: str, param: str | None = None, status: int = 400, code: str | None = None
    ) -> None:
        super().__init__(message)
        self.param, self.status, self.code = param, status, code


# Requests


class TextPart(BaseModel):
    type: Literal["text"]
    text: str


class Message(BaseModel):
    role: Literal["system", "developer", "user", "assistant"]
    content: str | list[TextPart]

    def as_dict(self) -> dict[str, str]:
        parts = self.content if isinstance(self.content, str) else "\n".join(one.text for one in self.content)
        return {"role": "system" if self.role == "developer" else self.role, "content": parts}


class StreamOptions(BaseModel):
    include_usage: bool = False


class ChatRequest(BaseModel):
    """The supported fields of a chat completion; others must have a value that changes nothing."""

    model: str | None = None
    messages: list[Message] = Field(min_length=1)
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    seed: Annotated[int, Field(ge=0, lt=2**31)] | None = None
    max_tokens: Annotated[int, Field(ge=1)] | None = None
    max_completion_tokens: Annotated[int, Field(ge=1)] | None = None
    stop: str | Annotated[list[Annotated[str, Field(min_length=1)]], Field(max_length=4)] | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None

    @model_validator(mode="before")
    @classmethod
    def _check_others(cls, given: Any) -> Any:
        for name, neutral in UNSUPPORTED.items() if isinstance(given, dict) else ():
            value = given.get(name)
            if value not in (None, "none", 0, neutral):
                raise RequestError(NOT_SUPPORTED.format(name=name, value=json.dumps(value)[:60]), name)
        return given


class PredictRequest(BaseModel):
    model: str | None = None
    inputs: list[str | list[str]] = Field(min_length=1, max_length=inputs.MAX_INPUTS)


def application(models: Sequence[ServedModel], key: str = "") -> FastAPI:
    """Return the HTTP application; with a `key` requests must send it, as OpenAI's clients do."""
    app, turn = FastAPI(docs_url=None, redoc_url=None, openapi_url=None), threading.Lock()

    @app.middleware("http")
    async def check(request: Request, respond: Any) -> Response:
        rejected = _rejection(request, key)
        return await _rejected(request, rejected) if rejected else await respond(request)

    @app.get("/v1/models")
    def list_models() -> dict[str, Any]:
        return {"object": "list", "data": [*map(_about, models)]}

    @app.get("/v1/models/{name}")
    def get_model(name: str) -> dict[str, Any]:
        return _about(_find(models, name))

    @app.post("/predict")
    def predict(body: PredictRequest) -> dict[str, Any]:
        model = _find(models, body.model)
        if model.run.plan.model.kind == "generation":
            raise RequestError(GENERATES.format(name=model.name), "model")
        checked = _checked_inputs(model.run, body.inputs)
        with turn:
            found = model.predictor.predict(model.run.record.id, checked)
        return {"model": model.name, "answers": [_answer(model, one) for one in found]}

    @app.post("/v1/chat/completions")
    def complete(body: ChatRequest) -> Any:
        model, done, sampling = _completion(models, body)
        steps = _in_turn(turn, model.predictor.complete(model.run.record.id, done, sampling))
        about = {"id": f"chatcmpl-{secrets.token_hex(12)}", "created": int(time.time()), "model": model.name}
        if body.stream:
            usage = bool(body.stream_options and body.stream_options.include_usage)
            return StreamingResponse(_events(steps, done, about, usage), media_type="text/event-stream")
        for _ in steps:
            pass
        choice = {
            "index": 0, "message": {"role": "assistant", "content": done.text, "refusal": None},
            "logprobs": None, "finish_reason": done.finish_reason,
        }  # fmt: skip
        return {**about, "object": "chat.completion", "choices": [choice], "usage": _usage(done)}

    for kind in (RequestError, UserError, HTTPException):
        app.add_exception_handler(kind, _rejected)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(Exception, _failed)
    return app


def _rejection(request: Request, key: str) -> RequestError | None:
    """Return why a request is not read; without a key only programs of this machine may send one."""
    of_page = "origin" in request.headers or not allowed(request.headers.get("host", ""), environment())
    if not key and of_page:
        return RequestError(NO_WEB_PAGE.format(key=KEY), status=403)
    sent = request.headers.get("authorization", "").removeprefix("Bearer ")
    if key and not secrets.compare_digest(sent.encode(), key.encode()):
        return RequestError(WRONG_KEY, status=401, code="invalid_api_key")
    length = request.headers.get("content-length", "")
    if request.method == "POST" and not (length.isdecimal() and int(length) <= MAX_BODY):
        return RequestError(TOO_LARGE.format(most=MAX_BODY), status=413)
    return None


def _in_turn(turn: threading.Lock, steps: Iterator[str | None]) -> Iterator[str | None]:
    """Yield what `steps` does, and let other requests compute between two of them."""
    while True:
        with turn:
            try:
                piece = next(steps)
            except StopIteration:
                return
        yield piece


# Errors, in the form of OpenAI's API


def _error(message: str, param: str | None = None, code: str | None = None) -> dict[str, Any]:
    return {"error": {"message": message, "type": "invalid_request_error", "param": param, "code": code}}


async def _rejected(_: Request, error: Exception) -> Response:
    if isinstance(error, HTTPException):
        return JSONResponse(_error(str(error.detail)), error.status_code)
    if isinstance(error, RequestError):
        return JSONResponse(_error(str(error), error.param, error.code), error.status)
    return JSONResponse(_error(str(error)), 400)


async def _invalid(_: Request, error: Exception) -> Response:
    first = cast(RequestValidationError, error).errors()[0]
    place = [str(one) for one in first["loc"][1:]]
    message = f"{'.'.join(place) or 'body'}: {first['msg']}"
    return JSONResponse(_error(message, place[0] if place else None), 400)


async def _failed(_: Request, error: Exception) -> Response:
    body = _error(FAILED)
    return JSONResponse({"error": {**body["error"], "type": "server_error"}}, 500)


# Responses


def _about(one: ServedModel) -> dict[str, Any]:
    created = int(one.run.record.created)
    return {"id": one.name, "object": "model", "created": created, "owned_by": "cdvft"}


def _find(models: Sequence[ServedModel], name: str | None) -> ServedModel:
    """Return the model with this name or beginning of a run id; without a name the only one."""
    if name is None and len(models) == 1:
        return models[0]
    found = [one for one in models if one.name == name] or [
        one for one in models if name and len(name) >= 4 and one.run.record.id.startswith(name)
    ]
    if len(found) != 1:
        message = NO_MODEL.format(name=str(name)[:80], names=", ".join(one.name for one in models))
        raise RequestError(message, "model", 404, "model_not_found")
    return found[0]


def _checked_inputs(run: FinishedRun, given: Sequence[str | list[str]]) -> list[Any]:
    pairs = [one if isinstance(one, list) else [one] for one in given]
    wanted = 2 if inputs.takes_pairs(run) else 1
    if any(len(one) != wanted for one in pairs):
        raise RequestError(BAD_INPUTS.format(what="a pair of texts" if wanted == 2 else "a text"), "inputs")
    if run.plan.model.kind == "image":
        return [inputs.picture(run, inputs.decoded(one)) for (one,) in pairs]
    return inputs.texts(run, [one[0] for one in pairs], [one[1] for one in pairs] if wanted == 2 else [])


def _answer(model: ServedModel, one: Any) -> dict[str, Any]:
    if one.label is None:
        return {"value": one.value}
    shares = dict(zip(model.predictor.task.labels, one.probabilities, strict=False))
    return {"label": one.label, "confidence": round(max(one.probabilities), 4), "probabilities": shares}


def _completion(models: Sequence[ServedModel], body: ChatRequest) -> tuple[ServedModel, Completion, Sampling]:
    """Return the checked request, with the run's instruction unless it brings a system message."""
    from jinja2 import TemplateError

    from cdvft_app.results.predictor import Completion
    from cdvft_app.tasks.writing import Sampling

    model = _find(models, body.model)
    if model.run.plan.model.kind != "generation":
        raise RequestError(PREDICTS.format(name=model.name), "model")
    messages = [one.as_dict() for one in body.messages]
    instruction = model.run.plan.dataset.instruction
    if instruction and messages[0]["role"] != "system":
        messages.insert(0, {"role": "system", "content": instruction})
    if sum(len(one["content"]) for one in messages) > MAX_PROMPT:
        raise RequestError(f"messages: more than {MAX_PROMPT:,} characters", "messages")
    task: Any = model.predictor.task
    try:
        text = task.tokenizer.apply_chat_template(messages, add_generation_prompt=True, tokenize=False)
    except TemplateError as error:
        raise RequestError(BAD_TEMPLATE.format(error=str(error)[:200]), "messages") from None
    prompt = task.tokenizer(text, add_special_tokens=False).input_ids
    room = task.context - len(prompt)
    if room < 1:
        message = TOO_LONG.format(tokens=len(prompt), name=model.name, most=task.context)
        raise RequestError(message, "messages", code="context_length_exceeded")
    most = min(body.max_completion_tokens or body.max_tokens or USUAL_TOKENS, room)
    stops = [body.stop] if isinstance(body.stop, str) else body.stop or []
    done = Completion(prompt, most, [one for one in stops if one])
    return model, done, Sampling(body.temperature or 0.0, body.seed or 0)


def _events(
    steps: Iterator[str | None], done: Completion, about: dict[str, Any], with_usage: bool
) -> Iterator[str]:
    """Yield server-sent events, one per piece, as OpenAI's API streams."""

    def event(choices: list[dict[str, Any]], **more: Any) -> str:
        chunk = {**about, "object": "chat.completion.chunk", "choices": choices, **more}
        return f"data: {json.dumps(chunk)}\n\n"

    def choice(delta: dict[str, str], reason: str | None = None) -> list[dict[str, Any]]:
        return [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": reason}]

    yield event(choice({"role": "assistant", "content": ""}))
    try:
        for piece in filter(None, steps):
            yield event(choice({"content": piece}))
    except Exception:
        _log.exception("A streamed request failed.")
        yield f"data: {json.dumps(_error(FAILED))}\n\n"
        return
    yield event(choice({}, done.finish_reason))
    if with_usage:
        yield event([], usage=_usage(done))
    yield "data: [DONE]\n\n"


def _usage(done: Completion) -> dict[str, int]:
    prompt = len(done.prompt_ids)
    return {"prompt_tokens": prompt, "completion_tokens": done.tokens, "total_tokens": prompt + done.tokens}
