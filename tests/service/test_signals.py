"""Signals that mean nothing to the daemon do not end it, nor its worker."""

from __future__ import annotations

import signal
from pathlib import Path

import psutil
import pytest

from support.appliance import Appliance
from support.broker import Broker
from support.client import Client
from support.waiting import eventually

IGNORED = (signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2, signal.SIGALRM)


def test_the_daemon_ignores_them_with_a_sentence_and_speaks_on(tmp_path: Path, broker: Broker) -> None:
    # A session of its own: started from a terminal, SIGHUP says that the terminal is gone.
    with (
        Appliance(tmp_path, broker, quick_s=0.1, wrap=["setsid"]) as appliance,
        Client(broker.host, broker.port) as client,
    ):
        appliance.wait_ready(client)
        for number in IGNORED:
            assert appliance.process is not None
            appliance.process.send_signal(number)
            eventually(lambda number=number: f"{number.name} is ignored" in appliance.log, f"a word on {number.name}")
        assert appliance.final(client, appliance.say(client, "I am still here."))["event"] == "finished"
        assert appliance.process.poll() is None
        assert [message.json["state"] for message in client.on(f"{appliance.root}/state")][-1] in ("ready", "speaking")
        assert appliance.stop() == 0


@pytest.mark.f5
def test_the_worker_ignores_them_too(tmp_path: Path, broker: Broker, tiny_checkpoint: Path) -> None:
    settings = {"engine": {"kind": "f5", "f5": {"weights": str(tiny_checkpoint), "device": "cpu", "nfe_step": 5}}}
    with Appliance(tmp_path, broker, settings) as appliance, Client(broker.host, broker.port) as client:
        appliance.wait_ready(client)
        worker = psutil.Process(appliance.pid).children()[0]
        for number in IGNORED:
            worker.send_signal(number)
        # The line is spoken by the same worker, that has had time to end by them.
        assert appliance.final(client, appliance.say(client, "One."))["engine"] == "f5"
        assert [child.pid for child in psutil.Process(appliance.pid).children()] == [worker.pid]
