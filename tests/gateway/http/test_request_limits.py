"""Rates and sizes of requests, with a server on a socket where it matters."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from ishowtts_gateway.http import http_connection, http_security, http_server
from ishowtts_gateway.http.request_limits import LOOPBACK, TokenBuckets, address_group
from support.served_app import ServedApp
from support.waiting import eventually

HEAD = b"POST /api/session HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"


@pytest.fixture(scope="module")
def app() -> Iterator[ServedApp]:
    with ServedApp() as served:
        yield served


@pytest.mark.parametrize(
    ("address", "group"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("127.5.5.5", LOOPBACK),
        ("::1", LOOPBACK),
        ("::ffff:127.0.0.1", LOOPBACK),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
    ],
)
def test_addresses_are_counted_by_who_has_them(address: str, group: str) -> None:
    assert address_group(address) == group


def test_a_bucket_fills_again() -> None:
    now_s = 0.0
    buckets = TokenBuckets(1, 2, 10, 100, lambda: now_s)
    for _ in range(2):
        assert buckets.wait_s("a") == 0
        buckets.take("a")
    assert buckets.wait_s("a") == 1
    assert buckets.wait_s("b") == 0
    now_s = 1.0
    assert buckets.wait_s("a") == 0
    now_s = 1000.0
    buckets.take("a")
    assert buckets.wait_s("a") == 0


def test_buckets_of_many_addresses_are_bounded() -> None:
    buckets = TokenBuckets(1, 1, 1e9, 10**9, lambda: 0.0)
    for number in range(5000):
        buckets.take(str(number))
    assert len(buckets._buckets) == 1024


def sent_until_refused(app: ServedApp, head: bytes, block: bytes) -> tuple[int, bytes]:
    """How many bytes of a body the server takes, and its answer."""
    sent = 0
    with app.raw(head) as client:
        try:
            while sent < 1_000_000_000:
                client.sendall(block)
                sent += len(block)
        except OSError:
            pass
        try:
            return sent, client.recv(65_536)
        except ConnectionResetError:
            return sent, b""


def test_a_body_of_a_gigabyte_is_refused_after_a_part_of_it(app: ServedApp) -> None:
    length = HEAD + b"Content-Length: 1000000000\r\n\r\n"
    chunked = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
    for head, block in ((length, bytes(65_536)), (chunked, b"10000\r\n" + bytes(65_536) + b"\r\n")):
        sent, answer = sent_until_refused(app, head, block)
        assert sent < 200_000_000
        assert answer.startswith((b"HTTP/1.1 413 ", b""))


def test_a_body_that_is_a_little_too_large_gets_an_answer(app: ServedApp) -> None:
    for body in (bytes(200_000), bytes(5_000_000)):
        reply = app.ask("POST", "/api/session", {"Content-Type": "application/json"}, body)
        assert (reply.status, reply.headers["connection"]) == (413, "close")
        assert "131,072 bytes" in reply.error


def test_a_client_that_waits_for_the_go_ahead_is_refused_without_its_body(app: ServedApp) -> None:
    with app.raw(HEAD + b"Expect: 100-continue\r\nContent-Length: 1000000000\r\n\r\n") as client:
        assert client.recv(65_536).startswith(b"HTTP/1.1 413 ")


def test_a_body_that_nobody_reads_ends_the_connection(app: ServedApp) -> None:
    reply = app.ask("POST", "/nowhere", {}, bytes(1_000_000))
    assert (reply.status, reply.headers["connection"]) == (404, "close")
    assert "connection" not in app.get("/nowhere").headers


def test_a_request_with_two_lengths_is_refused(app: ServedApp) -> None:
    with app.raw(HEAD + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n") as client:
        assert b"not both" in _read_to_end(client)


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"", "not JSON"),
        (b"{", "not JSON"),
        (b"\xff", "not UTF-8"),
        (b"[" * 100_000, "nested too deeply"),
        (b'{"a": NaN}', "NaN"),
        (b"9" * 10_000, "too many digits"),
        (b'{"token": 1, "token": 2}', "twice"),
    ],
)
def test_a_body_that_is_not_json_is_one_sentence(app: ServedApp, body: bytes, says: str) -> None:
    reply = app.ask("POST", "/api/session", {"Content-Type": "application/json; charset=utf-8"}, body)
    assert (reply.status, says in reply.error) == (400, True)


def test_slow_clients_lose_their_connections(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_connection, "_HEADERS_S", 0.2)
    monkeypatch.setattr(http_server, "_KEEP_ALIVE_S", 0.2)
    monkeypatch.setattr(http_security, "_JSON_S", 0.2)
    with ServedApp() as app:
        clients = {
            "sends nothing": app.raw(),
            "sends half of its headers": app.raw(b"GET / HTTP/1.1\r\nHost: local"),
            "sends half of its second request": app.raw(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\nGET"),
            "sends half of its body": app.raw(HEAD + b"Content-Length: 20\r\n\r\n{"),
        }
        kept = app.raw(b"GET /api/stream HTTP/1.1\r\nHost: localhost\r\n\r\n")
        eventually(lambda: app.server.connections == 1, "the end of all slow connections")
        answers = {name: _read_to_end(client) for name, client in clients.items()}
        assert answers["sends half of its body"].startswith(b"HTTP/1.1 408 ")
        assert answers["sends half of its headers"] == b""
        kept.close()
        app.open_connections(0)


def test_a_reader_that_never_reads_loses_its_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_connection, "_WRITE_S", 0.3)
    with ServedApp() as app, app.raw() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.sendall(b"GET /api/stream HTTP/1.1\r\nHost: localhost\r\n\r\n")
        app.open_connections(1)

        def tell() -> bool:
            detail = "x" * 100_000
            app.run(lambda: app.directory.set_broker(False, detail))
            return app.server.connections == 0

        eventually(tell, "the end of the connection")


def _read_to_end(client: socket.socket) -> bytes:
    received = b""
    with client:
        try:
            while part := client.recv(65_536):
                received += part
        except ConnectionResetError:
            pass
    return received
