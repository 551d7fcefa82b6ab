"""`python -m cdvft_app serve`: finished runs behind HTTP, as OpenAI's API has models that write.

    POST /v1/chat/completions   for runs that write; "model" names the run
    POST /predict               {"model", "inputs"} for the others
    GET  /v1/models             the runs' names; /v1/models/NAME is one of them

Requests that come at the same time for adapters of one base model are answered in one batch.
"""

from __future__ import annotations

import asyncio
import json
import logging
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from cdvft_app.commands.data import print_progress
from cdvft_app.commands.options import RunIds
from cdvft_app.errors import UserError
from cdvft_app.public.origins import allowed
from cdvft_app.results import inputs
from cdvft_app.results.finished_run import find
from cdvft_app.settings import InvalidChoice
from cdvft_app.settings.environment import LOOPBACK, environment
from cdvft_app.store.runs import RunStore

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response

    from cdvft_app.results.serving import Sampling, Served, SharedModel, Written

_log = logging.getLogger(__name__)
TOGETHER_SECONDS = 0.005  # in which further requests may join a batch
MAX_WAITING = 256  # requests
MAX_BODY = 20_000_000  # bytes: pictures come in base64
KEY = "CDVFT_SERVE_KEY"
USUAL_TOKENS = 128
# What other clients send by themselves, and which value of it changes nothing.
NEUTRAL: Mapping[str, Sequence[object]] = {
    "top_p": (1, None), "presence_penalty": (0, None), "frequency_penalty": (0, None),
    "logprobs": (False, None), "tools": (None, []), "tool_choice": (None, "none", "auto"),
    "response_format": (None, {"type": "text"}), "logit_bias": (None, {}), "store": (False, None),
    "metadata": (None, {}), "service_tier": (None, "auto"), "functions": (None, []),
    "function_call": (None, "none", "auto"), "top_logprobs": (None, 0), "modalities": (None, ["text"]),
    "audio": (None,), "web_search_options": (None,), "reasoning_effort": (None, "none"),
    "verbosity": (None, "medium"),
}  # fmt: skip


class Refused(Exception):
    """A request that cannot be answered: a sentence, the field it is about, the status, and OpenAI's code for
    it where clients act upon that."""

    def __init__(
        self, sentence: str, field: str | None = None, status: int = 400, code: str | None = None
    ) -> None:
        super().__init__(sentence)
        self.field, self.status, self.code = field, status, code


def serve(
    run_ids: RunIds,
    port: Annotated[int, typer.Option(min=1, max=65535, help="Where it listens.")] = 8000,
    host: Annotated[
        str, typer.Option(help="127.0.0.1 is this machine alone; others need a key.")
    ] = "127.0.0.1",
) -> None:
    """Answer requests with finished runs: OpenAI's chat completions of those that write, JSON of others.

    Adapters of one base model share it, and a batch; "model" in a request names the run. A key that requests
    must bring is set in CDVFT_SERVE_KEY.
    """
    key = environment().serve_key.get_secret_value()
    if host not in LOOPBACK and not key:
        raise InvalidChoice(
            f"host: got {host!r}; others reach it there, so set {KEY} to a key that they bring."
        )
    store = RunStore.default()
    runs = [find(store, run_id) for run_id in run_ids]
    import uvicorn

    from cdvft_app.results.serving import serve_runs

    models = serve_runs(runs, print_progress)
    for one in (served for shared in models for served in shared.served):
        typer.echo(f"{one.name}: {one.run.label}, {one.run.record.name}", err=True)
    typer.echo(f"Serving on http://{host}:{port}/v1", err=True)
    uvicorn.run(application(models, key), host=host, port=port, log_level="warning")


# Requests


@dataclass(eq=False)
class Writing:
    """A request for an answer that is written; `pieces` get its text, and at its end None or what failed."""

    shared: SharedModel
    sampling: Sampling
    answer: Written
    pieces: asyncio.Queue[str | Exception | None] = field(default_factory=asyncio.Queue)

    def may_join(self, other: Writing | Predicting) -> bool:
        return isinstance(other, Writing) and other.shared is self.shared and other.sampling == self.sampling

    @staticmethod
    def answer_all(batch: Sequence[Writing], call: Callable[..., None]) -> None:
        """Answer a batch, in a thread; `call` schedules a call in the event loop."""
        first = batch[0]
        for pieces in first.shared.write([one.answer for one in batch], first.sampling):
            for one, piece in zip(batch, pieces, strict=True):
                if piece:
                    call(one.pieces.put_nowait, piece)
        for one in batch:
            call(one.pieces.put_nowait, None)

    def fail(self, error: Exception) -> None:
        self.pieces.put_nowait(error)


@dataclass(eq=False)
class Predicting:
    """A request for classes or numbers of some inputs."""

    shared: SharedModel
    served: Served
    inputs: list[Any]
    found: asyncio.Future[list[dict[str, Any]]]

    def may_join(self, other: Writing | Predicting) -> bool:
        return isinstance(other, Predicting) and other.shared is self.shared

    @staticmethod
    def answer_all(batch: Sequence[Predicting], call: Callable[..., None]) -> None:
        asked = [(one.served, given) for one in batch for given in one.inputs]
        answers = iter(batch[0].shared.predict(asked))
        for one in batch:
            labels = one.served.run.labels
            found = [
                {"value": answer.value}
                if answer.label is None
                else {
                    "label": answer.label,
                    "confidence": round(max(answer.probabilities), 4),
                    "probabilities": dict(zip(labels, answer.probabilities, strict=False)),
                }
                for answer in (next(answers) for _ in one.inputs)
            ]
            call(_settle, one.found, found)

    def fail(self, error: Exception) -> None:
        _settle(self.found, error)


def _settle(future: asyncio.Future[Any], found: Any) -> None:
    if future.done():  # whoever asked has gone
        return
    if isinstance(found, Exception):
        future.set_exception(found)
    else:
        future.set_result(found)


class Batches:
    """Answers requests, those together that may be; one batch at a time."""

    def __init__(self) -> None:
        self._waiting: list[Writing | Predicting] = []
        self._more = asyncio.Event()

    def add(self, request: Writing | Predicting) -> None:
        if len(self._waiting) >= MAX_WAITING:
            raise Refused(
                f"{MAX_WAITING} requests wait already; try again soon.",
                status=429,
                code="rate_limit_exceeded",
            )
        self._waiting.append(request)
        self._more.set()

    async def run(self) -> None:
        from cdvft_app.results.serving import MAX_BATCH

        loop = asyncio.get_running_loop()
        while True:
            await self._more.wait()
            await asyncio.sleep(TOGETHER_SECONDS)
            first = self._waiting[0]
            batch = [one for one in self._waiting if first.may_join(one)][:MAX_BATCH]
            self._waiting = [one for one in self._waiting if one not in batch]
            if not self._waiting:
                self._more.clear()
            try:
                answer_all = cast(Callable[..., None], type(first).answer_all)
                await asyncio.to_thread(answer_all, batch, loop.call_soon_threadsafe)
            except Exception as error:  # the next batch can be another one
                for one in batch:
                    one.fail(error)


def application(models: Sequence[SharedModel], key: str = "") -> Starlette:
    """Return the HTTP application; with a `key` requests must bring it, as OpenAI's clients bring theirs."""
    from starlette.applications import Starlette
    from starlette.responses import JSONResponse
    from starlette.routing import Route

    batches = Batches()

    @asynccontextmanager
    async def running(_: Starlette) -> AsyncIterator[None]:
        task = asyncio.create_task(batches.run())
        yield
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task

    def answered(
        call: Callable[[dict[str, Any]], Awaitable[Response]],
    ) -> Callable[[Request], Awaitable[Response]]:
        async def answer(request: Request) -> Response:
            try:
                _require_allowed(request, key)
                return await call(
                    await _body(request) if request.method == "POST" else dict(request.path_params)
                )
            except Refused as refused:
                return JSONResponse(_error(str(refused), refused.field, refused.code), refused.status)
            except UserError as error:
                return JSONResponse(_error(str(error), None), 400)
            except Exception:
                _log.exception("A request ended in an error.")
                return JSONResponse(_failed(), 500)

        return answer

    def about(one: Served) -> dict[str, Any]:
        return {
            "id": one.name,
            "object": "model",
            "created": int(one.run.record.created),
            "owned_by": "cdvft",
        }

    async def list_models(_: dict[str, Any]) -> Response:
        data = [about(one) for shared in models for one in shared.served]
        return JSONResponse({"object": "list", "data": data})

    async def tell_model(asked: dict[str, Any]) -> Response:
        return JSONResponse(about(_model(models, asked)[1]))

    async def nothing_there(request: Request, error: Exception) -> Response:
        status = getattr(error, "status_code", 404)
        paths = ", ".join(
            f"{'/'.join(sorted((one.methods or set()) - {'HEAD'}))} {one.path}" for one in routes
        )
        sentence = f"{request.method} {request.url.path[:80]} is not answered here. There are {paths}."
        return JSONResponse(_error(sentence, None), status)

    async def complete(body: dict[str, Any]) -> Response:
        return await _complete(models, batches, body)

    async def predict(body: dict[str, Any]) -> Response:
        return await _predict(models, batches, body)

    routes = [
        Route("/v1/models", answered(list_models), methods=["GET"]),
        Route("/v1/models/{model}", answered(tell_model), methods=["GET"]),
        Route("/v1/chat/completions", answered(complete), methods=["POST"]),
        Route("/predict", answered(predict), methods=["POST"]),
    ]
    handlers: dict[Any, Any] = dict.fromkeys((404, 405), nothing_there)
    return Starlette(routes=routes, lifespan=running, exception_handlers=handlers)


def _require_allowed(request: Request, key: str) -> None:
    """The key where there is one; else a program of this machine, and no page in its browser."""
    of_page = "origin" in request.headers or not allowed(request.headers.get("host", ""), environment())
    if not key and of_page:
        raise Refused(
            f"Without {KEY} programs of this machine alone are answered, and no web page.", status=403
        )
    given = request.headers.get("authorization", "").removeprefix("Bearer ")
    if key and not secrets.compare_digest(given.encode(), key.encode()):
        raise Refused(
            "The key is missing or wrong; bring it as “Authorization: Bearer KEY”.",
            status=401,
            code="invalid_api_key",
        )


async def _body(request: Request) -> dict[str, Any]:
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY:
            raise Refused(f"The request has more than {MAX_BODY / 1e6:g} MB.", status=413)
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise Refused("The body is no JSON object.")
    return found


def _error(sentence: str, about: str | None, code: str | None = None) -> dict[str, Any]:
    """Return an error in the form of OpenAI's API."""
    return {"error": {"message": sentence, "type": "invalid_request_error", "param": about, "code": code}}


def _failed() -> dict[str, Any]:
    """Return the error for a failure that is not the request's fault."""
    error = _error("It failed in this program; its log says what.", None)
    return {"error": {**error["error"], "type": "server_error"}}


def _model(models: Sequence[SharedModel], body: dict[str, Any]) -> tuple[SharedModel, Served]:
    from cdvft_app.results.serving import named

    every = [one.name for shared in models for one in shared.served]
    name = body.get("model", every[0] if len(every) == 1 else None)
    try:
        return named(models, str(name))
    except KeyError:
        raise Refused(
            f"There is no model {str(name)[:80]!r}. The models are {', '.join(every)}.", "model", 404,
            "model_not_found",
        ) from None  # fmt: skip


async def _predict(models: Sequence[SharedModel], batches: Batches, body: dict[str, Any]) -> Response:
    from starlette.responses import JSONResponse

    shared, served = _model(models, body)
    if served.run.plan.model.kind == "generation":
        raise Refused(f"{served.name} writes its answers; ask /v1/chat/completions.", "model")
    given = body.get("inputs")
    if not isinstance(given, list) or not given:
        raise Refused('inputs: give a list of texts, of pairs ["a", "b"], or of images in base64.', "inputs")
    asked = Predicting(shared, served, _inputs(served, given), asyncio.get_running_loop().create_future())
    batches.add(asked)
    return JSONResponse({"model": served.name, "answers": await asked.found})


def _inputs(served: Served, given: list[Any]) -> list[Any]:
    run = served.run
    if run.plan.model.kind == "image":
        if not all(isinstance(one, str) for one in given) or len(given) > inputs.MAX_INPUTS:
            raise Refused("inputs: each is the bytes of an image file in base64.", "inputs")
        return [
            inputs.picture(run, inputs.decoded(one), f"Image {place}") for place, one in enumerate(given, 1)
        ]
    pairs = [one if isinstance(one, list) else [one] for one in given]
    wanted = 2 if inputs.takes_pairs(run) else 1
    if any(len(one) != wanted or not all(isinstance(text, str) for text in one) for one in pairs):
        raise Refused(f"inputs: each is {'a pair of texts' if wanted == 2 else 'a text'}.", "inputs")
    return inputs.texts(run, [one[0] for one in pairs], [one[1] for one in pairs] if wanted == 2 else [])


async def _complete(models: Sequence[SharedModel], batches: Batches, body: dict[str, Any]) -> Response:
    from starlette.responses import JSONResponse, StreamingResponse

    asked = _writing(models, body)
    batches.add(asked)
    first = {
        "id": f"chatcmpl-{secrets.token_hex(12)}",
        "created": int(time.time()),
        "model": asked.answer.served.name,
    }
    if body.get("stream"):
        options = body.get("stream_options") or {}
        events = _events(asked, first, bool(options.get("include_usage")))
        return StreamingResponse(events, media_type="text/event-stream")
    async for _ in _pieces(asked):
        pass
    answer = asked.answer
    choice = {
        "index": 0, "message": {"role": "assistant", "content": answer.text, "refusal": None},
        "logprobs": None, "finish_reason": answer.reason or "length",
    }  # fmt: skip
    return JSONResponse({**first, "object": "chat.completion", "choices": [choice], "usage": _usage(asked)})


async def _pieces(asked: Writing) -> AsyncIterator[str]:
    while (piece := await asked.pieces.get()) is not None:
        if isinstance(piece, Exception):
            raise piece
        yield piece


async def _events(asked: Writing, first: dict[str, Any], with_usage: bool) -> AsyncIterator[str]:
    """Server-sent events, a piece each, as OpenAI's API streams."""

    def event(choices: list[dict[str, Any]], **more: Any) -> str:
        chunk = {**first, "object": "chat.completion.chunk", "choices": choices, **more}
        return f"data: {json.dumps(chunk)}\n\n"

    def choice(delta: dict[str, str], reason: str | None = None) -> list[dict[str, Any]]:
        return [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": reason}]

    yield event(choice({"role": "assistant", "content": ""}))
    try:
        async for piece in _pieces(asked):
            yield event(choice({"content": piece}))
    except Exception:
        _log.exception("A request ended in an error.")
        yield f"data: {json.dumps(_failed())}\n\n"
        return
    finally:  # whoever asked may have gone, and the answer need not be written to its end
        asked.answer.reason = asked.answer.reason or "length"
    yield event(choice({}, asked.answer.reason or "length"))
    if with_usage:
        yield event([], usage=_usage(asked))
    yield "data: [DONE]\n\n"


def _usage(asked: Writing) -> dict[str, int]:
    prompt, written = len(asked.answer.prompt_ids), asked.answer.tokens
    return {"prompt_tokens": prompt, "completion_tokens": written, "total_tokens": prompt + written}


def _writing(models: Sequence[SharedModel], body: dict[str, Any]) -> Writing:
    """Return the request, checked."""
    from cdvft_app.results.serving import Sampling, Written

    shared, served = _model(models, body)
    if served.run.plan.model.kind != "generation":
        raise Refused(f"{served.name} writes nothing; ask /predict.", "model")
    for name, value in body.items():
        if value not in NEUTRAL.get(name, (value,)):
            raise Refused(f"{name}: {json.dumps(value)[:60]} is not supported; leave it out.", name)
    if not isinstance(body.get("stream_options") or {}, dict):
        raise Refused('stream_options: give an object, such as {"include_usage": true}.', "stream_options")
    if body.get("n") not in (None, 1):
        raise Refused("n: one answer is written; leave it out.", "n")
    temperature = _number(body, "temperature", 0.0, 2.0, 0.0)
    seed = int(_number(body, "seed", 0, 2**31 - 1, 0))
    named = "max_completion_tokens" if body.get("max_completion_tokens") is not None else "max_tokens"
    most = int(_number(body, named, 1, 100_000, USUAL_TOKENS))
    stops = body.get("stop") or []
    stops = [stops] if isinstance(stops, str) else stops
    if (
        not isinstance(stops, list)
        or len(stops) > 4
        or not all(isinstance(one, str) and one for one in stops)
    ):
        raise Refused("stop: give a text, or up to four of them.", "stop")
    prompt = _prompt_ids(shared, served, body.get("messages"))
    task: Any = shared.task
    room = task.context - len(prompt)
    if room < 1:
        raise Refused(
            f"messages: they have {len(prompt):,} tokens, and {served.name} takes {task.context:,} with the "
            "answer. Shorten them.", "messages", code="context_length_exceeded",
        )  # fmt: skip
    return Writing(shared, Sampling(temperature, seed), Written(served, prompt, min(most, room), stops))


def _number(body: dict[str, Any], name: str, least: float, most: float, usual: float) -> float:
    value = body.get(name)
    if value is None:
        return usual
    if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most:
        raise Refused(
            f"{name}: got {json.dumps(value)[:40]}; give a number from {least:g} to {most:g}.", name
        )
    return value


def _prompt_ids(shared: SharedModel, served: Served, messages: Any) -> list[int]:
    """Return the tokens of the messages in the model's chat template, after the run's instruction."""
    from jinja2 import TemplateError

    if not isinstance(messages, list) or not messages:
        raise Refused('messages: give a list such as [{"role": "user", "content": "Hello"}].', "messages")
    said = []
    for one in messages:
        content = one.get("content") if isinstance(one, dict) else None
        if isinstance(content, list):  # parts, of which texts are read
            texts = [
                part.get("text") for part in content if isinstance(part, dict) and part.get("type") == "text"
            ]
            content = "\n".join(map(str, texts)) if len(texts) == len(content) else None
        role = one.get("role") if isinstance(one, dict) else None
        if not isinstance(content, str) or role not in ("system", "developer", "user", "assistant"):
            raise Refused(
                "messages: each has a role (system, developer, user or assistant) and a text as its content.",
                "messages",
            )
        said.append({"role": "system" if role == "developer" else role, "content": content})
    if sum(len(one["content"]) for one in said) > 10 * inputs.MAX_CHARACTERS:
        raise Refused(f"messages: at most {10 * inputs.MAX_CHARACTERS:,} characters are read.", "messages")
    instruction = served.run.plan.dataset.instruction
    if instruction and said[0]["role"] != "system":
        said.insert(0, {"role": "system", "content": instruction})
    tokenizer: Any = cast(Any, shared.task).tokenizer
    try:
        text = tokenizer.apply_chat_template(said, add_generation_prompt=True, tokenize=False)
    except TemplateError as error:
        raise Refused(
            f"messages: the model's chat template does not take them ({str(error)[:200]}).", "messages"
        ) from None
    return cast(list[int], tokenizer(text, add_special_tokens=False).input_ids)
