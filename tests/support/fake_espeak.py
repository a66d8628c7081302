"""A fake espeak-ng, first on PATH, that fails in the way a test chooses.

It reads its behaviour from a file at each start, so that a test can change it while a daemon runs.
"""

from __future__ import annotations

import os
import shlex
import shutil
import struct
from pathlib import Path

_SCRIPT = """#!/bin/sh
real={real}
cd {folder} || exit 99
echo $$ >> starts
read -r mode argument < behaviour
case $mode in
real) exec $real "$@" ;;
exit) echo "the fake refuses" >&2; exit "$argument" ;;
refuse) text=$(cat); case $text in *"$argument"*) echo "the fake refuses" >&2; exit 1 ;; esac
  printf %s "$text" | exec $real "$@" ;;
signal) kill "-$argument" $$ ;;
hang) exec sleep 3600 ;;
hang-first) [ -e hung ] && exec $real "$@"; : > hung; exec sleep 3600 ;;
hang-on) text=$(cat); case $text in *"$argument"*) exec sleep 3600 ;; esac
  printf %s "$text" | exec $real "$@" ;;
wrapper) $real "$@"; exit $? ;;
wrapper-hang) sleep 3600 & echo $! >> children; wait ;;
leaves-child) $real "$@"; sleep 3600 & echo $! >> children; exit 0 ;;
silent) exit 0 ;;
file) exec cat "$argument" ;;
garbage) exec head -c 100000 /dev/urandom ;;
garbage-first) echo "a message in the wrong place"; exec $real "$@" ;;
endless) $real "$@"; exec cat /dev/zero ;;
endless-messages) exec yes >&2 ;;
slow) $real "$@" | (head -c 1000; sleep 0.2; head -c 1000; sleep 0.2; cat) ;;
deaf) exec <&-; sleep 0.1; echo ready | $real "$@" ;;
esac
"""


class FakeEspeak:
    """Behaves like espeak-ng until `behave` changes that.

    Args:
        folder: the folder of the program; it is created.
    """

    def __init__(self, folder: Path) -> None:
        real = shutil.which("espeak-ng", path=os.defpath)
        assert real is not None, "espeak-ng is not installed"
        folder.mkdir()
        self.folder = folder
        self.program = folder / "espeak-ng"
        self.behave("real")
        self.install(real)

    @property
    def path(self) -> str:
        """Value for PATH with the fake first."""
        return f"{self.folder}{os.pathsep}{os.environ['PATH']}"

    def install(self, real: str = "/usr/bin/espeak-ng") -> None:
        """Installs the program, also after a test has removed it."""
        draft = self.folder / "draft"
        draft.write_text(_SCRIPT.format(real=shlex.quote(real), folder=shlex.quote(str(self.folder))))
        draft.chmod(0o755)
        draft.rename(self.program)

    def behave(self, mode: str, argument: object = "") -> None:
        """Sets the mode of the script from its next start on."""
        draft = self.folder / "next"
        draft.write_text(f"{mode} {argument}\n")
        draft.rename(self.folder / "behaviour")

    def give_wav(self, *, rate_hz: int = 22_050, channels: int = 1, bits: int = 16, samples: int = 10_000) -> None:
        """Makes it answer every text with this sound, from its next start on."""
        header = struct.pack("<4sI8sIHHIIHH4sI", b"RIFF", 0x7FFFF024, b"WAVEfmt ", 16, 1, channels, rate_hz,
                           rate_hz * channels * bits // 8, channels * bits // 8, bits, b"data", 0x7FFFF000)  # fmt: skip
        wav = self.folder / f"{rate_hz}-{channels}-{bits}-{samples}.wav"
        wav.write_bytes(header + b"\x01\x10" * (samples * channels * bits // 16))
        self.behave("file", wav)

    def starts(self) -> int:
        """Returns how often it was started."""
        return len(self._pids("starts"))

    def children(self) -> list[int]:
        """Returns the process ids of children that still run."""
        return [pid for pid in self._pids("children") if _runs(pid)]

    def _pids(self, name: str) -> list[int]:
        path = self.folder / name
        return [int(line) for line in path.read_text().split()] if path.exists() else []


def _runs(pid: int) -> bool:
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False
