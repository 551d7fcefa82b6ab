"""serve: OpenAI's chat completions and JSON, asked over HTTP; adapters of one base in one batch."""

from __future__ import annotations

import asyncio
import base64
import dataclasses
import json

import httpx
import made
import pytest
from listening import finished

from cdvft_app.catalog.dataset_readers import Split
from cdvft_app.commands import INVALID
from cdvft_app.commands.serve import application
from cdvft_app.results.finished_run import FinishedRun, load
from cdvft_app.results.serving import SharedModel, serve_runs
from cdvft_app.store.runs import RunStore

SAID = [{"role": "user", "content": "seven"}]
CHAT = "/v1/chat/completions"
WRITES = {"model": "first-cdvft", "messages": SAID}


@pytest.fixture(scope="module")
def runs(request, tmp_path_factory) -> dict[str, FinishedRun]:
    """Two runs of CDVFT that write, with other seeds, one of LoRA; the same of texts; one of images."""
    store = RunStore(tmp_path_factory.mktemp("served"))
    found = {}
    for kind, name, method, seed in (
        ("answer", "first", "cdvft", 0),
        ("answer", "second", "cdvft", 1),
        ("answer", "third", "lora", 0),
        ("text", "films", "cdvft", 0),
        ("text", "reviews", "cdvft", 1),
        ("text", "heads", "head", 0),
        ("image", "greys", "cdvft", 0),
    ):
        plan, rows = (request.getfixturevalue(f"{kind}_{what}") for what in ("plan", "rows"))
        planned = plan(method, max_steps=8, learning_rate=0.05, seed=seed)
        few = Split(rows.evaluation.inputs[:3], rows.evaluation.labels[:3])
        (record,) = store.create([planned.settings], None, name, "1:1")
        found[name] = finished(store, record, planned, dataclasses.replace(rows, evaluation=few))
    return found


@pytest.fixture(scope="module")
def models(runs) -> list[SharedModel]:
    return serve_runs(list(runs.values()))


@pytest.fixture
def ask(models):
    """`ask(call)`: what an async function of a client gets; `key` as for `application`."""

    def go(call, key: str = ""):
        async def asked():
            app = application(models, key)
            async with app.router.lifespan_context(app):
                transport = httpx.ASGITransport(app)
                async with httpx.AsyncClient(transport=transport, base_url="http://localhost:8000") as client:
                    return await call(client)

        return asyncio.run(asked())

    return go


def posted(path, headers=None, **body):
    return lambda client: client.post(path, json=body, headers=headers)


@pytest.fixture
def written(ask):
    """`written(**how)`: what is said for a completion of the first model."""

    def go(**how):
        return ask(posted(CHAT, **WRITES | how)).json()

    return go


def text_of(said) -> str:
    return said["choices"][0]["message"]["content"]


@pytest.mark.parametrize("headers", [{"host": "evil.example"}, {"origin": "https://evil.example"}])
def test_without_a_key_no_web_page_is_answered(ask, headers):
    asked = {"model": "films-cdvft", "inputs": ["a good film"]}
    refused = ask(posted("/predict", headers, **asked))
    assert refused.status_code == 403 and "no web page" in refused.json()["error"]["message"]
    with_key = posted("/predict", {**headers, "authorization": "Bearer k"}, **asked)
    assert ask(with_key, key="k").status_code == 200


def test_adapters_of_one_base_share_it(models):
    assert [[one.name for one in shared.served] for shared in models] == [
        ["first-cdvft", "second-cdvft"], ["third-lora"], ["films-cdvft", "reviews-cdvft"], ["heads-head"],
        ["greys-cdvft"],
    ]  # fmt: skip


def test_a_completion_is_what_the_run_answers(written, runs):
    said = written(max_tokens=400)
    assert said["object"] == "chat.completion"
    (choice,) = said["choices"]
    text = text_of(said)
    assert choice["message"] == {"role": "assistant", "content": text, "refusal": None}
    (alone,) = load(runs["first"])[0].predict(["seven"])
    assert (alone.text or "").removesuffix("…").startswith(text[:40])
    usage = said["usage"]
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]
    assert choice["finish_reason"] in ("stop", "length")


def test_requests_for_two_adapters_are_one_batch_and_each_gets_its_own(ask, written, monkeypatch):
    names = ["first-cdvft", "second-cdvft", "first-cdvft"]
    bodies = [{"model": name, "messages": SAID, "max_tokens": 12} for name in names]
    first, second = (text_of(written(**body)) for body in bodies[:2])
    batches = []
    usual = SharedModel.write

    def counted(self, asked, *more):
        batches.append([one.served.name for one in asked])
        return usual(self, asked, *more)

    monkeypatch.setattr(SharedModel, "write", counted)

    async def together(client):
        return await asyncio.gather(*(client.post(CHAT, json=one) for one in bodies))

    assert [text_of(one.json()) for one in ask(together)] == [first, second, first]
    assert batches == [names] and first != second


def test_a_stream_has_the_same_text_in_pieces(ask, written):
    whole = written(max_tokens=12)
    streamed = {"max_tokens": 12, "stream": True, "stream_options": {"include_usage": True}}
    told = ask(posted(CHAT, **WRITES | streamed))
    assert told.headers["content-type"].startswith("text/event-stream")
    *events, done = [one.removeprefix("data: ") for one in told.text.strip().split("\n\n")]
    chunks = [*map(json.loads, events)]
    assert done == "[DONE]" and {one["object"] for one in chunks} == {"chat.completion.chunk"}
    text = "".join(choice["delta"].get("content", "") for one in chunks for choice in one["choices"])
    assert text == text_of(whole)
    assert chunks[0]["choices"][0]["delta"]["role"] == "assistant"
    assert chunks[-2]["choices"][0]["finish_reason"] == whole["choices"][0]["finish_reason"]
    assert (chunks[-1]["choices"], chunks[-1]["usage"]) == ([], whole["usage"])


def test_an_answer_ends_before_a_stop_and_after_so_many_tokens(written):
    text = text_of(written(max_tokens=12))
    assert len(text) > 3
    cut = written(max_tokens=12, stop=[text[2]])["choices"][0]
    assert (cut["message"]["content"], cut["finish_reason"]) == (text[: text.index(text[2])], "stop")
    short = written(max_completion_tokens=2)
    assert short["usage"]["completion_tokens"] == 2 and short["choices"][0]["finish_reason"] == "length"


def test_drawn_answers_follow_from_the_seed(written):
    drawn = [text_of(written(max_tokens=12, temperature=1.5, seed=seed)) for seed in (1, 1, 2)]
    assert drawn[0] == drawn[1] != drawn[2]


def test_the_instruction_that_was_learned_stands_first_unless_another_is_given(written):
    told = [[{"role": role, "content": "Say it."}, *SAID] for role in ("system", "developer")]
    lengths = [written(messages=one, max_tokens=1)["usage"]["prompt_tokens"] for one in (SAID, *told)]
    assert len(set(lengths)) == 1


def test_classes_are_told_as_the_run_tells_them_in_one_batch(ask, runs):
    texts = ["good film", "the awful plot", "fine"]

    async def together(client):
        bodies = [{"model": f"{name}-cdvft", "inputs": texts} for name in ("films", "reviews")]
        return await asyncio.gather(*(client.post("/predict", json=one) for one in bodies))

    for name, answer in zip(("films", "reviews"), ask(together), strict=True):
        task, _ = load(runs[name])
        for found, wanted in zip(answer.json()["answers"], task.predict(texts), strict=True):
            assert found["label"] == wanted.label
            assert tuple(found["probabilities"].values()) == pytest.approx(wanted.probabilities, abs=1e-5)


def test_runs_on_numbers_of_other_units_answer_each_in_its_own(tmp_path, number_plan, number_rows):
    store = RunStore(tmp_path)
    found = []
    for factor in (1, 1000):
        plan = number_plan("cdvft", max_steps=4)
        data = plan.settings.data
        scale = {"label_mean": factor * data.label_mean, "label_deviation": factor * data.label_deviation}
        settings = plan.settings.model_copy(update={"data": data.model_copy(update=scale)})
        plan = dataclasses.replace(plan, settings=settings)
        (record,) = store.create([settings], None, f"times {factor}", "1:1")
        found.append(finished(store, record, plan, number_rows))
    models = serve_runs(found)
    for run_of, (shared, one) in zip(found, [(m, one) for m in models for one in m.served], strict=True):
        (answer,) = shared.predict([(one, "a good film")])
        assert answer.value == pytest.approx(load(run_of)[0].predict(["a good film"])[0].value, rel=1e-4)
    store.close()


def test_pictures_are_told_by_their_bytes(ask):
    picture = base64.b64encode(made.picture(130)).decode()
    found = ask(posted("/predict", model="greys-cdvft", inputs=[picture])).json()["answers"]
    assert found[0]["label"] in ("dark", "grey", "bright")


def test_models_are_listed_and_found_by_the_beginning_of_their_id(ask, written, runs):
    listed = ask(lambda client: client.get("/v1/models")).json()
    assert [one["id"] for one in listed["data"]][:2] == ["first-cdvft", "second-cdvft"]
    assert written(model=runs["second"].record.id[:8], max_tokens=2)["model"] == "second-cdvft"


def test_one_model_is_told_and_what_is_not_there_is_said_as_openais_clients_read_it(ask):
    told = ask(lambda client: client.get("/v1/models/second-cdvft"))
    assert (told.status_code, told.json()["id"], told.json()["object"]) == (200, "second-cdvft", "model")
    for method, path, status in (
        ("get", "/v1/models/none", 404), ("post", "/v1/embeddings", 404), ("get", "/predict", 405),
    ):  # fmt: skip
        answer = ask(lambda client, method=method, path=path: client.request(method, path))
        assert answer.status_code == status
        assert {*answer.json()["error"]} == {"message", "type", "param", "code"}
        assert path != "/v1/models/none" or answer.json()["error"]["code"] == "model_not_found"
    assert "POST /v1/chat/completions" in answer.json()["error"]["message"]


@pytest.mark.parametrize(
    ("path", "body", "status", "why"),
    [
        (CHAT, {"model": "none", "messages": SAID}, 404, "first-cdvft, second-cdvft"),
        (CHAT, {"model": "films-cdvft", "messages": SAID}, 400, "ask /predict"),
        ("/predict", {"model": "first-cdvft", "inputs": ["a"]}, 400, "ask /v1/chat/completions"),
        (CHAT, {"model": "first-cdvft"}, 400, "messages: give a list"),
        (CHAT, {"model": "first-cdvft", "messages": [{"role": "x", "content": "a"}]}, 400, "role"),
        (CHAT, {**WRITES, "n": 2}, 400, "one answer"),
        (CHAT, {**WRITES, "top_p": 0.5}, 400, "top_p"),
        (CHAT, {**WRITES, "functions": [{"name": "f"}]}, 400, 'functions: [{"name": "f"}] is not supported'),
        (CHAT, {**WRITES, "reasoning_effort": "high"}, 400, "reasoning_effort"),
        (CHAT, {**WRITES, "temperature": 9}, 400, "from 0 to 2"),
        (CHAT, {**WRITES, "max_tokens": "x"}, 400, "max_tokens"),
        (CHAT, {**WRITES, "stream": True, "stream_options": [1]}, 400, "stream_options"),
        (CHAT, {**WRITES, "messages": SAID * 3000}, 400, "Shorten them"),
        ("/predict", {"model": "films-cdvft", "inputs": []}, 400, "inputs: give a list"),
        ("/predict", {"model": "films-cdvft", "inputs": [["a", "b"]]}, 400, "each is a text"),
        ("/predict", {"model": "films-cdvft", "inputs": [" "]}, 400, "Text 1 is empty"),
        ("/predict", {"model": "greys-cdvft", "inputs": ["no picture"]}, 400, "base64"),
    ],
)
def test_what_cannot_be_answered_is_said_as_openais_clients_read_it(ask, path, body, status, why):
    """An agent shortens what it sends, and a router asks another server, by the code alone."""
    answer = ask(posted(path, **body))
    assert answer.status_code == status
    error = answer.json()["error"]
    assert why in error["message"] and {*error} == {"message", "type", "param", "code"}
    codes = {"Shorten them": "context_length_exceeded"} if status == 400 else {why: "model_not_found"}
    assert error["code"] == codes.get(why)
    assert error["param"] == "stream_options" or why != "stream_options"


def test_a_body_that_is_no_json_is_refused(ask):
    answer = ask(lambda client: client.post("/predict", content=b"[1, 2"))
    assert answer.status_code == 400 and "no JSON object" in answer.json()["error"]["message"]


def test_a_key_is_required_where_one_is_set(ask):
    refused = ask(lambda client: client.get("/v1/models"), key="secret")
    assert (refused.status_code, refused.json()["error"]["code"]) == (401, "invalid_api_key")
    assert ask(posted(CHAT, **WRITES), key="secret").json()["error"]["code"] == "invalid_api_key"
    headers = {"authorization": "Bearer secret"}
    assert ask(lambda client: client.get("/v1/models", headers=headers), key="secret").status_code == 200


def test_one_request_that_fails_leaves_the_next_alone(ask, monkeypatch):
    usual = SharedModel.predict

    def failing(self, asked):
        if any(text == "fail" for _, text in asked):
            raise RuntimeError("no")
        return usual(self, asked)

    monkeypatch.setattr(SharedModel, "predict", failing)

    async def one_after_the_other(client):
        bodies = [{"model": "films-cdvft", "inputs": [text]} for text in ("fail", "good")]
        return [await client.post("/predict", json=one) for one in bodies]

    failed, fine = ask(one_after_the_other)
    assert (failed.status_code, fine.status_code) == (500, 200)
    assert "its log says what" in failed.json()["error"]["message"]
    assert failed.json()["error"]["type"] == "server_error"


@pytest.mark.parametrize(("key", "why"), [("", ""), ("secret", "12 characters")])
def test_others_reach_it_with_a_key_alone_that_is_not_soon_guessed(command, home, monkeypatch, key, why):
    monkeypatch.setenv("CDVFT_SERVE_KEY", key)
    code, _, error = command("serve", home[1]["text"], "--host", "0.0.0.0")
    assert code == INVALID and "CDVFT_SERVE_KEY" in error and why in error
