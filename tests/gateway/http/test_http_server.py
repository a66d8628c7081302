"""Sockets, TLS, limits of connections, and the end of the server."""

from __future__ import annotations

import http.client
import json
import socket
import ssl
import struct
import time
from collections.abc import Iterator

import pytest

from ishowtts.errors import ConfigError, FatalError
from ishowtts_gateway.http import http_server
from ishowtts_gateway.http.http_security import AccessRules
from ishowtts_gateway.http.http_server import bind
from ishowtts_gateway.http.tls_certificate import TlsCertificate
from support.certificates import Authority
from support.served_app import ServedApp, bind_free
from support.waiting import eventually

STREAM = b"GET /api/stream HTTP/1.1\r\nHost: localhost\r\n\r\n"


def test_a_port_that_is_taken_is_one_sentence() -> None:
    (listener,) = bind_free("127.0.0.1")
    with listener:
        with pytest.raises(FatalError, match="is taken by another program; choose another port") as refused:
            bind(f"127.0.0.1:{listener.getsockname()[1]}")
        assert not isinstance(refused.value, ConfigError)  # it may pass, so systemd tries again


@pytest.mark.parametrize(
    ("listen", "says"),
    [("192.0.2.1:28770", "not an address of this machine"), ("no-such-host.invalid:28770", "has no address")],
)
def test_an_address_that_this_machine_lacks_is_one_sentence(listen: str, says: str) -> None:
    with pytest.raises(FatalError, match=says):
        bind(listen)


@pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="this machine has no IPv6")
def test_ipv6() -> None:
    with ServedApp(host="::1") as app:
        assert app.get("/health").status == 200
    with ServedApp(host="::") as app:
        app.host = "127.0.0.1"  # `[::]` is every address, also of IPv4
        assert app.get("/health").status == 200


def tls_client(app: ServedApp, authority: Authority) -> http.client.HTTPSConnection:
    context = ssl.create_default_context(cafile=authority.ca)
    return http.client.HTTPSConnection("127.0.0.1", app.port, timeout=20, context=context)


@pytest.fixture(scope="module")
def secure(authority: Authority) -> Iterator[ServedApp]:
    tls = TlsCertificate(authority.cert("page"), authority.key("page"))
    with ServedApp(AccessRules(frozenset({"localhost"}), "0123456789abcdef", tls=True), tls) as app:
        yield app


def test_https(secure: ServedApp, authority: Authority) -> None:
    client = tls_client(secure, authority)
    body = json.dumps({"token": "0123456789abcdef"})
    client.request("POST", "/api/session", body, {"Content-Type": "application/json"})
    reply = client.getresponse()
    assert reply.status == 200
    cookie = reply.headers["Set-Cookie"]
    assert cookie.startswith("__Host-ishowtts-8770=")
    assert cookie.endswith("; Secure")
    reply.read()
    for scheme, status in (("https", 200), ("http", 403)):  # a page without TLS is another site
        headers = {"Cookie": cookie.partition(";")[0], "Origin": f"{scheme}://127.0.0.1:{secure.port}"}
        client.request("GET", "/api/devices", headers=headers)
        reply = client.getresponse()
        assert (reply.status, bool(reply.read())) == (status, True)
    client.close()


def test_what_is_not_tls_ends_quietly(
    secure: ServedApp, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    for sent in (b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", b"\x16\x03\x01\x00\x05hello", bytes(500)):
        with secure.raw(sent) as client:
            try:
                while client.recv(65_536):
                    pass
            except ConnectionResetError:
                pass
    secure.open_connections(0)
    monkeypatch.setattr(http_server, "_HANDSHAKE_S", 0.2)
    with secure.raw() as client:
        assert client.recv(1) == b""  # no handshake came
    secure.open_connections(0)
    old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    old.check_hostname, old.verify_mode = False, ssl.CERT_NONE
    old.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        old.minimum_version = old.maximum_version = ssl.TLSVersion.TLSv1_1
    with secure.raw() as client, pytest.raises((ssl.SSLError, ConnectionResetError)):
        old.wrap_socket(client)
    assert caplog.text == ""


def test_connections_beyond_the_limit_are_closed(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(http_server, "MAX_CONNECTIONS", 5)
    with ServedApp() as app:
        taken = [app.raw() for _ in range(5)]
        app.open_connections(5)
        for _ in range(20):
            with app.raw() as client:
                assert client.recv(1) == b""
        assert caplog.text.count("5 connections are open: further ones are closed") == 1
        taken.pop().close()
        app.open_connections(4)
        assert app.get("/health").status == 200
        for client in taken:
            client.close()


def test_connections_that_are_opened_too_fast_are_closed(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(http_server, "_ALL_NEW_AT_ONCE", 3)
    monkeypatch.setattr(http_server, "_ALL_NEW_PER_S", 1e-6)
    with ServedApp() as app:
        for _ in range(3):
            assert app.get("/health").status == 200
        for _ in range(5):
            with app.raw() as client:
                assert client.recv(1) == b""
    assert caplog.text.count("connections are opened too fast") == 1


def test_the_end_waits_neither_for_streams_nor_for_clients_that_hang() -> None:
    app = ServedApp()
    with app:
        stream, half, silent = app.raw(STREAM), app.raw(b"GET / HTTP"), app.raw()
        stream.recv(65_536)
        app.open_connections(3)
        started_s = time.monotonic()
    assert time.monotonic() - started_s < 4
    received = b""
    while part := stream.recv(65_536):
        received += part
    assert received.endswith(b"0\r\n\r\n")  # a whole response: the page knows that the gateway has stopped
    for client in (stream, half, silent):
        client.close()


def test_a_client_that_resets_its_connection_is_forgotten() -> None:
    with ServedApp() as app:
        clients = [app.raw(sent) for sent in (b"", b"GET / HT", STREAM)]
        app.open_connections(3)
        for client in clients:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            client.close()
        app.open_connections(0)
        eventually(lambda: not app.server._state.tasks, "the end of the streams")
