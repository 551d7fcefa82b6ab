"""serve: the openai client's calls, predictions over HTTP, batches, keys and errors."""

from __future__ import annotations

import asyncio
import base64
import dataclasses

import httpx
import made
import openai
import pytest
from listening import finished

from cdvft_app.catalog.dataset_readers import Split
from cdvft_app.commands import INVALID, serve
from cdvft_app.commands.serve import ServedModel, application, load_models
from cdvft_app.results.finished_run import FinishedRun, load
from cdvft_app.results.predictor import Predictor
from cdvft_app.store.runs import RunStore

MESSAGES = [{"role": "user", "content": "seven"}]
CHAT = "/v1/chat/completions"
WRITES = {"model": "first-cdvft", "messages": MESSAGES}


@pytest.fixture(scope="module")
def runs(request, tmp_path_factory) -> dict[str, FinishedRun]:
    """Runs that generate, classify texts and images; the first two of each with other seeds."""
    store = RunStore(tmp_path_factory.mktemp("served"))
    found = {}
    for kind, name, method, seed in (
        ("answer", "first", "cdvft", 0),
        ("answer", "second", "lora", 1),
        ("text", "films", "cdvft", 0),
        ("text", "reviews", "head", 1),
        ("number", "prices", "cdvft", 0),
        ("image", "greys", "cdvft", 0),
    ):
        plan, rows = (request.getfixturevalue(f"{kind}_{what}") for what in ("plan", "rows"))
        planned = plan(method, max_steps=4, learning_rate=0.05, seed=seed)
        few = Split(rows.evaluation.inputs[:3], rows.evaluation.labels[:3])
        (record,) = store.create([planned.settings], None, name, "1:1")
        found[name] = finished(store, record, planned, dataclasses.replace(rows, evaluation=few))
    return found


@pytest.fixture(scope="module")
def models(runs) -> list[ServedModel]:
    return load_models(list(runs.values()))


@pytest.fixture
def served(models):
    """`served(call, key)`: what an async function of an HTTP client returns."""

    def go(call, key: str = ""):
        async def inside():
            app = application(models, key)
            async with app.router.lifespan_context(app):
                transport = httpx.ASGITransport(app, raise_app_exceptions=False)
                async with httpx.AsyncClient(transport=transport, base_url="http://localhost:8000") as client:
                    return await call(client)

        return asyncio.run(inside())

    return go


@pytest.fixture
def chat(served):
    """`chat(**fields)`: a completion of the first model by the openai client."""

    def go(key: str = "", sent_key: str = "none", **fields):
        async def call(client):
            with_key = openai.AsyncOpenAI(
                base_url="http://localhost:8000/v1", api_key=sent_key, http_client=client, max_retries=0
            )
            made_of = await with_key.chat.completions.create(**WRITES | fields)
            return [chunk async for chunk in made_of] if fields.get("stream") else made_of

        return served(call, key)

    return go


def posted(path, headers=None, **body):
    return lambda client: client.post(path, json=body, headers=headers)


def test_runs_of_one_base_share_it(models):
    shared = {one.name: one.predictor for one in models}
    assert shared["first-cdvft"] is shared["second-lora"]
    assert shared["films-cdvft"] is shared["reviews-head"] is not shared["prices-cdvft"]


def test_completion_is_the_run_s_text(chat, runs):
    found = chat(max_tokens=400)
    (alone,) = load(runs["first"])[0].predict(["seven"])
    (choice,) = found.choices
    assert (alone.text or "").removesuffix("…").startswith(choice.message.content[:40])
    assert found.usage.total_tokens == found.usage.prompt_tokens + found.usage.completion_tokens
    assert choice.finish_reason in ("stop", "length")


def test_stream_has_the_same_text(chat):
    whole = chat(max_tokens=12)
    chunks = chat(max_tokens=12, stream=True, stream_options={"include_usage": True})
    text = "".join(choice.delta.content or "" for one in chunks for choice in one.choices)
    assert text == whole.choices[0].message.content
    assert chunks[0].choices[0].delta.role == "assistant"
    assert chunks[-2].choices[0].finish_reason == whole.choices[0].finish_reason
    assert chunks[-1].usage == whole.usage and not chunks[-1].choices


def test_completion_ends_at_stops_and_length(chat):
    text = chat(max_tokens=12).choices[0].message.content
    for stream in (False, True):
        found = chat(max_tokens=12, stop=[text[2]], stream=stream)
        cut = found if stream else [found]
        texts = [one.choices[0].delta.content if stream else one.choices[0].message.content for one in cut]
        assert "".join(filter(None, texts)) == text[: text.index(text[2])]
        assert cut[-1].choices[0].finish_reason == "stop"
    short = chat(max_completion_tokens=2)
    assert (short.usage.completion_tokens, short.choices[0].finish_reason) == (2, "length")


def test_instruction_comes_first_unless_another_is_sent(chat):
    told = [[{"role": role, "content": "Say it."}, *MESSAGES] for role in ("system", "developer")]
    parts = [[{"role": "user", "content": [{"type": "text", "text": "seven"}]}]]
    counts = [chat(messages=one, max_tokens=1).usage.prompt_tokens for one in (MESSAGES, *told, *parts)]
    assert len(set(counts)) == 1


def test_requests_at_the_same_time_get_their_own_texts(served, chat):
    names = ["first-cdvft", "second-lora", "first-cdvft"]
    bodies = [{"model": name, "messages": MESSAGES, "max_tokens": 12} for name in names]
    first, second = (chat(**body).choices[0].message.content for body in bodies[:2])

    async def together(client):
        return await asyncio.gather(*(client.post(CHAT, json=one) for one in bodies))

    texts = [one.json()["choices"][0]["message"]["content"] for one in served(together)]
    assert texts == [first, second, first]


@pytest.mark.parametrize("name", ["films", "reviews", "prices"])
def test_predictions_are_the_run_s(served, models, runs, name):
    texts = ["good film", "the awful plot", "fine"]
    model = next(one.name for one in models if one.run is runs[name])
    answers = served(posted("/predict", model=model, inputs=texts)).json()["answers"]
    for found, expected in zip(answers, load(runs[name])[0].predict(texts), strict=True):
        if name == "prices":
            assert found["value"] == pytest.approx(expected.value, rel=1e-4)
        else:
            assert found["label"] == expected.label
            assert [*found["probabilities"].values()] == pytest.approx([*expected.probabilities], abs=1e-5)


def test_images_are_predicted_from_base64(served):
    image = base64.b64encode(made.picture(130)).decode()
    found = served(posted("/predict", model="greys-cdvft", inputs=[image])).json()["answers"]
    assert found[0]["label"] in ("dark", "grey", "bright")


def test_models_are_listed_and_found_by_id(served, chat, runs):
    listed = served(lambda client: client.get("/v1/models")).json()
    assert [one["id"] for one in listed["data"]][:2] == ["first-cdvft", "second-lora"]
    assert chat(model=runs["second"].record.id[:8], max_tokens=2).model == "second-lora"
    one = served(lambda client: client.get("/v1/models/second-lora"))
    assert (one.status_code, one.json()["id"]) == (200, "second-lora")


@pytest.mark.parametrize(
    ("path", "body", "status", "param", "code"),
    [
        (CHAT, {"model": "none", "messages": MESSAGES}, 404, "model", "model_not_found"),
        (CHAT, {"model": "films-cdvft", "messages": MESSAGES}, 400, "model", None),
        (CHAT, {"model": "first-cdvft"}, 400, "messages", None),
        (CHAT, {**WRITES, "messages": [{"role": "x", "content": "a"}]}, 400, "messages", None),
        (CHAT, {**WRITES, "n": 2}, 400, "n", None),
        (CHAT, {**WRITES, "top_p": 0.5}, 400, "top_p", None),
        (CHAT, {**WRITES, "functions": [{"name": "f"}]}, 400, "functions", None),
        (CHAT, {**WRITES, "temperature": 9}, 400, "temperature", None),
        (CHAT, {**WRITES, "max_tokens": "x"}, 400, "max_tokens", None),
        (CHAT, {**WRITES, "stop": ["a"] * 5}, 400, "stop", None),
        (CHAT, {**WRITES, "stream_options": [1]}, 400, "stream_options", None),
        (CHAT, {**WRITES, "messages": MESSAGES * 3000}, 400, "messages", "context_length_exceeded"),
        ("/predict", {"model": "first-cdvft", "inputs": ["a"]}, 400, "model", None),
        ("/predict", {"model": "films-cdvft", "inputs": []}, 400, "inputs", None),
        ("/predict", {"model": "films-cdvft", "inputs": [["a", "b"]]}, 400, "inputs", None),
        ("/predict", {"model": "films-cdvft", "inputs": [" "]}, 400, None, None),
        ("/predict", {"model": "greys-cdvft", "inputs": ["no picture"]}, 400, None, None),
        ("/v1/embeddings", {}, 404, None, None),
        ("/v1/models", {}, 405, None, None),
    ],
)
def test_errors_have_openai_s_fields(served, path, body, status, param, code):  # noqa: PLR0917
    answer = served(posted(path, **body))
    error = answer.json()["error"]
    assert (answer.status_code, error["param"], error["code"]) == (status, param, code)
    assert {*error} == {"message", "type", "param", "code"}


@pytest.mark.parametrize(("body", "status"), [(b"[1, 2", 400), (b"[1]", 400), (b"1" * 2000, 413)])
def test_other_bodies_are_rejected(served, monkeypatch, body, status):
    monkeypatch.setattr(serve, "MAX_BODY", 1000)
    headers = {"content-type": "application/json"}
    answer = served(lambda client: client.post("/predict", content=body, headers=headers))
    assert answer.status_code == status and answer.json()["error"]["message"]


@pytest.mark.parametrize("headers", [{"host": "evil.example"}, {"origin": "https://evil.example"}])
def test_web_pages_need_a_key(served, headers):
    body = {"model": "films-cdvft", "inputs": ["a good film"]}
    assert served(posted("/predict", headers, **body)).status_code == 403
    with_key = posted("/predict", {**headers, "authorization": "Bearer k"}, **body)
    assert served(with_key, key="k").status_code == 200


def test_key_is_required_if_set(served, chat):
    rejected = served(lambda client: client.get("/v1/models"), key="secret")
    assert (rejected.status_code, rejected.json()["error"]["code"]) == (401, "invalid_api_key")
    with pytest.raises(openai.AuthenticationError):
        chat(key="secret")
    assert chat(key="secret", sent_key="secret", max_tokens=2).choices


def test_failed_request_leaves_the_next_alone(served, monkeypatch):
    usual = Predictor.predict

    def failing(self, run_id, inputs):
        if "fail" in inputs:
            raise RuntimeError("no")
        return usual(self, run_id, inputs)

    monkeypatch.setattr(Predictor, "predict", failing)

    async def one_after_the_other(client):
        bodies = [{"model": "films-cdvft", "inputs": [text]} for text in ("fail", "good")]
        return [await client.post("/predict", json=one) for one in bodies]

    failed, fine = served(one_after_the_other)
    assert (failed.status_code, fine.status_code) == (500, 200)
    assert failed.json()["error"]["type"] == "server_error"


@pytest.mark.parametrize("key", ["", "secret"])
def test_network_hosts_need_a_long_key(command, home, monkeypatch, key):
    monkeypatch.setenv("CDVFT_SERVE_KEY", key)
    code, _, error = command("serve", home[1]["text"], "--host", "0.0.0.0")
    assert code == INVALID and "CDVFT_SERVE_KEY" in error
