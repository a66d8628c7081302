"""What keeps the gateway from starting: one sentence each, and whether systemd may try again."""

from __future__ import annotations

import logging
import os
import signal
import socket
import threading
from pathlib import Path
from typing import Any

import pytest
import yaml

from ishowtts.cli.main import main
from ishowtts_gateway import gateway_app
from ishowtts_gateway.gateway_app import page_address
from support.prometheus import free_port
from support.waiting import eventually


def start(folder: Path, http: dict[str, Any], **gateway: Any) -> int:
    """The exit status of `ishowtts gateway`."""
    config = folder / "config.yaml"
    settings = {
        "device": {"name": "test"},
        "mqtt": {"port": 1},
        "gateway": {"http": http, **gateway},
        "state_dir": str(folder),
    }
    config.write_text(yaml.safe_dump(settings))
    return main(["gateway", "--config", str(config)])


@pytest.mark.parametrize(
    ("http", "expected"),
    [
        ({"listen": "0.0.0.0:28770"}, (2, "which other machines can reach: set token_file")),
        ({"token_file": "/nowhere/token"}, (1, "create /nowhere/token, or fix gateway.http.token_file")),
        ({"tls": {"cert": "/nowhere/cert", "key": "/nowhere/key"}}, (1, "/nowhere/cert cannot be read")),
        ({"tls": {"cert": "/nowhere/cert"}}, (2, "cert and key belong together")),
        ({"listen": "192.0.2.200:28770", "token_file": "{token}"}, (1, "not an address of this machine")),
        ({"listen": "localhost:{taken}"}, (1, "is taken by another program")),
    ],
)
def test_a_fault_is_one_sentence_and_a_status(
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
    http: dict[str, Any],
    expected: tuple[int, str],
) -> None:
    status, says = expected
    token = tmp_path / "token"
    token.touch(0o600)
    token.write_text("0123456789abcdef")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        places = {"token": token, "taken": taken.getsockname()[1]}
        named = {key: value.format(**places) if isinstance(value, str) else value for key, value in http.items()}
        assert start(tmp_path, named) == status
    told = caplog.text + capsys.readouterr().err
    assert says in told
    assert "Traceback" not in told


@pytest.mark.parametrize(
    ("listen", "expected"),
    [
        ("0.0.0.0:10200", (2, "Wyoming has no passwords, so name one address or one network interface")),
        ("no-such-0:10200", (1, "this machine has neither a network interface nor an address no-such-0")),
        ("[::0]:10200", (2, "is every address of this machine")),
    ],
)
def test_a_fault_of_wyoming_is_one_sentence_and_a_status(
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
    listen: str,
    expected: tuple[int, str],
) -> None:
    status, says = expected
    assert start(tmp_path, {"listen": f"127.0.0.1:{free_port()}"}, wyoming={"listen": listen}) == status
    told = caplog.text + capsys.readouterr().err
    assert says in told
    assert "Traceback" not in told


def test_it_starts_without_a_broker_warns_of_plain_http_and_ends_at_sigterm_and_not_at_sighup(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.INFO)
    monkeypatch.setattr(gateway_app, "has_terminal", lambda: False)
    token = tmp_path / "token"
    token.touch(0o600)
    token.write_text("0123456789abcdef")
    with socket.create_server(("0.0.0.0", 0)) as probe:
        port = probe.getsockname()[1]

    told = b""

    def end() -> None:
        nonlocal told
        eventually(lambda: "the page is at" in caplog.text and answers(port), "the gateway")
        os.kill(os.getpid(), signal.SIGHUP)
        eventually(lambda: "SIGHUP is ignored: the gateway reads" in caplog.text, "a word on SIGHUP")
        with socket.create_connection(("127.0.0.1", port), timeout=20) as stream:
            stream.sendall(b"GET /api/stream HTTP/1.1\r\nHost: localhost\r\n")
            stream.sendall(b"Authorization: Bearer 0123456789abcdef\r\n\r\n")
            told = stream.recv(65_536)
            os.kill(os.getpid(), signal.SIGTERM)
            while part := stream.recv(65_536):
                told += part

    ending = threading.Thread(target=end, name="end")
    ending.start()
    assert start(tmp_path, {"listen": f"0.0.0.0:{port}", "token_file": str(token)}) == 0
    ending.join()
    assert told.startswith(b"HTTP/1.1 200 ")
    assert told.endswith(b"\r\n0\r\n\r\n")  # whole, so the page knows that the gateway has stopped
    assert f"0.0.0.0:{port} has no TLS: others on the network can read the token" in caplog.text
    assert f"http://{socket.gethostname()}:{port}/" in caplog.text


def answers(port: int) -> bool:
    with socket.create_connection(("127.0.0.1", port), timeout=20) as client:
        client.sendall(b"GET /health HTTP/1.0\r\nHost: localhost\r\n\r\n")
        return client.recv(100).startswith(b"HTTP/1.1 200 ")


def test_the_address_of_the_page() -> None:
    assert page_address("127.0.0.1:8770", tls=False) == "http://127.0.0.1:8770/"
    assert page_address("[::1]:8770", tls=True) == "https://[::1]:8770/"
    assert page_address("[::]:8770", tls=True).startswith(f"https://{socket.gethostname()}:8770/, and at every")
