"""TLS on a real broker: what is wrong with a certificate is one clear sentence, and the link keeps trying."""

from __future__ import annotations

import gc
import logging
import shutil
import socket
import struct
import subprocess
import warnings
from pathlib import Path
from typing import Any

import pytest

from ishowtts.errors import BrokerError
from ishowtts.mqtt.client import ShortLivedClient as Caller
from ishowtts.mqtt.mqtt_options import MqttOptions
from ishowtts.mqtt.tls import make_context
from support.appliance import Appliance
from support.broker import Broker
from support.certificates import Authority
from support.waiting import eventually


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    authority = Authority(tmp_path_factory.mktemp("tls") / "ours")
    for name in ("broker", "board"):
        authority.issue(name)
    authority.issue("late", days=-1)
    authority.issue("elsewhere", host="DNS:elsewhere.example")
    return authority


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    authority = Authority(tmp_path_factory.mktemp("tls") / "other")
    authority.issue("board")
    return authority


@pytest.fixture
def secure(make_broker: Any, ours: Authority, tmp_path: Path) -> Any:
    """`secure("broker", require=True)`: a broker that shows this certificate, of which it reads its own copy."""

    def make(shows: str, require: bool = False, **more: Any) -> Broker:
        show(ours, shows, tmp_path)
        listener = [f"certfile {tmp_path}/shown.crt", f"keyfile {tmp_path}/shown.key"]
        if require:
            listener += [f"cafile {ours.ca}", "require_certificate true"]
        broker: Broker = make_broker(listener_extra=listener, **more)
        return broker

    return make


def show(authority: Authority, name: str, folder: Path) -> None:
    shutil.copy(authority.cert(name), folder / "shown.crt")
    shutil.copy(authority.key(name), folder / "shown.key")


CASES = {
    "an authority we do not know": ("broker", False, "other", None, "is not signed by an authority that we trust"),
    "an expired certificate": ("late", False, "ours", None, "has expired; renew it, or set the clock"),
    "another host's certificate": ("elsewhere", False, "ours", None, "mqtt.host must be a name"),
    "no certificate of ours": ("broker", True, "ours", None, "wants a client certificate; set mqtt.tls.cert"),
    "our certificate of another authority": (
        "broker",
        True,
        "ours",
        ("other", "board"),
        "who signed our certificate; an authority that it trusts must sign mqtt.tls.cert",
    ),
    "our certificate has expired": (
        "broker",
        True,
        "ours",
        ("ours", "late"),
        "has expired; renew the one in mqtt.tls.cert",
    ),
}


@pytest.mark.parametrize("protocol", [5, 4])
@pytest.mark.parametrize("case", CASES)
def test_a_certificate_error_is_one_sentence_and_needs_no_restart_to_fix(
    *, secure: Any, make_link: Any, ours: Authority, other: Authority, tmp_path: Path,
    caplog: pytest.LogCaptureFixture, case: str, protocol: int,
) -> None:  # fmt: skip
    shows, require, ca, mine, words = CASES[case]
    by_name = {"ours": ours, "other": other}
    broker = secure(shows, require)
    files = {name: tmp_path / f"{name}.pem" for name in ("ca", "cert", "key")}
    shutil.copy(by_name[ca].ca, files["ca"])
    if mine is not None:
        shutil.copy(by_name[mine[0]].cert(mine[1]), files["cert"])
        shutil.copy(by_name[mine[0]].key(mine[1]), files["key"])
    tls = {"tls_ca": files["ca"]} | ({} if mine is None else {"tls_cert": files["cert"], "tls_key": files["key"]})
    link = make_link(port=broker.port, protocol=protocol, **tls)
    link.link.start()
    eventually(lambda: any(words in why for _, why in link.recorder.connection), "the sentence")
    assert not link.link.connected
    assert all(f"{broker.host}:{broker.port}" in why for _, why in link.recorder.connection)
    eventually(lambda: broker.log.count("rotocol error") >= 3, "that it keeps trying")
    warned = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert len(set(warned)) <= 2  # the connection may close before the alert arrives
    assert "Traceback" not in caplog.text
    # The operator fixes it. The daemon connects without a restart.
    broker.stop()
    show(ours, "broker", tmp_path)
    shutil.copy(ours.ca, files["ca"])
    shutil.copy(ours.cert("board"), files["cert"])
    shutil.copy(ours.key("board"), files["key"])
    if mine is None and require:
        return  # this needs another setting
    broker.start()
    eventually(lambda: link.link.connected, "the connection")


def test_files_that_cannot_be_used_are_named(
    secure: Any, make_link: Any, ours: Authority, other: Authority, tmp_path: Path
) -> None:
    broker = secure("broker", require=True)
    locked = tmp_path / "locked.key"
    subprocess.run(
        ["openssl", "pkey", "-in", ours.key("board"), "-aes256", "-passout", "pass:x", "-out", locked], check=True
    )
    cert = ours.cert("board")
    for number, (ca, key, words) in enumerate(
        [
            (tmp_path / "none.crt", ours.key("board"), "none.crt"),
            (ours.ca, other.key("board"), str(other.key("board"))),
            (ours.ca, locked, "passphrase"),
        ]
    ):
        root = f"ishowtts/bad{number}"
        link = make_link(port=broker.port, root=root, tls_ca=ca, tls_cert=cert, tls_key=key)
        link.link.start()
        eventually(lambda link=link: link.recorder.connection, "the sentence")
        assert words in link.recorder.connection[0][1]
        assert "mqtt.tls" in link.recorder.connection[0][1]


def test_a_broker_without_tls_is_named_as_such(broker: Broker, make_link: Any, ours: Authority) -> None:
    link = make_link(tls_ca=ours.ca)
    link.link.start()
    eventually(lambda: link.recorder.connection, "the sentence")
    assert "mqtt.port" in link.recorder.connection[0][1]


def test_the_short_lived_client_reports_the_same(secure: Any, other: Authority) -> None:
    broker = secure("broker")
    options = MqttOptions(broker.host, broker.port, "a/b", "a", tls_ca=other.ca)
    with pytest.raises(BrokerError, match="not signed by an authority that we trust"), Caller(options):
        pass


def test_the_daemon_takes_name_password_and_key_from_systemd(secure: Any, ours: Authority, tmp_path: Path) -> None:
    broker = secure("broker", require=True, users={"kitchen": "s3cret"})
    credentials = tmp_path / "credentials"
    credentials.mkdir()
    (credentials / "mqtt-username").write_text("kitchen\n")
    (credentials / "mqtt-password").write_text("s3cret\n")
    shutil.copy(ours.key("board"), credentials / "mqtt-tls-key")
    tls = {"ca": str(ours.ca), "cert": str(ours.cert("board"))}
    mqtt = {"host": broker.host, "port": broker.port, "tls": tls}
    environment = {"CREDENTIALS_DIRECTORY": str(credentials)}
    with Appliance(tmp_path, broker, {"mqtt": mqtt}, environment) as appliance:
        eventually(lambda: "connected to the broker" in appliance.log, "the connection", 60)
        assert "u'kitchen'" in broker.log
        assert "s3cret" not in appliance.log


def test_a_connection_that_is_reset_before_the_handshake_is_closed(ours: Authority) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        gc.collect()  # sockets of earlier tests
    context = make_context(MqttOptions("localhost", 1, "a/b", "a", tls_ca=ours.ca), lambda _: None)
    with socket.create_server(("127.0.0.1", 0)) as server:
        connection = socket.create_connection(server.getsockname())
        accepted, _ = server.accept()
        accepted.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        accepted.close()
        with pytest.raises(ConnectionResetError):
            context.wrap_socket(connection, server_hostname="localhost")
        gc.collect()  # a socket that is still open would warn
