"""`ishowtts gateway`: what ends it, and with which exit status and words."""

from __future__ import annotations

import json
import signal
import socket
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from ishowtts.cli.main import main
from support.broker import Broker
from support.client import Client
from support.gateway_process import GatewayProcess
from support.stream_readers import StreamReaders


@pytest.mark.parametrize(
    ("section", "status", "words"),
    [
        ({"mqtt": {"username": "me", "password_file": "/nonexistent/password"}}, 2, "gateway.mqtt.password_file"),
        ({"controls": "some"}, 2, "gateway.controls"),
        ({"http": {"listen": "127.0.0.1:{busy}"}}, 1, "gateway.http.listen"),
        ({"http": {"tls": {"cert": "/nonexistent/cert", "key": "/nonexistent/key"}}}, 2, "gateway.http.tls"),
    ],
    ids=["password", "value", "port", "certificate"],
)
def test_what_is_wrong_is_one_sentence(
    section: dict[str, object], status: int, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as busy:
        written = json.dumps({"gateway": section}).replace("{busy}", str(busy.getsockname()[1]))
        config = tmp_path / "config.yaml"
        config.write_text(written)
        assert main(["gateway", "--config", str(config)]) == status
    said = capsys.readouterr().err
    assert words in said
    assert "Traceback" not in said


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_within_5_s_whatever_is_open(
    how: signal.Signals, broker: Broker, mqtt_client: Client, tmp_path: Path
) -> None:
    mqtt_client.publish("ishowtts/test/availability", "online", retain=True)
    mqtt_client.subscribe("ishowtts/test/command")
    answers: list[object] = []

    def ask() -> None:
        request = urllib.request.Request(
            f"{gateway.url}/api/devices/test/command", b'{"command": "skip"}', {"Content-Type": "application/json"}
        )
        try:
            with urllib.request.urlopen(request, timeout=20) as answer:
                answers.append(answer.status)
        except (urllib.error.URLError, ConnectionError) as error:
            answers.append(error)

    with GatewayProcess(tmp_path, (broker.host, broker.port), {"devices": "test"}) as gateway:
        asking = threading.Thread(target=ask, name="asks")
        with StreamReaders(gateway.url, 3), socket.create_connection(("127.0.0.1", gateway.port)) as silent:
            silent.sendall(b"GET /api/stream HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")  # and never reads
            asking.start()
            mqtt_client.wait_for("ishowtts/test/command", lambda message: b"skip" in message.payload)
            broker.pause()
            began_s = time.monotonic()
            try:
                assert gateway.stop(how) == 0
            finally:
                broker.resume()
            assert time.monotonic() - began_s < 5
        asking.join(20)
    assert len(answers) == 1
    assert "Traceback" not in gateway.log
