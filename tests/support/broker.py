"""Starts a real mosquitto for a test, on a free loopback port."""

from __future__ import annotations

import os
import random
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType

_START_S = 20.0
_SHIPPED = Path(__file__).resolve().parents[2] / "config/mosquitto"
_AS_ROOT = ["user root"] if os.geteuid() == 0 else []


class Broker:
    """mosquitto with persistence. A kill loses what it has not saved.

    Args:
        directory: An empty folder for its configuration, log and persistence.
        users: Name to password. `None` accepts everybody.
        extra: Further lines of its configuration.
        listener_extra: Further lines for its one listener, such as TLS files.
        saves_changes: It saves itself at each change, with a sync of the disk, so that a kill loses next to nothing.
    """

    host = "127.0.0.1"

    def __init__(
        self,
        directory: Path,
        users: Mapping[str, str] | None = None,
        extra: Sequence[str] = (),
        listener_extra: Sequence[str] = (),
        saves_changes: bool = False,
    ) -> None:
        self.port = 0
        self._directory = directory
        self._users = users
        self._extra = list(extra)
        self._listener_extra = list(listener_extra)
        self._saves_changes = saves_changes
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> str:
        """Everything that it has logged so far."""
        path = self._directory / "mosquitto.log"
        return path.read_text(errors="replace") if path.exists() else ""

    def connections(self, id_ends: str) -> int:
        """How often the broker accepted a client whose id ends with this text."""
        return len(re.findall(rf"New client connected from \S+ as \S+{re.escape(id_ends)} \(", self.log))

    @property
    def database(self) -> Path:
        """The file with its sessions and messages."""
        return self._directory / "mosquitto.db"

    @property
    def pid(self) -> int:
        """Of its process."""
        assert self._process is not None
        return self._process.pid

    def start(self) -> Broker:
        """Start it, after a stop on the same port. Returns when it listens."""
        deadline = time.monotonic() + _START_S
        keep_port = self.port != 0
        while True:
            if not keep_port:
                # Below the range of ports that the kernel gives to clients: nobody takes it during a restart.
                self.port = random.randint(15_000, 32_000)
            if self._try_start(deadline):
                return self
            if time.monotonic() > deadline:
                raise RuntimeError(f"mosquitto does not start:\n{self.log}")

    def stop(self) -> None:
        """End it cleanly. Sessions and retained messages stay on disk."""
        self._end(signal.SIGTERM)

    def save(self) -> None:
        """Make it write sessions and retained messages to disk. Returns when it has done so."""
        assert self._process is not None
        database = self.database
        before = database.stat().st_mtime_ns if database.exists() else 0
        self._process.send_signal(signal.SIGUSR1)
        deadline = time.monotonic() + _START_S
        while not database.exists() or database.stat().st_mtime_ns == before:
            assert time.monotonic() < deadline, "mosquitto does not save"
            time.sleep(0.01)

    def kill(self) -> None:
        """End it as a power cut would. What it has not saved is lost (see `save`)."""
        self._end(signal.SIGKILL)

    def pause(self) -> None:
        """Stop its process. Connections stay open, but it does not answer."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Continue its process."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def __enter__(self) -> Broker:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()

    def _end(self, how: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.send_signal(how)
            process.send_signal(signal.SIGCONT)
            process.wait(timeout=_START_S)

    def _try_start(self, deadline: float) -> bool:
        config = self._write_config()
        before = self.log.count(" running")
        name = os.environ.get("ISHOWTTS_MOSQUITTO", "mosquitto")  # for tests of another release
        program = shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
        if program is None:
            raise RuntimeError(f"{name} is not installed; apt-get install mosquitto")
        with (self._directory / "mosquitto.log").open("ab") as log:
            process = subprocess.Popen([program, "-c", str(config)], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        while process.poll() is None and time.monotonic() < deadline:
            if self.log.count(" running") > before:
                self._process = process
                return True
            time.sleep(0.01)
        process.kill()
        process.wait()
        return False

    def _write_config(self) -> Path:
        lines = [
            f"listener {self.port} {self.host}",
            *self._listener_extra,
            f"allow_anonymous {'true' if self._users is None else 'false'}",
            "persistence true",
            f"persistence_location {self._directory}/",
            *(("autosave_interval 1", "autosave_on_changes true") if self._saves_changes else ()),
            "log_dest stderr",
            "log_type all",
        ]
        lines += _AS_ROOT
        if self._users is not None:
            passwords = self._directory / "passwords"
            _write_passwords(passwords, self._users)
            lines.append(f"password_file {passwords}")
        config = self._directory / "mosquitto.conf"
        config.write_text("\n".join([*lines, *self._extra]) + "\n")
        return config


class ShippedBroker(Broker):
    """mosquitto with config/mosquitto/ added to Debian's own configuration. Only ports and paths are replaced.

    Args:
        users: Name to password.
        tls: A folder with broker.crt, broker.key and ca.crt. It enables the listener with TLS too, at `tls_port`.
    """

    def __init__(self, directory: Path, users: Mapping[str, str], tls: Path | None = None) -> None:
        super().__init__(directory, users)
        self._tls = tls
        self.tls_port = 0

    def _write_config(self) -> Path:
        here = self._directory
        shipped = (_SHIPPED / "ishowtts.conf").read_text(encoding="utf-8")
        if self._tls is not None:
            self.tls_port = self.port + 1
            shipped = re.sub(r"^#(?=(listener|certfile|keyfile|cafile|require_certificate) )", "", shipped, flags=re.M)
            shipped = shipped.replace("listener 8883", f"listener {self.tls_port} {self.host}")
            shipped = re.sub(r"/etc/mosquitto/(certs|ca_certificates)", str(self._tls), shipped)
        shipped = shipped.replace("listener 1883", f"listener {self.port}").replace("/etc/mosquitto", str(here))
        (here / "conf.d").mkdir(exist_ok=True)
        (here / "conf.d/ishowtts.conf").write_text(shipped, encoding="utf-8")
        shutil.copy(_SHIPPED / "ishowtts.acl", here)
        _write_passwords(here / "ishowtts.passwd", self._users or {})
        # As in Debian's own. As root it would run as the user mosquitto, who cannot read the folder of a test.
        lines = ["persistence true", f"persistence_location {here}/", "log_dest stderr", f"include_dir {here}/conf.d"]
        config = here / "mosquitto.conf"
        config.write_text("\n".join([*lines, *_AS_ROOT]) + "\n")
        return config


def _write_passwords(path: Path, users: Mapping[str, str]) -> None:
    path.touch(mode=0o600)
    for name, password in users.items():
        subprocess.run(["mosquitto_passwd", "-b", str(path), name, password], check=True, capture_output=True)
