"""Starts a real Prometheus for a test, on a free loopback port."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import urllib.parse
import urllib.request
from pathlib import Path
from types import TracebackType
from typing import Any

import pytest
import yaml

from support.waiting import eventually

_START_S = 30.0


def free_port() -> int:
    """A port of the loopback interface that nobody uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


class Prometheus:
    """`with Prometheus(folder, target) as prometheus: prometheus.query("up")`. Skips without the program.

    Args:
        folder: An empty folder for its configuration, log and storage.
        target: Host and port to scrape, twice a second.
        rules: A file of rules, if any.
        job: Further keys of the job.
    """

    def __init__(self, folder: Path, target: str, rules: Path | None = None, **job: Any) -> None:
        self._program = shutil.which("prometheus")
        if self._program is None:
            pytest.skip("prometheus is not installed (apt-get install prometheus)")
        self._folder = folder
        self._settings = {
            "global": {"scrape_interval": "500ms", "scrape_timeout": "500ms", "evaluation_interval": "500ms"},
            "rule_files": [str(rules)] if rules else [],
            "scrape_configs": [{"job_name": "ishowtts", "static_configs": [{"targets": [target]}], **job}],
        }
        self._port = free_port()
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Prometheus:
        config = self._folder / "prometheus.yml"
        config.write_text(yaml.safe_dump(self._settings))
        with (self._folder / "prometheus.log").open("ab") as log:
            self._process = subprocess.Popen(
                [
                    str(self._program), f"--config.file={config}", f"--storage.tsdb.path={self._folder / 'storage'}",
                    f"--web.listen-address=127.0.0.1:{self._port}", "--storage.tsdb.retention.time=1h",
                ],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            )  # fmt: skip
        eventually(self._answers, "Prometheus", _START_S)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait(20)

    def query(self, expression: str) -> list[dict[str, Any]]:
        """What an expression gives now: labels in `metric`, and the number in `value`."""
        found = self.get("query", query=expression)["result"]
        return [{"metric": each["metric"], "value": float(each["value"][1])} for each in found]

    def get(self, path: str, **parameters: str) -> Any:
        """The data of an answer of its API."""
        url = f"http://127.0.0.1:{self._port}/api/v1/{path}?{urllib.parse.urlencode(parameters)}"
        with urllib.request.urlopen(url, timeout=20) as answer:
            return json.load(answer)["data"]

    def _answers(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, (self._folder / "prometheus.log").read_text()
        try:
            self.get("query", query="1")
        except OSError:
            return False
        return True
