"""What systemd hears of a gateway: ready, the watchdog while its loop runs, and the end."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from pathlib import Path
from typing import cast

import pytest

from ishowtts.config import Config
from ishowtts_gateway.appliance_client import ApplianceClient
from ishowtts_gateway.gateway_app import GatewayService
from ishowtts_gateway.http.http_server import HttpServer


class NoServer:
    """Serves nothing."""

    def start(self) -> None:
        pass

    async def stop(self) -> None:
        pass


def test_the_watchdog_is_fed_until_the_gateway_stops(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(tmp_path / "notify"))
        systemd.setblocking(False)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        monkeypatch.setenv("WATCHDOG_USEC", "20000")
        monkeypatch.delenv("WATCHDOG_PID", raising=False)
        heard: list[str] = []

        async def listen() -> None:
            loop = asyncio.get_running_loop()
            while heard.count("WATCHDOG=1") < 3:
                heard.append((await loop.sock_recv(systemd, 4096)).decode())
            os.kill(os.getpid(), signal.SIGTERM)
            while heard[-1] != "STOPPING=1":
                heard.append((await loop.sock_recv(systemd, 4096)).decode())

        async def scenario() -> None:
            service = GatewayService(ApplianceClient(Config(), "ishowtts/test"))
            await asyncio.wait_for(asyncio.gather(service.serve(cast(HttpServer, NoServer())), listen()), 20)

        asyncio.run(scenario())
    assert heard[0].startswith("READY=1\nSTATUS=")
    assert set(heard[1:]) == {"WATCHDOG=1", "STOPPING=1"}
