"""The real daemon in a process of its own, as systemd would start it."""

from __future__ import annotations

import os
import sys
import uuid
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import yaml

from support.broker import Broker
from support.client import Client, Message
from support.payload_check import FAULTS_FILE
from support.service_process import DAEMON, TESTS, ServiceProcess

FINAL = {"finished", "rejected", "expired", "cancelled", "evicted", "merged", "failed"}
AS_IT_COMES = {"pause_s": 0, "loudness_lufs": None, "peak_dbtp": None, "cache_mb": 0}


class Appliance(ServiceProcess):
    """`with Appliance(folder, broker, settings) as appliance: …`.

    Attributes:
        checks_payloads: Whether all that the daemon publishes must be valid (`support.payload_check`); the tests set
            it. It is not checked in a new process of `ishowtts run`: tests measure its modules, system calls or size.

    Args:
        settings: sections laid over the configuration of the tests.
        environment: further variables of the daemon's process.
        quick_s: seconds of sound of each line, from the fast engine of `support.quick_daemon`; `None`: as configured.
        quick: further arguments of that program.
        site: Python that runs before the daemon does anything, and first in each of its workers. In a forked daemon
            the modules of the package are imported by then.
        wrap: a program and its arguments that the daemon is run under, such as strace. Such a daemon, and one with a
            PYTHONPATH or LD_PRELOAD of its own, is never forked from the server.
    """

    root = "ishowtts/test"
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
        site: str | None = None,
        wrap: Sequence[str] = (),
    ) -> None:
        settings = settings or {}
        self.folder = folder
        self.notes = folder / "notes"
        self._quick_s = quick_s
        self._quick = quick
        self._wrap = wrap
        self.sound = folder / "sound.wav"
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
        self._is_new = bool(wrap) or not {"PYTHONPATH", "LD_PRELOAD"}.isdisjoint(environment or {})
        self._payload_faults = folder / "payload-faults.txt"
        check = {FAULTS_FILE: str(self._payload_faults)} if self.checks_payloads else {}
        super().__init__(folder / "daemon.log", {**check, **self._site(site), **(environment or {})})

    def _site(self, source: str | None) -> dict[str, str]:
        """Write the file that Python runs first, and give the variable that names its folder."""
        if source is None:
            return {}
        place = self.folder / "site"
        place.mkdir()
        (place / "sitecustomize.py").write_text(source, encoding="utf-8")
        return {"PYTHONPATH": os.pathsep.join([str(place), str(DAEMON), str(TESTS)])}

    @property
    def config_file(self) -> Path:
        """Its configuration."""
        path = self.folder / "config.yaml"
        path.write_text(yaml.safe_dump(self._settings, allow_unicode=True), encoding="utf-8")
        return path

    def start(self) -> Appliance:
        """Start the process; `wait_ready` says when it works."""
        module, *arguments = self._program()
        arguments += ["--config", str(self.config_file)]
        self.launch(module, arguments, wrap=self._wrap, forked=not self._is_new)
        return self

    def configure(self, **sections: dict[str, Any]) -> None:
        """Replace sections of the configuration for the next start."""
        self._settings.update(sections)

    def _program(self) -> list[str]:
        if self._quick_s is None:
            return ["ishowtts", "run"]
        return ["support.quick_daemon", "--notes", str(self.notes), "--sound-s", str(self._quick_s), *self._quick]

    def __enter__(self) -> Appliance:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end()
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
