"""The real daemon in a process of its own, as systemd would start it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import yaml

from support.broker import Broker
from support.client import Client, Message
from support.daemon_server import DaemonServer, ForkedDaemon
from support.payload_check import FAULTS_FILE

FINAL = {"finished", "rejected", "expired", "cancelled", "evicted", "merged", "failed"}
TESTS = Path(__file__).resolve().parents[1]
AS_IT_COMES = {"pause_s": 0, "loudness_lufs": None, "peak_dbtp": None, "cache_mb": 0}
DAEMON = TESTS.parent / "daemon"


class Appliance:
    """`with Appliance(folder, broker, settings) as appliance: …`.

    Attributes:
        server: Forks the daemon, which takes less time than `python -m ishowtts run`; the tests set it. A daemon with
            a `wrap`, or with a PYTHONPATH of its own, is always a new process.
        checks_payloads: Whether all that the daemon publishes must be valid (`support.payload_check`); the tests set
            it. It is not checked in a new process of `ishowtts run`: tests measure its modules, system calls or size.

    Args:
        settings: sections laid over the configuration of the tests.
        environment: further variables of the daemon's process.
        quick_s: seconds of sound of each line, from the fast engine of `support.quick_daemon`; `None`: as configured.
        quick: further arguments of that program.
        wrap: a program and its arguments that the daemon is run under, such as strace.
    """

    root = "ishowtts/test"
    server: Callable[[], DaemonServer] | None = None
    checks_payloads = False

    def __init__(
        self,
        folder: Path,
        broker: Broker,
        settings: dict[str, Any] | None = None,
        environment: dict[str, str] | None = None,
        *,
        quick_s: float | None = None,
        quick: Sequence[str] = (),
        wrap: Sequence[str] = (),
    ) -> None:
        settings = settings or {}
        self.folder = folder
        self.notes = folder / "notes"
        self._quick_s = quick_s
        self._quick = quick
        self._wrap = wrap
        self.sound = folder / "sound.wav"
        self.process: subprocess.Popen[bytes] | ForkedDaemon | None = None
        self._settings = {
            "device": {"name": "test"},
            "mqtt": {"host": broker.host, "port": broker.port},
            "telemetry": {"interval_s": 0.5},
            "state_dir": str(folder / "state"),
            "cache_dir": str(folder / "cache"),
            **settings,
            # A worker for the natural voice is started only if a test asks for it.
            "engine": {"fallback": ["espeak"], **settings.get("engine", {"kind": "espeak"})},
            "audio": {"device": f"wav:{self.sound}", "volume": 100, **AS_IT_COMES, **settings.get("audio", {})},
        }
        self._is_new = bool(wrap) or "PYTHONPATH" in (environment or {})
        self._log = folder / "daemon.log"
        self._payload_faults = folder / "payload-faults.txt"
        check = {FAULTS_FILE: str(self._payload_faults)} if self.checks_payloads else {}
        self._environment = {**os.environ, **check, "PYTHONPATH": f"{DAEMON}:{TESTS}", **(environment or {})}

    @property
    def config_file(self) -> Path:
        """Its configuration."""
        path = self.folder / "config.yaml"
        path.write_text(yaml.safe_dump(self._settings, allow_unicode=True), encoding="utf-8")
        return path

    @property
    def log(self) -> str:
        """All that it has logged."""
        return self._log.read_text(encoding="utf-8", errors="replace") if self._log.exists() else ""

    @property
    def pid(self) -> int:
        """Of the daemon's process."""
        assert self.process is not None
        return self.process.pid

    def start(self) -> Appliance:
        """Start the process; `wait_ready` says when it works."""
        module, *arguments = self._program()
        arguments += ["--config", str(self.config_file)]
        if self.server is not None and not self._is_new:
            self.process = self.server().start(module, arguments, self._log, self._environment)
            return self
        with self._log.open("ab") as out:
            self.process = subprocess.Popen(
                [*self._wrap, sys.executable, "-m", module, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                env=self._environment,
            )
        return self

    def _program(self) -> list[str]:
        if self._quick_s is None:
            return ["ishowtts", "run"]
        return ["support.quick_daemon", "--notes", str(self.notes), "--sound-s", str(self._quick_s), *self._quick]

    def stop(self, how: signal.Signals = signal.SIGTERM, timeout_s: float = 30) -> int:
        """End it and give its exit status."""
        assert self.process is not None
        self.process.send_signal(how)
        status = self.process.wait(timeout_s)
        self.process = None
        return status

    def __enter__(self) -> Appliance:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process is not None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        faults = self._payload_faults.read_text(encoding="utf-8") if self._payload_faults.exists() else ""
        if error is not None:
            sys.stderr.write(self.log + faults)
        assert error is not None or not faults, f"payloads that docs/schemas does not allow:\n{faults}"

    def wait_ready(self, client: Client, *states: str, timeout_s: float = 120) -> None:
        """Until its state is one of `states` (default: ready)."""
        wanted = states or ("ready",)
        client.subscribe(f"{self.root}/#")
        client.wait_for(f"{self.root}/state", lambda message: message.json["state"] in wanted, timeout_s=timeout_s)

    def say(self, client: Client, text: str, **fields: Any) -> str:
        """Publish a line and give its id."""
        line_id = fields.pop("id", None) or uuid.uuid4().hex[:8]
        topic = fields.pop("topic", "say")
        client.publish(f"{self.root}/{topic}", {"id": line_id, "text": text, **fields})
        return line_id

    def final(self, client: Client, line_id: str, timeout_s: float = 60) -> dict[str, Any]:
        """The final event of a line."""
        found = client.wait_for(
            f"{self.root}/event",
            lambda message: message.json["id"] == line_id and message.json["event"] in FINAL,
            timeout_s=timeout_s,
        )
        event: dict[str, Any] = found.json
        return event

    def events(self, client: Client, line_id: str | None = None) -> list[dict[str, Any]]:
        """The events that have come, of one line or of all."""
        events: list[Message] = client.on(f"{self.root}/event")
        return [event.json for event in events if line_id in (None, event.json["id"])]
