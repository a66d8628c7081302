"""`ishowtts gateway`: what ends it, and with which exit status and words."""

from __future__ import annotations

import json
import socket
import threading
import time
import urllib.error
import urllib.request
from contextlib import ExitStack
from pathlib import Path

import pytest

from ishowtts.cli.main import main
from ishowtts.config import Config
from ishowtts.errors import ConfigError
from ishowtts.mqtt.mqtt_options import MqttOptions
from support.broker import Broker
from support.client import Client
from support.gateway_process import GatewayProcess
from support.prometheus import free_port


def test_a_password_that_cannot_be_read_is_one_sentence(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    config = tmp_path / "config.yaml"
    user = {"username": "me", "password_file": "/nonexistent/password"}
    config.write_text(json.dumps({"gateway": {"mqtt": user, "http": {"listen": "127.0.0.1:0"}}}).replace(":0", ":1"))
    assert main(["gateway", "--config", str(config)]) == 1, "systemd tries again: the file may come"
    assert caplog.messages[-1].startswith("gateway.mqtt.password_file names a file that does not exist")


def test_a_password_without_a_user_is_one_sentence(tmp_path: Path) -> None:
    settings = Config(gateway={"mqtt": {"password_file": str(tmp_path / "own")}})
    with pytest.raises(ConfigError, match=r"password_file needs gateway\.mqtt\.username"):
        settings.gateway_user()


def test_its_own_user_is_used_without_the_password_of_the_appliance(tmp_path: Path) -> None:
    appliance = {"username": "ishowtts", "password_file": "/nonexistent/password"}
    (tmp_path / "own").write_text("from a file\n")
    own = {"username": "gateway", "password_file": str(tmp_path / "own")}
    assert Config(mqtt=appliance).gateway_user() is None
    settings = Config(mqtt=appliance, gateway={"mqtt": own})
    options = MqttOptions.from_config(settings, "ishowtts/test", settings.gateway_user())
    assert options.username == "gateway"
    assert options.password is not None
    assert options.password.get_secret_value() == "from a file"
    for name, value in (("gateway-mqtt-username", "web\n"), ("gateway-mqtt-password", "from systemd\n")):
        (tmp_path / name).write_text(value)
    name, password = settings.gateway_user(tmp_path) or ("", None)
    assert name == "web"
    assert password is not None
    assert password.get_secret_value() == "from systemd"


def test_sigterm_ends_it_within_5_s_whatever_is_open(broker: Broker, mqtt_client: Client, tmp_path: Path) -> None:
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

    wyoming = {"listen": f"lo:{free_port()}"}
    with GatewayProcess(tmp_path, (broker.host, broker.port), {"devices": "test", "wyoming": wyoming}) as gateway:
        asking = threading.Thread(target=ask, name="asks")
        with ExitStack() as stack:
            for _ in range(5):  # they never read
                stream = stack.enter_context(socket.create_connection(("127.0.0.1", gateway.port)))
                stream.sendall(b"GET /api/stream HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
            speech = stack.enter_context(socket.create_connection(("127.0.0.1", int(wyoming["listen"][3:]))))
            speech.sendall(b'{"type": "describe"}\n{"type": "synthesize", "data": {"text": "a"}}\n')
            assert b'"info"' in speech.makefile("rb").readline()
            asking.start()
            mqtt_client.wait_for("ishowtts/test/command", lambda message: b"skip" in message.payload)
            broker.pause()
            began_s = time.monotonic()
            try:
                assert gateway.stop() == 0
            finally:
                broker.resume()
            assert time.monotonic() - began_s < 5
        asking.join(20)
    assert len(answers) == 1
    assert "Traceback" not in gateway.log
