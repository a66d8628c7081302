"""Which requests the gateway refuses, and the headers of its responses."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from ishowtts.config.gateway_section import GatewayHttpSection
from ishowtts_gateway import http_app
from ishowtts_gateway.gateway_error import GatewayError
from ishowtts_gateway.http.http_security import Access, AccessRules
from ishowtts_gateway.http.request_limits import client_of_proxy
from support.served_app import Reply, ServedApp

TOKEN = "0123456789abcdef0123"
JSON = {"Content-Type": "application/json"}


class NoRequests:
    """Fails for every request to an appliance that is let through."""

    def __getattr__(self, name: str) -> Any:
        async def refuse(*_: object, **__: object) -> None:
            raise AssertionError(f"{name} was let through")

        return refuse


@pytest.fixture(scope="module")
def app() -> Iterator[ServedApp]:
    rules = AccessRules(frozenset({"localhost", "kitchen.local"}))
    with ServedApp(rules, requests=NoRequests()) as served:
        yield served


@pytest.fixture(scope="module")
def guarded() -> Iterator[ServedApp]:
    with ServedApp(AccessRules(frozenset({"localhost"}), TOKEN)) as served:
        yield served


@pytest.mark.parametrize(
    ("host", "allowed"),
    [
        ("localhost", True),
        ("LOCALHOST:8770", True),
        ("localhost.", True),
        ("kitchen.local:443", True),
        ("192.168.7.9:8770", True),
        ("[::1]:8770", True),
        ("evil.example", False),
        ("localhost.evil.example", False),
        ("127.0.0.1.evil.example", False),
        ("2130706433", False),
        ("0x7f.1", False),
        ("localhost:evil", False),
        ("user@localhost", False),
        ("localhost/", False),
        ("[::1", False),
        ("", False),
    ],
)
def test_a_foreign_host_name_is_refused(app: ServedApp, host: str, allowed: bool) -> None:
    assert app.get("/health", {"Host": host}).status == (200 if allowed else 421)


def test_the_refusal_of_a_host_names_the_key(app: ServedApp) -> None:
    assert "gateway.http.allowed_hosts" in app.get("/", {"Host": "kitchen"}).error


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://localhost:3000"},
        {"Origin": "http://localhost.evil.example"},
        {"Origin": "chrome-extension://localhost"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"},
    ],
    ids=str,
)
def test_another_site_may_not_use_the_interface(app: ServedApp, headers: dict[str, str]) -> None:
    headers = {"Host": "localhost", **headers}
    assert app.post("/api/devices/kitchen/say", {"text": "Hi"}, headers).status == 403
    for path in ("/api/devices", "/api/stream", "/metrics"):
        assert app.get(path, headers).status == 403


def test_the_page_itself_may(app: ServedApp) -> None:
    own = {"Host": "localhost:8770", "Origin": "http://localhost:8770", "Sec-Fetch-Site": "same-origin"}
    assert app.get("/api/devices", own).status == 200
    # Behind a proxy with TLS.
    assert app.get("/api/devices", {"Host": "kitchen.local", "Origin": "https://kitchen.local"}).status == 200


def test_a_link_of_another_site_opens_the_page(app: ServedApp) -> None:
    follows = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
    assert app.get("/", follows).status in (200, 404)  # 404: without the page's files
    assert app.get("/api/devices", follows).status == 403


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""])
def test_a_form_is_not_a_request(app: ServedApp, kind: str) -> None:
    reply = app.ask("POST", "/api/devices/kitchen/say", {"Content-Type": kind}, b'{"text": "Hi"}')
    assert reply.status == 415
    assert "application/json" in reply.error


@pytest.mark.parametrize(
    "path",
    [
        "/static/../http_app.py",
        "/static/..%2fhttp_app.py",
        "/static/%2e%2e/http_app.py",
        "/static/%2e%2e%2fhttp_app.py",
        "/static/..%5chttp_app.py",
        "/static/..%c0%afhttp_app.py",
        "/static//etc/passwd",
        "/static/%00",
        "/static/login.html%00.js",
        "/static/",
        "/static/.",
        "/static/../api/devices",
        "//etc/passwd",
        "/api/devices/a%2fb",
        "/api/devices/..",
        "/api/devices/kitchen%2e",
        "/api/devices/kitchen/",
        "/api/devices/%ff",
    ],
)
def test_no_path_leaves_its_place(app: ServedApp, path: str) -> None:
    assert app.get(path).status == 404


def test_large_headers_are_refused_also_if_they_come_at_once(app: ServedApp) -> None:
    assert app.get("/health", {"X": "a" * 30_000}).status == 200
    for path, headers in (("/health", {"X": "a" * 40_000}), (f"/{'a' * 40_000}", {}), (f"/health?{'a' * 40_000}", {})):
        assert app.get(path, headers).status in (400, 431)
    assert app.get("/health", {f"X-{number}": "" for number in range(90)}).status == 200


def test_every_response_has_the_headers(app: ServedApp) -> None:
    for reply in (
        app.get("/health"),
        app.get("/nowhere"),
        app.get("/health", {"Host": "evil.example"}),
        app.ask("BREW", "/health"),
        app.ask("OPTIONS", "/health"),
        app.ask("HEAD", "/health"),
    ):
        assert "default-src 'none'; script-src 'self'; style-src 'self'" in reply.headers["content-security-policy"]
        assert "frame-ancestors 'none'" in reply.headers["content-security-policy"]
        assert "unsafe" not in reply.headers["content-security-policy"]
        assert reply.headers["x-content-type-options"] == "nosniff"
        assert reply.headers["referrer-policy"] == "no-referrer"
        assert reply.headers["permissions-policy"].startswith("microphone=(self)")
        assert reply.headers["cross-origin-resource-policy"] == "same-origin"
        assert reply.headers["cross-origin-opener-policy"] == "same-origin"
        assert reply.headers["cache-control"] == "no-store"
        assert "server" not in reply.headers
        assert "access-control-allow-origin" not in reply.headers


def test_methods(app: ServedApp) -> None:
    assert app.ask("BREW", "/health").status == 405
    assert set(app.ask("BREW", "/health").headers["allow"].split(", ")) == {"GET", "HEAD"}
    assert app.ask("PUT", "/health", {}, b"x").status == 405
    options = app.ask("OPTIONS", "/api/devices/kitchen/say")
    assert (options.status, options.headers["allow"]) == (204, "POST")
    for path in ("/health", "/api/stream", "/api/devices", "/metrics"):
        reply = app.ask("HEAD", path)
        assert (reply.status, reply.body) == (200, b"")


def test_head_of_the_stream_ends(app: ServedApp) -> None:
    head = b"HEAD /api/stream HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with app.raw(head + b"GET /nowhere HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n") as client:
        received = b""
        while part := client.recv(65_536):
            received += part
    assert [line[9:12] for line in received.split(b"\r\n") if line.startswith(b"HTTP/1.1 ")] == [b"200", b"404"]


def test_a_header_cannot_be_injected(app: ServedApp) -> None:
    reply = app.get("/%0d%0aSet-Cookie:%20a=b/")
    assert reply.status == 404
    assert "set-cookie" not in reply.headers
    with app.raw(b"GET /health HTTP/1.1\r\nHost: localhost\r\nX: a\rb\r\n\r\n") as client:
        assert client.recv(65_536).startswith(b"HTTP/1.1 400 ")


def signed_in(reply: Reply) -> dict[str, str]:
    return {"Cookie": reply.headers["set-cookie"].partition(";")[0]}


def test_with_a_token_only_the_login_is_public(guarded: ServedApp) -> None:
    for path in ("/api/devices", "/api/stream", "/metrics", "/ready", "/nowhere", "/api/devices/kitchen"):
        reply = guarded.get(path)
        assert (reply.status, reply.headers["www-authenticate"]) == (401, "Bearer")
    assert guarded.post("/api/devices/kitchen/say", {"text": "Hi"}).status == 401
    assert guarded.get("/health").status == 200
    front = guarded.get("/")
    assert (front.status, front.headers["location"]) == (303, "login")
    assert guarded.get("/login").status in (200, 404)
    assert guarded.get("/static/none.css").status == 404
    assert guarded.get("/api/devices", {"Authorization": f"Bearer {TOKEN}"}).status == 200
    assert guarded.get("/api/devices", {"Authorization": f"Basic {TOKEN}"}).status == 401


def test_a_session_begins_and_ends(guarded: ServedApp) -> None:
    assert guarded.get("/api/session").body == b'{"signed_in":false,"needs_token":true}'
    reply = guarded.post("/api/session", {"token": TOKEN})
    assert reply.status == 200
    name, _, rest = reply.headers["set-cookie"].partition("=")
    assert name == "ishowtts-8770"
    assert rest.partition("; ")[2] == "Path=/; HttpOnly; SameSite=Strict; Max-Age=2592000"
    cookie = signed_in(reply)
    assert guarded.get("/api/devices", cookie).status == 200
    assert guarded.get("/login", cookie).headers["location"] == "./"
    assert guarded.get("/api/session", cookie).body == b'{"signed_in":true,"needs_token":true}'
    assert guarded.get("/api/devices", {"Cookie": f"other=1; {cookie['Cookie']}; more"}).status == 200
    assert "Max-Age=0" in guarded.ask("DELETE", "/api/session").headers["set-cookie"]


def test_the_cookie_is_secure_behind_a_proxy_with_tls(guarded: ServedApp) -> None:
    reply = guarded.post("/api/session", {"token": TOKEN}, {"X-Forwarded-Proto": "https"})
    assert reply.headers["set-cookie"].endswith("; Secure")


@pytest.mark.parametrize("value", ["x", "1.2.3", "9" * 5000, "\u00ff", f"99999999999.{'0' * 32}.{'0' * 64}"])
def test_a_false_cookie_is_no_session(guarded: ServedApp, value: str) -> None:
    assert guarded.get("/api/devices", {"Cookie": f"ishowtts-8770={value}"}).status == 401


@pytest.mark.parametrize("body", [{"token": 5}, {"token": None}, {}, [], "x", {"token": ["a"]}])
def test_a_token_of_another_type_is_refused(guarded: ServedApp, body: object) -> None:
    assert guarded.post("/api/session", body).status == 400


def test_a_link_of_another_site_reaches_the_page_with_its_cookie(guarded: ServedApp) -> None:
    follows = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
    reply = guarded.get("/", follows)
    assert reply.status == 200
    assert b'http-equiv="refresh"' in reply.body


def test_a_token_in_the_address_is_refused_and_not_logged(guarded: ServedApp, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    for query in (f"token={TOKEN}", f"a=b&ToKeN={TOKEN}", f"access_token={TOKEN}", f"%74oken={TOKEN}", "token"):
        reply = guarded.get(f"/api/devices?{query}", {"Authorization": f"Bearer {TOKEN}"})
        assert (reply.status, TOKEN in reply.error) == (400, False)
        assert "Authorization: Bearer" in reply.error
    assert TOKEN not in caplog.text


def test_guesses_of_the_token_are_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    # A clock that stands still: on a busy machine, a guess would be free again before the last one.
    monkeypatch.setattr(http_app, "Access", partial(Access, now_s=lambda: 0.0))
    with ServedApp(AccessRules(frozenset({"localhost"}), TOKEN)) as served:
        cookie = signed_in(served.post("/api/session", {"token": TOKEN}))
        # From loopback only the limit of all clients holds: behind a proxy everybody has this address.
        replies = [served.post("/api/session", {"token": f"wrong {number}"}) for number in range(101)]
        assert [reply.status for reply in replies[:100]] == [401] * 100
        assert (replies[100].status, replies[100].headers["retry-after"]) == (429, "5")
        assert served.get("/api/devices", {"Authorization": f"Bearer {TOKEN}"}).status == 429
        assert served.get("/api/devices", cookie).status == 200


def refusals(access: Access, client: str, count: int) -> list[int]:
    """The statuses of the requests that are refused."""
    found = []
    scope = {"method": "GET", "path": "/health", "query_string": b"", "headers": [(b"host", b"localhost")]}
    for _ in range(count):
        try:
            access.check({**scope, "client": (client, 1)})
        except GatewayError as error:
            found.append(error.status)
    return found


def test_an_address_may_send_1000_requests_at_once_and_all_together_2000() -> None:
    now_s = 0.0
    access = Access(AccessRules(frozenset({"localhost"})), lambda: now_s)
    assert refusals(access, "192.0.2.1", 1010) == [429] * 10
    assert refusals(access, "127.0.0.1", 1010) == [429] * 10
    assert refusals(access, "192.0.2.2", 1) == [429]
    now_s = 1.0
    assert refusals(access, "192.0.2.1", 60) == [429] * 10
    assert refusals(access, "127.0.0.1", 160) == [429] * 10


def test_a_proxy_on_this_machine_names_the_client() -> None:
    def wrong(app: ServedApp, forwarded: str) -> int:
        return app.get("/api/devices", {"Authorization": "Bearer wrong", "X-Forwarded-For": forwarded}).status

    rules = AccessRules(frozenset({"localhost"}), TOKEN)
    with ServedApp(replace(rules, behind_proxy=True)) as behind, ServedApp(rules) as alone:
        assert [wrong(behind, f"198.51.100.{i}, 192.0.2.1") for i in range(11)] == [401] * 10 + [429]
        assert wrong(behind, "192.0.2.1, 192.0.2.2") == 401
        assert wrong(behind, "192.0.2.1, not an address") == 401  # of loopback
        assert {wrong(alone, "192.0.2.1") for _ in range(11)} == {401}


def test_only_this_machine_may_name_a_client() -> None:
    headers = [(b"x-forwarded-for", b"192.0.2.1"), (b"x-forwarded-for", b"192.0.2.2,2001:db8::1")]
    assert client_of_proxy({"client": ("127.0.0.1", 5), "headers": headers}) == ("2001:db8::1", 0)
    assert client_of_proxy({"client": ("192.0.2.9", 5), "headers": headers}) == ("192.0.2.9", 5)
    assert client_of_proxy({"client": ("127.0.0.1", 5), "headers": []}) == ("127.0.0.1", 5)


def test_the_rules_of_a_configuration() -> None:
    assert AccessRules.from_config(GatewayHttpSection(behind_proxy=True), None).behind_proxy
    local = AccessRules.from_config(GatewayHttpSection(allowed_hosts=["Kitchen.Local"]), None)
    assert local.host_names == {"localhost", "127.0.0.1", "kitchen.local"}
    assert local.cookie == "ishowtts-8770"
    section = {"listen": "0.0.0.0:9000", "token_file": "t", "tls": {"cert": "c", "key": "k"}}
    rules = AccessRules.from_config(GatewayHttpSection.model_validate(section), TOKEN)
    assert rules.cookie == "__Host-ishowtts-9000"
    assert any(name.endswith(".local") for name in rules.host_names)
    assert TOKEN not in repr(rules)
