"""What pages of other sites can make a visitor's browser send, with the visitor's cookies, is not done."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from types import SimpleNamespace

import httpx
import pytest
from in_process_server import PublicServer, public_server

from cdvft_app.public.origins import SameOrigin, page_token, refusal
from cdvft_app.settings.environment import environment

FOREIGN = "https://evil.example.org"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PublicServer]:
    file = tmp_path_factory.mktemp("logins") / "logins"
    file.touch(mode=0o600)
    file.write_text("ada:lovelace\n")
    hosts = {"CDVFT_HOSTS": "studio.example.org", "CDVFT_LOGINS": str(file)}
    with public_server(**hosts) as made:
        assert login(made).status_code == 200
        cookies = {cookie.name: cookie.value for cookie in made.http.cookies.jar}
        made.http.cookies.clear()
        # A browser would send the one or the other; both are set, so that no test passes for want of one.
        made.http.headers["cookie"] = "; ".join(f"{name}={value}" for name, value in cookies.items())
        yield made


def login(server: PublicServer) -> httpx.Response:
    ada = {"username": "ada", "password": "lovelace"}
    return server.http.post("/login", data=ada, headers={"origin": server.url})


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


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": FOREIGN},
        {"origin": "null"},
        {"origin": ""},
        {"origin": "http://127.0.0.1:{another}"},
        {"origin": "http://localhost:{port}"},
        {"origin": "http://127.0.0.1:{port}.example.org"},
        {"origin": "http://127.0.0.1:{port}@evil.example.org"},
        {"origin": "https://sub.studio.example.org", "host": "studio.example.org"},
        {"origin": "https://example.org", "host": "studio.example.org"},
        {"origin": "https://studio.example.org:8443", "host": "studio.example.org"},
        {"origin": FOREIGN, "x-forwarded-host": "evil.example.org"},
        {"sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors"},
        {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"},
        {"sec-fetch-site": "same-site", "sec-fetch-mode": "cors"},
    ],
)
def test_no_page_of_another_origin_starts_a_race(server: PublicServer, headers: dict[str, str]) -> None:
    before = runs(server)
    ports = {"port": server.port, "another": server.port + 1}
    race = {"data": [{"methods": ["cdvft"], "max_steps": 3}, False]}
    sent = {name: value.format(**ports) for name, value in headers.items()}
    answer = server.http.post("/gradio_api/call/start", json=race, headers=sent)
    assert answer.status_code == 403
    assert "this request came from" in answer.text or "does not answer to the name" in answer.text
    assert runs(server) == before
    assert not [name for name in answer.headers if name.startswith("access-control-")]


CHANGES_OR_TELLS = {
    "POST": """call/start call/v2/start call/stop run/predict api/start queue/join upload component_server
        cancel reset stream/some mcp/ ../login""",
    "PUT": "mcp/",
    "DELETE": "mcp/",
    "GET": """queue/data?session_hash=other call/start/event heartbeat/other token user info file=secret
        upload_progress?upload_id=other ../config ../logout""",
}


@pytest.mark.parametrize(
    ("method", "path"),
    [(method, path) for method in CHANGES_OR_TELLS for path in CHANGES_OR_TELLS[method].split()],
)
@pytest.mark.parametrize(
    "headers", [{"origin": FOREIGN}, {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"}]
)
def test_nothing_that_changes_or_tells_is_asked_by_another_site(server, method, path, headers) -> None:
    address = f"{server.url}/gradio_api/{path}".replace("gradio_api/../", "")
    with server.http.stream(method, address, headers=headers) as answer:
        assert answer.status_code == 403, answer.status_code
        assert "access-control-allow-origin" not in answer.headers


def test_another_site_may_link_to_the_page_and_embed_it(server: PublicServer) -> None:
    for kind in ("document", "iframe"):
        opened = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": kind}
        assert server.http.get("/?tab=learn", headers=opened).status_code == 200


def test_logins_are_cookies_that_no_other_site_sends(server: PublicServer) -> None:
    cookies = login(server).headers.get_list("set-cookie")
    assert len(cookies) == 2
    for cookie in cookies:
        assert cookie.lower().count("samesite=") == 1 and "samesite=lax" in cookie.lower(), cookie
        assert "httponly" in cookie.lower()


def scope(method: str = "POST", path: str = "/gradio_api/call/start", scheme: str = "http", **headers: str):
    pairs = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    app = SimpleNamespace(get_blocks=lambda: SimpleNamespace(share_url=None))
    return {"type": "http", "method": method, "path": path, "scheme": scheme, "headers": pairs, "app": app}


@pytest.mark.parametrize("origin", [FOREIGN, "null"])
def test_no_other_site_opens_a_websocket(origin: str) -> None:
    heard = []

    async def app(*_):
        heard.append("opened")

    async def send(message):
        heard.append(message["type"])

    asked = scope(scheme="ws", host="127.0.0.1", origin=origin)
    asked |= {"type": "websocket", "extensions": {"websocket.http.response": {}}}
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
        for path in ("POST /gradio_api/queue/join", "GET /gradio_api/queue/data", "GET /logout"):
            assert refusal(scope(*path.split(), **asked, **other), environment()), (path, other)


def test_a_space_is_opened_in_its_frame_and_after_a_login(space: None) -> None:
    by_a_link = {"sec_fetch_site": "cross-site", "sec_fetch_mode": "navigate", "cookie": "session=signed"}
    for path in ("/", "/login/huggingface", "/login/callback"):
        assert refusal(scope("GET", path, host=SPACE, **by_a_link), environment()) is None
    assert refusal(scope(host=SPACE), environment()) is None  # a program, without a login
