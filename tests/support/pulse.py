"""A PulseAudio server for tests: a sound device that plays in real time, can be killed, and is recorded at its sink.

Three settings make its null sink keep exact time (PulseAudio 16.1, measured):

- `norewinds=1`. By default, an idle null sink has rendered 2 s of silence ahead. Through ALSA's plugin the fourth block
  of a stream is then taken 410 ms later, or up to 2 s later just after the server's start, and a recorder of the sink
  loses what is rendered twice. Without rewinds the sink is at most 50 ms ahead, and no more than its fastest client
  asks for.
- A recorder that asks for 5 ms. The sink renders in the shortest blocks that any client wants, and the recorder is a
  client from the server's start on. Then a stream's blocks are taken at 0, 0, 0, 6, 16, 26 ms and then every 10 ms.
- One rate, 24 kHz, from the daemon to the recorder, so that the recording has exactly the written samples. PulseAudio's
  resampler otherwise smears every edge over 1 ms.

The time of a sample is when it reached the recorder. `Pulse.recorder_adds_s` measures that delay by muting the sink
itself, which the server does between two blocks.
"""

from __future__ import annotations

import contextlib
import ctypes.util
import os
import shutil
import signal
import socket
import subprocess
import threading
import time
from pathlib import Path
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from support.waiting import eventually

_START_S = 20.0
_RECORDER_MS = 5
_SETTLES_S = 0.3  # after its start, when the sink has come down to the recorder's blocks


def missing() -> str | None:
    """Returns why this machine cannot run such a server; `None` if it can."""
    for program, package in (("pulseaudio", "pulseaudio"), ("parec", "pulseaudio-utils")):
        if shutil.which(program) is None:
            return f"{program} is not installed ({package})"
    library = ctypes.util.find_library("asound")
    plugins = [*Path("/usr").glob("lib*/**/alsa-lib/libasound_module_pcm_pulse.so")]
    return None if library and plugins else "ALSA's pulse plugin is not installed (libasound2-plugins)"


class Recording:
    """What the sink played during one run of the server, mono int16, each block with the time of its arrival."""

    def __init__(self, command: list[str], environment: dict[str, str], rate_hz: int) -> None:
        self.rate_hz = rate_hz
        self._blocks: list[bytes] = []
        self._arrivals: list[tuple[float, int]] = []  # the time, and how many samples had arrived by then
        self._parec = subprocess.Popen(
            command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        self._thread = threading.Thread(target=self._read, name="recording", daemon=True)
        self._thread.start()

    @property
    def samples(self) -> NDArray[np.int16]:
        """All samples that have arrived so far."""
        sound = b"".join(list(self._blocks))
        return np.frombuffer(sound[: len(sound) // 2 * 2], "<i2")

    def at(self, index: int) -> float:
        """Returns when a sample reached the recorder, in seconds of CLOCK_MONOTONIC.

        The sink uses the kernel's clock. So the most punctual block shows when the first sample was due, and the
        lateness of other blocks on a busy machine does not matter.
        """
        arrivals = np.array(self._arrivals)
        settled = arrivals[arrivals[:, 0] > min(arrivals[0, 0] + _SETTLES_S, arrivals[-1, 0] - 0.05)]
        began_at = float((settled[:, 0] - settled[:, 1] / self.rate_hz).min())
        return began_at + index / self.rate_hz

    def after(self, moment_s: float) -> int:
        """Returns the index of the first sample that arrived after a moment."""
        return int(np.ceil((moment_s - self.at(0)) * self.rate_hz))

    def wait_until(self, moment_s: float, timeout_s: float = 20.0) -> None:
        """Waits until what the sink played by then has arrived."""
        eventually(lambda: bool(self._arrivals) and self._arrivals[-1][0] > moment_s, "the sink's sound", timeout_s)

    def close(self) -> None:
        """Ends the recording and keeps its samples."""
        with contextlib.suppress(ProcessLookupError):
            self._parec.kill()
        self._parec.wait()
        self._thread.join(10)

    def _read(self) -> None:
        assert self._parec.stdout is not None
        count = 0
        with self._parec.stdout as pipe:
            while block := os.read(pipe.fileno(), 65536):
                now_s = time.monotonic()
                count += len(block)
                self._blocks.append(block)
                self._arrivals.append((now_s, count // 2))


class Pulse:
    """`with Pulse(folder) as pulse: …`: the PCM `pulse` of `environment` plays on its null sink `ns`.

    Args:
        folder: An empty folder with a short path, because it holds sockets.
        rate_hz: Sample rate of the sink and of the recordings.
    """

    pcm = "pulse"

    def __init__(self, folder: Path, *, rate_hz: int = 24_000) -> None:
        self.rate_hz = rate_hz
        self.recordings: list[Recording] = []
        self.up_at = 0.0
        self._folder = folder
        self._socket, self._control = folder / "native", folder / "cli"
        self._door = folder / "door"  # the link through which players reach the socket
        self._server: subprocess.Popen[bytes] | None = None
        self._environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("PULSE_")},
            "HOME": str(folder),
            "XDG_RUNTIME_DIR": str(folder),
            "PULSE_SERVER": f"unix:{self._socket}",
        }

    @property
    def recording(self) -> Recording:
        """The recording of the server that runs, or ran last."""
        return self.recordings[-1]

    @property
    def environment(self) -> dict[str, str]:
        """Environment variables with which ALSA finds the PCM."""
        return {"ALSA_CONFIG_PATH": str(self.asoundrc(self._folder / "asoundrc"))}

    def asoundrc(self, path: Path) -> Path:
        """Writes an ALSA configuration with the PCM and its mixer."""
        where = f'type pulse server "unix:{self._door}"'
        path.write_text(
            "</usr/share/alsa/alsa.conf>\n"
            f"pcm.!{self.pcm} {{ {where} device ns }}\n"
            f"ctl.!{self.pcm} {{ {where} sink ns }}\n",
            encoding="utf-8",
        )
        return path

    def start(self) -> Pulse:
        """Starts the server and a recorder, then lets players connect (`up_at`): nothing of theirs is missed."""
        for path in (self._socket, self._control, self._door):
            path.unlink(missing_ok=True)
        modules = (
            # The socket comes last: when it is there, so is the sink.
            f"module-null-sink sink_name=ns rate={self.rate_hz} channels=1 format=s16le norewinds=1",
            f"module-cli-protocol-unix socket={self._control}",
            f"module-native-protocol-unix auth-anonymous=1 socket={self._socket}",
        )
        command = ["pulseaudio", "-n", "--daemonize=no", "--use-pid-file=no", "--exit-idle-time=-1"]
        with (self._folder / "pulse.log").open("ab") as log:
            self._server = subprocess.Popen(
                [*command, *(part for module in modules for part in ("-L", module))],
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        eventually(self._answers, f"PulseAudio ({self._folder / 'pulse.log'})", _START_S)
        record = ["parec", "-d", "ns.monitor", "--raw", "--format=s16le", f"--rate={self.rate_hz}", "--channels=1"]
        self.recordings.append(Recording([*record, f"--latency-msec={_RECORDER_MS}"], self._environment, self.rate_hz))
        eventually(lambda: len(self.recording.samples), "the recorder's first block", _START_S)
        self._door.symlink_to(self._socket)
        self.up_at = time.monotonic()
        return self

    def kill(self) -> None:
        """Kills the server with SIGKILL, like unplugging a card. Loses buffered samples and ends the recording."""
        if self._server is not None:
            self._server.send_signal(signal.SIGKILL)
            self._server.wait()
            self._server = None
            self.recording.close()
            self._door.unlink()

    def recorder_adds_s(self, tries: int = 10) -> float:
        """Measures how much later the recorder gets a change than the sink makes it. Returns the median.

        Call it while a constant sound plays. The sink is muted over an open connection. The server mutes what it
        renders next, up to one block of the recorder's 5 ms ahead of time.
        """
        found = []
        with socket.socket(socket.AF_UNIX) as control:
            control.connect(str(self._control))

            def mute(on: bool) -> float:
                sent_at = time.monotonic()
                control.sendall(f"set-sink-mute ns {on:d}\n".encode())
                self.recording.wait_until(sent_at + 0.1)
                return sent_at

            for _ in range(tries):
                muted_at = mute(True)
                began = self.recording.after(muted_at - 0.02)
                silent = np.flatnonzero(self.recording.samples[began:] == 0)
                found.append(self.recording.at(began + int(silent[0])) - muted_at)
                mute(False)
        return float(np.median(found))

    def __enter__(self) -> Pulse:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()

    def _answers(self) -> bool:
        assert self._server is not None
        assert self._server.poll() is None, (self._folder / "pulse.log").read_text(errors="replace")
        with socket.socket(socket.AF_UNIX) as probe:
            return probe.connect_ex(str(self._socket)) == 0
