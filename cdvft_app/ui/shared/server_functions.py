"""The functions that the page's scripts call on the server: POST /cdvft/<part>/<function>, JSON in, JSON out.

POST /cdvft asks up to MAX_TOGETHER of them, so that parts that poll are one request a tick. Its body is
[{"function": "<part>/<function>", "argument": ...}], its answer [{"status": 200, "answer": ...}] in order.

A function has one argument, of the type that it is annotated with; what is of another is refused before the
call. `cdvft_app/ui/typescript.py` writes these types for the scripts.

These are routes of the server, beside Gradio's: Gradio keeps a copy of the page for every session that asks
its own route for server functions, and forgets the sessions that asked longest ago.
"""

from __future__ import annotations

import asyncio
import inspect
import json
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from functools import wraps
from typing import Annotated, Any, Generic, TypeVar
from weakref import WeakKeyDictionary

import gradio as gr
import orjson
from pydantic import Field, TypeAdapter, ValidationError
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from typing_extensions import TypedDict

from cdvft_app.errors import TooManyRequests, UserError
from cdvft_app.payloads.shared import Refused
from cdvft_app.ui.shared.gradio_adapter import answer_request, page_being_built
from cdvft_app.ui.shared.pool import WAITING_OF_ONE, Pool
from cdvft_app.ui.shared.problem import without_paths
from cdvft_app.ui.shared.viewing import acting_as, is_logged_in

PATH = "/cdvft"
MAX_TOGETHER = 8
BUSY = "The server is busy with what you and others asked; try again in a moment."
_ERRORS = {
    400: "The body of this request is no JSON.",
    401: "Log in first: this server answers nobody else.",
    404: "There is no such function; reload the page.",
    500: "This function failed; the server's log says why.",
    415: "Send JSON, with the content type application/json.",
}

_log = logging.getLogger(__name__)

ServerFunction = Callable[[Any], Any]
Answer = TypeVar("Answer")


class Encoded(Response, Generic[Answer]):
    """An answer that is JSON already."""

    media_type = "application/json"


@dataclass(frozen=True)
class Endpoint:
    """A function that the page's scripts may ask; `answer` is a coroutine that calls it in a pool."""

    function: ServerFunction
    answer: Callable[[Any], Awaitable[Any]]
    takes: TypeAdapter[Any]

    @classmethod
    def of(cls, function: ServerFunction, pool: Pool) -> Endpoint:
        answer = function if inspect.iscoroutinefunction(function) else pool.running(function)
        return cls(function, answer, TypeAdapter(types_of(function)[0]))


def types_of(function: ServerFunction) -> tuple[Any, Any]:
    """Return the types of its argument and its answer; Any where it says nothing."""
    signature = inspect.signature(function, eval_str=True)
    types = next(iter(signature.parameters.values())).annotation, signature.return_annotation
    asked, answer = (Any if one is inspect.Signature.empty else one for one in types)
    return asked, answer


def refusing(call: ServerFunction) -> ServerFunction:
    """`call`, a function or a coroutine function, which answers `Refused` where it raises a `UserError`."""

    def refused(error: UserError) -> Refused:
        return {"error": without_paths(str(error)), "busy": isinstance(error, TooManyRequests)}

    @wraps(call)
    def answer(argument: Any) -> Any:
        try:
            return call(argument)
        except UserError as error:
            return refused(error)

    @wraps(call)
    async def answer_later(argument: Any) -> Any:
        try:
            return await call(argument)
        except UserError as error:
            return refused(error)

    made: Any = answer_later if inspect.iscoroutinefunction(call) else answer
    asked = inspect.signature(call, eval_str=True)
    made.__signature__ = asked.replace(return_annotation=asked.return_annotation | Refused)
    return made


@dataclass
class _OfPage:
    """The functions that one page's scripts may ask, by part and name, and the threads that answer."""

    known: dict[str, Endpoint] = field(default_factory=dict)
    # Polls and what else takes milliseconds: nothing that takes longer may hold one of these threads.
    quick: Pool = field(default_factory=lambda: Pool(16, 1024, BUSY, share=(8, WAITING_OF_ONE)))
    slow: Pool = field(default_factory=lambda: Pool(4, 512, BUSY, share=(2, WAITING_OF_ONE)))


_pages: WeakKeyDictionary[gr.Blocks, _OfPage] = WeakKeyDictionary()


def register(part: str, functions: Mapping[str, ServerFunction], slow: Mapping[str, ServerFunction]) -> None:
    """Let the page that is being built ask these of a part; coroutines bring threads of their own."""
    if (being_built := page_being_built()) is None:
        return
    page = _pages.setdefault(being_built, _OfPage())
    for pool, given in ((page.quick, functions), (page.slow, slow)):
        for name, call in given.items():
            key = f"{part}/{name}"
            assert key not in page.known, f"Two parts of the page answer to {key}."
            page.known[key] = Endpoint.of(call, pool)


def known(page: gr.Blocks) -> Mapping[str, Endpoint]:
    """Return all that the scripts of this page may ask, by "part/function"."""
    return _pages[page].known if page in _pages else {}


class Question(TypedDict):
    """One of several in a request."""

    function: str
    argument: Any


_QUESTIONS = TypeAdapter(Annotated[list[Question], Field(max_length=MAX_TOGETHER)])


async def _answer(request: Request) -> Response:
    """Answer with the function that the address names."""
    if (refused := _not_allowed(request)) is not None:
        return refused
    return await _ask(request, request.path_params["function"], await request.body())


async def _answer_together(request: Request) -> Response:
    """Answer with all functions that the body names, each as if it were asked alone."""
    if (refused := _not_allowed(request)) is not None:
        return refused
    try:
        questions = _QUESTIONS.validate_json(await request.body(), strict=True)
    except ValidationError as error:
        return _refused(400, _problem(error))
    answers = await asyncio.gather(*(_one_of_several(request, one) for one in questions))
    told = (b'{"status":%d,"answer":%b}' % (one.status_code, bytes(one.body)) for one in answers)
    return Response(b"[" + b",".join(told) + b"]", media_type="application/json")


async def _one_of_several(request: Request, question: Question) -> Response:
    """Answer one question; where it fails, with a 500 of its own, so that the others keep their answers."""
    try:
        return await _ask(request, question["function"], json.dumps(question["argument"]).encode())
    except Exception:
        _log.exception("%s failed", question["function"][:80])
        return _refused(500, _ERRORS[500])


def _not_allowed(request: Request) -> Response | None:
    """Return the answer to a request that may ask nothing; None to all others."""
    if not is_logged_in(request):
        return _refused(401, _ERRORS[401])
    # Which a form of a foreign page cannot send without being asked for leave first.
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        return _refused(415, _ERRORS[415])
    return None


async def _ask(request: Request, function: str, body: bytes) -> Response:
    endpoint = known(request.app.get_blocks()).get(function)
    if endpoint is None:
        return _refused(404, _ERRORS[404])
    try:
        argument = endpoint.takes.validate_json(body, strict=True)
    except ValidationError as error:
        return _refused(400, _problem(error))
    answer_request(request)
    try:
        with acting_as(argument.get("token") if isinstance(argument, dict) else None):
            answer = await endpoint.answer(argument)
    except TooManyRequests as busy:
        return _refused(429, str(busy), {"retry-after": "1"})
    if isinstance(answer, Response):
        return answer
    return Response(orjson.dumps(answer, option=orjson.OPT_SERIALIZE_NUMPY), media_type="application/json")


def _problem(error: ValidationError) -> str:
    """Return the first of what is wrong with a request, in a sentence."""
    first = error.errors(include_url=False, include_input=False)[0]
    if first["type"] == "json_invalid":
        return _ERRORS[400]
    where = ".".join(map(str, first["loc"])) or "The request"
    return (
        f"{where[:80]}: {first['msg']}. Reload the page: its scripts ask otherwise than this server answers."
    )


def _refused(status: int, sentence: str, headers: Mapping[str, str] | None = None) -> Response:
    return Response(orjson.dumps({"error": sentence}), status, headers, "application/json")


routes = [
    Route(PATH, _answer_together, methods=["POST"]),
    Route(PATH + "/{function:path}", _answer, methods=["POST"]),
]
