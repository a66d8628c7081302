"""`ishowtts gateway` in a process of its own, as systemd would start it."""

from __future__ import annotations

import random
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from types import TracebackType
from typing import Any

import yaml

from support.service_process import ServiceProcess

_START_S = 30.0


class GatewayProcess(ServiceProcess):
    """`with GatewayProcess(folder, client.address, {"controls": "say"}) as gateway: …`: it answers then, at `url`.

    Args:
        folder: An empty folder for its configuration and its log.
        broker: Host and port of the broker.
        settings: The section `gateway`, without `http.listen`. Its own port stays when it is started again.
        mqtt: Further keys of the section `mqtt`.
        environment: Further variables of its process.
    """

    def __init__(
        self,
        folder: Path,
        broker: tuple[str, int],
        settings: dict[str, Any] | None = None,
        mqtt: dict[str, Any] | None = None,
        environment: dict[str, str] | None = None,
    ) -> None:
        # Below the range of ports that the kernel gives to clients: nobody takes it during a restart.
        self.port = random.randint(15_000, 32_000)
        self.url = f"http://127.0.0.1:{self.port}"
        self._folder = folder
        super().__init__(folder / "gateway.log", environment or {})
        settings = {"devices": "+", **(settings or {})}
        http = {**settings.pop("http", {}), "listen": f"127.0.0.1:{self.port}"}
        self._config = {
            "device": {"name": "test"},
            "mqtt": {"host": broker[0], "port": broker[1], **(mqtt or {})},
            "state_dir": str(folder / "state"),
            "cache_dir": str(folder / "cache"),
            "gateway": {**settings, "http": http},
        }

    def start(self) -> GatewayProcess:
        """Start it, and wait until it answers."""
        config = self._folder / "gateway.yaml"
        config.write_text(yaml.safe_dump(self._config), encoding="utf-8")
        self.launch("ishowtts", ["gateway", "--config", str(config)])
        assert self.process is not None
        deadline = time.monotonic() + _START_S
        while not self._answers():
            status = self.process.poll()
            assert status is None, f"the gateway has ended with exit status {status}:\n{self.log}"
            assert time.monotonic() < deadline, f"the gateway does not answer:\n{self.log}"
            time.sleep(0.02)
        return self

    def __enter__(self) -> GatewayProcess:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end()
        if error is not None:
            sys.stderr.write(self.log)

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/health", timeout=5):
                return True
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            return False
