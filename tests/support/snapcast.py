"""Debian's snapserver and snapclient for a test: one pipe in, and what a loudspeaker would play in a file."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from types import TracebackType

import numpy as np
import pytest
from numpy.typing import NDArray

from support.prometheus import free_port
from support.waiting import eventually

RATE_HZ = 48_000


class Snapcast:
    """`with Snapcast(folder) as snapcast: …`. Skips without the programs. The server makes the pipe.

    Args:
        folder: An empty folder for the pipe, the logs and the sound.
    """

    def __init__(self, folder: Path) -> None:
        for program in ("snapserver", "snapclient"):
            if shutil.which(program) is None:
                pytest.skip(f"{program} is not installed (apt-get install {program})")
        self.pipe = folder / "pipe"
        self._folder = folder
        self._sound = folder / "heard.raw"
        self._port = free_port()
        self._server: subprocess.Popen[bytes] | None = None
        self._client: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Snapcast:
        self.start_server()
        self._client = self._run(
            "snapclient", "--host=127.0.0.1", f"--port={self._port}", "--hostID=test",
            f"--player=file:filename={self._sound},mode=a",
        )  # fmt: skip
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for process in (self._client, self._server):
            if process is not None:
                process.kill()
                process.wait(20)

    def start_server(self) -> None:
        """Starts the server. Returns when the pipe exists."""
        self._server = self._run(
            "snapserver", "--config=/dev/null", f"--server.datadir={self._folder}",
            f"--stream.source=pipe://{self.pipe}?name=test", "--stream.codec=pcm", "--stream.buffer=400",
            "--stream.bind_to_address=127.0.0.1", f"--stream.port={self._port}",
            "--tcp.enabled=false", "--http.enabled=false",
        )  # fmt: skip
        eventually(self.pipe.exists, "snapserver's pipe")

    def kill_server(self) -> None:
        """Ends the server at once."""
        assert self._server is not None
        self._server.kill()
        self._server.wait(20)
        self._server = None

    @property
    def heard(self) -> NDArray[np.int16]:
        """The frames that the client has played so far: silence too."""
        if not self._sound.exists():
            return np.zeros((0, 2), np.int16)
        samples = np.fromfile(self._sound, "<i2")
        return samples[: len(samples) // 2 * 2].reshape(-1, 2)

    def _run(self, program: str, *arguments: str) -> subprocess.Popen[bytes]:
        with (self._folder / f"{program}.log").open("ab") as log:
            return subprocess.Popen([program, *arguments], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
