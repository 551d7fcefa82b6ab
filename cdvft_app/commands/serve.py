"""`cdvft serve`: finished runs over HTTP, with a subset of OpenAI's API for text generation.

    POST /v1/chat/completions   for runs that generate text; "model" names the run
    POST /predict               {"model", "inputs"} for classes and numbers
    GET  /v1/models             the runs' names; /v1/models/NAME is one of them

Requests to one run that arrive together are answered in one batch.
"""

from __future__ import annotations

import asyncio
import json
import logging
import secrets
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, Literal, cast

import typer
from fastapi import Depends, FastAPI, HTTPException, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response, StreamingResponse
from pydantic import BaseModel, Field, model_validator
from starlette.exceptions import HTTPException as StarletteHTTPException

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
TOGETHER_SECONDS = 0.005  # in which further requests may join a batch
MAX_BATCH, MAX_WAITING = 32, 256  # requests
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
TOO_MANY_WAITING = "{most} requests are waiting. Try again soon."
TOO_LARGE = "The request has more than {most:,} bytes."
FAILED = "The server failed to respond. See its log."
NOT_SUPPORTED = "{name} is {value}, which is not supported. Leave it out."
BAD_INPUTS = "inputs: each must be {what}."
# What clients send by themselves, and the values that change nothing.
NEUTRAL: Mapping[str, Sequence[object]] = {
    "top_p": (1, None), "presence_penalty": (0, None), "frequency_penalty": (0, None), "n": (1, None),
    "logprobs": (False, None), "tools": (None, []), "tool_choice": (None, "none", "auto"),
    "response_format": (None, {"type": "text"}), "logit_bias": (None, {}), "store": (False, None),
    "metadata": (None, {}), "service_tier": (None, "auto"), "functions": (None, []),
    "function_call": (None, "none", "auto"), "top_logprobs": (None, 0), "modalities": (None, ["text"]),
    "audio": (None,), "web_search_options": (None,), "reasoning_effort": (None, "none"),
    "verbosity": (None, "medium"),
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
    uvicorn.run(application(models, key), host=host, port=port, log_level="warning")


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
        for name, value in given.items() if isinstance(given, dict) else ():
            if value not in NEUTRAL.get(name, (value,)):
                raise RequestError(NOT_SUPPORTED.format(name=name, value=json.dumps(value)[:60]), name)
        return given


class PredictRequest(BaseModel):
    model: str | None = None
    inputs: list[str | list[str]] = Field(min_length=1, max_length=inputs.MAX_INPUTS)


@dataclass(eq=False)
class Work:
    """A request in the queue: inputs to predict or, with a sampling, one completion.

    `results` gets pieces of text or a list of predictions, and at the end None or the error.
    """

    model: ServedModel
    items: list[Any]
    sampling: Sampling | None = None
    results: asyncio.Queue[Any] = field(default_factory=asyncio.Queue)

    def joins(self, other: Work) -> bool:
        return other.model is self.model and other.sampling == self.sampling

    async def pieces(self) -> AsyncIterator[Any]:
        while (piece := await self.results.get()) is not None:
            if isinstance(piece, Exception):
                raise piece
            yield piece


def _run(batch: Sequence[Work], put: Callable[..., None]) -> None:
    """Compute a batch of one model, in a thread; `put` schedules a call in the event loop."""
    first = batch[0]
    run_id = first.model.run.record.id
    if first.sampling is not None:
        requests = [one.items[0] for one in batch]
        for pieces in first.model.predictor.complete(run_id, requests, first.sampling):
            for one, piece in zip(batch, pieces, strict=True):
                if piece:
                    put(one.results.put_nowait, piece)
    else:
        found = iter(first.model.predictor.predict(run_id, [item for one in batch for item in one.items]))
        for one in batch:
            put(one.results.put_nowait, [next(found) for _ in one.items])
    for one in batch:
        put(one.results.put_nowait, None)


class Batches:
    """Requests that wait; those of one model run together, one batch at a time."""

    def __init__(self) -> None:
        self._waiting: list[Work] = []
        self._more = asyncio.Event()

    def add(self, work: Work) -> None:
        if len(self._waiting) >= MAX_WAITING:
            message = TOO_MANY_WAITING.format(most=MAX_WAITING)
            raise RequestError(message, status=429, code="rate_limit_exceeded")
        self._waiting.append(work)
        self._more.set()

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await self._more.wait()
            await asyncio.sleep(TOGETHER_SECONDS)
            batch = [one for one in self._waiting if self._waiting[0].joins(one)][:MAX_BATCH]
            self._waiting = [one for one in self._waiting if one not in batch]
            if not self._waiting:
                self._more.clear()
            try:
                await asyncio.to_thread(_run, batch, cast(Callable[..., None], loop.call_soon_threadsafe))
            except Exception as error:  # the next batch may succeed
                for one in batch:
                    one.results.put_nowait(error)


class _BodyLimit:
    """ASGI middleware that rejects a body of more than `MAX_BODY` bytes while it is read."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        size = 0

        async def limited() -> Any:
            nonlocal size
            message = await receive()
            size += len(message.get("body", b""))
            if size > MAX_BODY:
                raise HTTPException(413, TOO_LARGE.format(most=MAX_BODY))
            return message

        await self.app(scope, limited, send)


def application(models: Sequence[ServedModel], key: str = "") -> FastAPI:
    """Return the HTTP application; with a `key` requests must send it, as OpenAI's clients do."""
    batches = Batches()

    @asynccontextmanager
    async def running(_: FastAPI) -> AsyncIterator[None]:
        task = asyncio.create_task(batches.run())
        yield
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task

    def require_allowed(request: Request) -> None:
        """Check the key if there is one; else allow programs of this machine, and no web page."""
        of_page = "origin" in request.headers or not allowed(request.headers.get("host", ""), environment())
        if not key and of_page:
            raise RequestError(NO_WEB_PAGE.format(key=KEY), status=403)
        sent = request.headers.get("authorization", "").removeprefix("Bearer ")
        if key and not secrets.compare_digest(sent.encode(), key.encode()):
            raise RequestError(WRONG_KEY, status=401, code="invalid_api_key")

    app = FastAPI(
        lifespan=running, dependencies=[Depends(require_allowed)], docs_url=None, redoc_url=None,
        openapi_url=None,
    )  # fmt: skip
    app.add_middleware(_BodyLimit)

    @app.get("/v1/models")
    def list_models() -> dict[str, Any]:
        return {"object": "list", "data": [*map(_about, models)]}

    @app.get("/v1/models/{name}")
    def get_model(name: str) -> dict[str, Any]:
        return _about(_find(models, name))

    @app.post("/predict")
    async def predict(body: PredictRequest) -> dict[str, Any]:
        model = _find(models, body.model)
        if model.run.plan.model.kind == "generation":
            raise RequestError(GENERATES.format(name=model.name), "model")
        work = Work(model, _checked_inputs(model.run, body.inputs))
        batches.add(work)
        (found,) = [one async for one in work.pieces()]
        return {"model": model.name, "answers": [_answer(model, one) for one in found]}

    @app.post("/v1/chat/completions")
    async def complete(body: ChatRequest) -> Any:
        work = _completion(models, body)
        batches.add(work)
        about = {
            "id": f"chatcmpl-{secrets.token_hex(12)}", "created": int(time.time()), "model": work.model.name,
        }  # fmt: skip
        if body.stream:
            usage = bool(body.stream_options and body.stream_options.include_usage)
            return StreamingResponse(_events(work, about, usage), media_type="text/event-stream")
        async for _ in work.pieces():
            pass
        done: Completion = work.items[0]
        choice = {
            "index": 0, "message": {"role": "assistant", "content": done.text, "refusal": None},
            "logprobs": None, "finish_reason": done.finish_reason or "length",
        }  # fmt: skip
        return {**about, "object": "chat.completion", "choices": [choice], "usage": _usage(done)}

    app.add_exception_handler(RequestError, _rejected)
    app.add_exception_handler(UserError, _rejected)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(StarletteHTTPException, _rejected)
    app.add_exception_handler(Exception, _failed)
    return app


# Errors, in the form of OpenAI's API


def _error(message: str, param: str | None = None, code: str | None = None) -> dict[str, Any]:
    return {"error": {"message": message, "type": "invalid_request_error", "param": param, "code": code}}


async def _rejected(_: Request, error: Exception) -> Response:
    if isinstance(error, StarletteHTTPException):
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
    if run.plan.model.kind == "image":
        images = [one for one in given if isinstance(one, str)]
        if len(images) < len(given):
            raise RequestError(BAD_INPUTS.format(what="an image file in base64"), "inputs")
        return [
            inputs.picture(run, inputs.decoded(one), f"Image {place}") for place, one in enumerate(images, 1)
        ]
    wanted = 2 if inputs.takes_pairs(run) else 1
    pairs = [one if isinstance(one, list) else [one] for one in given]
    if any(len(one) != wanted for one in pairs):
        raise RequestError(BAD_INPUTS.format(what="a pair of texts" if wanted == 2 else "a text"), "inputs")
    return inputs.texts(run, [one[0] for one in pairs], [one[1] for one in pairs] if wanted == 2 else [])


def _answer(model: ServedModel, one: Any) -> dict[str, Any]:
    if one.label is None:
        return {"value": one.value}
    shares = dict(zip(model.predictor.task.labels, one.probabilities, strict=False))
    return {"label": one.label, "confidence": round(max(one.probabilities), 4), "probabilities": shares}


def _completion(models: Sequence[ServedModel], body: ChatRequest) -> Work:
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
    task: Any = model.predictor.task
    try:
        if sum(len(one["content"]) for one in messages) > MAX_PROMPT:
            raise RequestError(f"messages: more than {MAX_PROMPT:,} characters", "messages")
        text = task.tokenizer.apply_chat_template(messages, add_generation_prompt=True, tokenize=False)
    except TemplateError as error:
        raise RequestError(
            f"messages: rejected by the chat template: {str(error)[:200]}", "messages"
        ) from None
    prompt = task.tokenizer(text, add_special_tokens=False).input_ids
    room = task.context - len(prompt)
    if room < 1:
        message = TOO_LONG.format(tokens=len(prompt), name=model.name, most=task.context)
        raise RequestError(message, "messages", code="context_length_exceeded")
    most = min(body.max_completion_tokens or body.max_tokens or USUAL_TOKENS, room)
    stops = [body.stop] if isinstance(body.stop, str) else body.stop or []
    sampling = Sampling(body.temperature or 0.0, body.seed or 0)
    return Work(model, [Completion(prompt, most, [one for one in stops if one])], sampling)


async def _events(work: Work, about: dict[str, Any], with_usage: bool) -> AsyncIterator[str]:
    """Yield server-sent events, one per piece, as OpenAI's API streams."""
    done: Completion = work.items[0]

    def event(choices: list[dict[str, Any]], **more: Any) -> str:
        chunk = {**about, "object": "chat.completion.chunk", "choices": choices, **more}
        return f"data: {json.dumps(chunk)}\n\n"

    def choice(delta: dict[str, str], reason: str | None = None) -> list[dict[str, Any]]:
        return [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": reason}]

    yield event(choice({"role": "assistant", "content": ""}))
    try:
        async for piece in work.pieces():
            yield event(choice({"content": piece}))
    except Exception:
        _log.exception("A streamed request failed.")
        yield f"data: {json.dumps(_error(FAILED))}\n\n"
        return
    finally:  # the client may have gone: nothing more needs to be generated
        done.finish_reason = done.finish_reason or "length"
    yield event(choice({}, done.finish_reason))
    if with_usage:
        yield event([], usage=_usage(done))
    yield "data: [DONE]\n\n"


def _usage(done: Completion) -> dict[str, int]:
    prompt = len(done.prompt_ids)
    return {"prompt_tokens": prompt, "completion_tokens": done.tokens, "total_tokens": prompt + done.tokens}
