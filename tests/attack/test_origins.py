"""What pages of other sites can make a visitor's browser send, with the visitor's cookies, is not done."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from types import SimpleNamespace

import pytest
from in_process_server import PublicServer, public_server

from cdvft_app.public.origins import SameOrigin, page_token, refusal
from cdvft_app.settings.environment import environment

FOREIGN = "https://evil.example.org"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PublicServer]:
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("logins")
        (folder / "logins").touch(mode=0o600)
        (folder / "logins").write_text("ada:lovelace\n")
        patch.delenv("SPACE_ID", raising=False)
        patch.setenv("CDVFT_PUBLIC", "1")
        patch.setenv("CDVFT_LOGINS", str(folder / "logins"))
        patch.setenv("CDVFT_HOSTS", "studio.example.org")
        with public_server(tmp_path_factory.mktemp("runs")) as made:
            answer = made.http.post("/login", data={"username": "ada", "password": "lovelace"})
            assert answer.status_code == 200
            cookies = {cookie.name: cookie.value for cookie in made.http.cookies.jar}
            made.http.cookies.clear()
            # A browser would send the one or the other; both are set, so that no test passes for want of one.
            made.http.headers["cookie"] = "; ".join(f"{name}={value}" for name, value in cookies.items())
            yield made


def runs(server: PublicServer) -> int:
    return len(server.store.history())


def test_a_race_of_its_own_page_and_of_programs_is_started(server: PublicServer) -> None:
    before = runs(server)
    for headers in (
        {},
        {"origin": server.url},
        {"origin": "https://studio.example.org", "host": "studio.example.org"},
        {"origin": "https://studio.example.org:8443", "x-forwarded-host": "studio.example.org:8443"},
        {"sec-fetch-site": "same-origin"},
        {"sec-fetch-site": "none"},
    ):
        ok, said = server.call("start", {"methods": ["cdvft"], "max_steps": 3}, False, **headers)
        assert ok, (headers, said)
        server.store.ask_to_stop(said["run_ids"][0])
    assert runs(server) == before + 6


def strangers(server: PublicServer) -> list[dict[str, str]]:
    own = {"host": "studio.example.org"}
    return [
        {"origin": FOREIGN},
        {"origin": "null"},
        {"origin": ""},
        {"origin": f"http://127.0.0.1:{server.port + 1}"},
        {"origin": f"http://localhost:{server.port}"},
        {"origin": f"{server.url}.example.org"},
        {"origin": f"http://127.0.0.1:{server.port}@evil.example.org"},
        {"origin": "https://sub.studio.example.org", **own},
        {"origin": "https://example.org", **own},
        {"origin": "https://studio.example.org:8443", **own},
        {"origin": FOREIGN, "x-forwarded-host": "evil.example.org"},
        {"sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors"},
        {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"},
        {"sec-fetch-site": "same-site", "sec-fetch-mode": "cors"},
    ]


@pytest.mark.parametrize("number", range(14))
def test_no_page_of_another_origin_starts_a_race(server: PublicServer, number: int) -> None:
    before = runs(server)
    answer = server.start(**strangers(server)[number])
    assert answer.status_code == 403
    assert "this request came from" in answer.text or "does not answer to the name" in answer.text
    assert runs(server) == before
    assert not [name for name in answer.headers if name.startswith("access-control-")]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "call/start"),
        ("POST", "call/v2/start"),
        ("POST", "call/stop"),
        ("POST", "run/predict"),
        ("POST", "api/start"),
        ("POST", "queue/join"),
        ("POST", "upload"),
        ("POST", "component_server"),
        ("POST", "cancel"),
        ("POST", "reset"),
        ("POST", "stream/some"),
        ("POST", "mcp/"),
        ("PUT", "mcp/"),
        ("DELETE", "mcp/"),
        ("GET", "queue/data?session_hash=other"),
        ("GET", "call/start/event"),
        ("GET", "heartbeat/other"),
        ("GET", "token"),
        ("GET", "user"),
        ("GET", "info"),
        ("GET", "upload_progress?upload_id=other"),
        ("GET", "file=secret"),
        ("GET", "../config"),
        ("GET", "../logout"),
        ("POST", "../login"),
    ],
)
@pytest.mark.parametrize("said", ["origin", "fetch"])
def test_nothing_that_changes_or_tells_is_asked_by_another_site(server, method, path, said) -> None:
    address = f"{server.url}/gradio_api/{path}".replace("gradio_api/../", "")
    headers = (
        {"origin": FOREIGN}
        if said == "origin"
        else {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"}
    )
    with server.http.stream(method, address, headers=headers) as answer:
        assert answer.status_code == 403, answer.status_code
        assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize("origin", [FOREIGN, "null"])
def test_a_browser_that_asks_beforehand_is_told_no(server: PublicServer, origin: str) -> None:
    asked = {
        "origin": origin,
        "access-control-request-method": "POST",
        "access-control-request-headers": "x-any",
    }
    answer = server.http.options("/gradio_api/call/start", headers=asked)
    assert answer.status_code == 403
    assert not [name for name in answer.headers if name.startswith("access-control-")]


def test_another_site_may_link_to_the_page_and_embed_it(server: PublicServer) -> None:
    for kind in ("document", "iframe"):
        opened = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": kind}
        assert server.http.get("/?tab=learn", headers=opened).status_code == 200


def test_logins_are_cookies_that_no_other_site_sends(server: PublicServer) -> None:
    answer = server.http.post(
        "/login", data={"username": "ada", "password": "lovelace"}, headers={"origin": server.url}
    )
    cookies = answer.headers.get_list("set-cookie")
    assert len(cookies) == 2
    for cookie in cookies:
        assert cookie.lower().count("samesite=") == 1 and "samesite=lax" in cookie.lower(), cookie
        assert "httponly" in cookie.lower()


def scope(
    method: str = "POST",
    path: str = "/gradio_api/call/start",
    kind: str = "http",
    scheme: str = "http",
    **headers,
):
    pairs = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    blocks = SimpleNamespace(share_url=None)
    app = SimpleNamespace(get_blocks=lambda: blocks)
    return {"type": kind, "method": method, "path": path, "scheme": scheme, "headers": pairs, "app": app}


def test_a_page_that_came_without_tls_does_not_ask_one_with_it(monkeypatch) -> None:
    monkeypatch.delenv("SPACE_ID", raising=False)
    asked = {"host": "studio.example.org", "origin": "http://studio.example.org"}
    assert refusal(scope(**asked, scheme="https"), environment())
    assert (
        refusal(scope(**asked | {"origin": "https://studio.example.org"}, scheme="https"), environment())
        is None
    )


@pytest.mark.parametrize("origin", [FOREIGN, "null"])
def test_no_other_site_opens_a_websocket(origin: str) -> None:
    heard = []

    async def app(*_):
        heard.append("opened")

    async def send(message):
        heard.append(message["type"])

    asked = scope(kind="websocket", scheme="ws", host="127.0.0.1", origin=origin) | {
        "extensions": {"websocket.http.response": {}}
    }
    asyncio.run(SameOrigin(app)(asked, None, send))  # type: ignore[arg-type]
    assert heard == ["websocket.http.response.start", "websocket.http.response.body"]


SPACE = "you-cdvft-studio.hf.space"


@pytest.fixture
def space(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPACE_ID", "you/cdvft-studio")
    monkeypatch.setenv("SPACE_HOST", f"{SPACE},studio.example.org")
    monkeypatch.setenv("OAUTH_CLIENT_SECRET", "the secret of this Space")


@pytest.mark.parametrize("cookie", ["session=signed", "access-token-abc=t", "access-token-unsecure-abc=t"])
def test_in_a_spaces_frame_the_page_is_answered_and_its_parent_is_not(space: None, cookie: str) -> None:
    asked = {"host": SPACE, "cookie": f"other=1; {cookie}", "referer": "https://huggingface.co/"}
    for own in (
        {"origin": f"https://{SPACE}"},
        {"origin": "https://studio.example.org"},
        {"sec_fetch_site": "same-origin"},
        {"x_cdvft_page": page_token(environment())},
    ):
        assert refusal(scope(**asked, **own), environment()) is None, own
    for other in (
        {"origin": "https://huggingface.co"},
        {"origin": "https://evil-studio.hf.space"},
        {"origin": "https://huggingface.co", "x_cdvft_page": page_token(environment())},
        {"sec_fetch_site": "cross-site", "sec_fetch_mode": "cors"},
        {"sec_fetch_site": "same-site", "sec_fetch_mode": "no-cors"},
        {},
        {"x_cdvft_page": "guessed"},
    ):
        for method, path in (
            ("POST", "/gradio_api/queue/join"),
            ("GET", "/gradio_api/queue/data"),
            ("GET", "/logout"),
        ):
            assert refusal(scope(method, path, **asked, **other), environment()), (method, other)


def test_a_space_is_opened_in_its_frame_and_after_a_login(space: None) -> None:
    opened = {
        "host": SPACE,
        "cookie": "session=signed",
        "sec_fetch_site": "cross-site",
        "sec_fetch_mode": "navigate",
    }
    for path in ("/", "/login/huggingface", "/login/callback"):
        assert refusal(scope("GET", path, **opened), environment()) is None
    assert (
        refusal(scope("POST", "/gradio_api/call/start", host=SPACE), environment()) is None
    )  # a program, without a login
