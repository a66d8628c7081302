"""A program in a real terminal: tmux draws what it writes, sends it keys, and changes the size."""

from __future__ import annotations

import os
import shlex
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType

_DEADLINE_S = 30.0
_LOOK_S = 0.1


class Tmux:
    """`with Tmux(folder, ["ishowtts", "top"], 80, 24) as terminal: terminal.wait_for("online")`.

    The program runs as a job of a shell with job control, so that Ctrl-Z stops it. The shell leaves the modes of the
    terminal alone. After the program it prints `status` with its exit status.

    Args:
        folder: For the socket of a tmux server that is ours alone.
        environment: Further variables of the program.
    """

    def __init__(
        self,
        folder: Path,
        command: Sequence[str],
        width: int,
        height: int,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self._socket = folder / "tmux"
        self._size = (width, height)
        script = folder / "terminal.sh"
        set_up = "".join(f"export {name}={shlex.quote(value)}\n" for name, value in (environment or {}).items())
        run = f"PS1='$ '; set -m\n{set_up}show() {{ {shlex.join(command)}; echo status $?; }}\n"
        script.write_text(f"unset LINES COLUMNS NO_COLOR\n{run}", encoding="utf-8")
        self._shell = f"bash --noprofile --noediting --rcfile {shlex.quote(str(script))} -i"

    def __enter__(self) -> Tmux:
        width, height = self._size
        self._tmux("new-session", "-d", "-x", str(width), "-y", str(height), self._shell)
        self.wait_for("$")
        self.keys("show", "Enter")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            print(self.screen)
        self._tmux("kill-server", check=False)

    @property
    def screen(self) -> str:
        """What the terminal shows."""
        return self._tmux("capture-pane", "-p", check=False)

    @property
    def styled_screen(self) -> str:
        """What it shows, with the escape sequences of colours."""
        return self._tmux("capture-pane", "-p", "-e")

    @property
    def is_restored(self) -> bool:
        """Whether the terminal is in its usual modes: screen, cursor, wrapping, line editing, echo."""
        modes = self._tmux("display-message", "-p", "#{alternate_on}#{cursor_flag}#{wrap_flag} #{pane_tty}").split()
        stty = subprocess.run(["stty", "-a", "-F", modes[1]], capture_output=True, text=True, check=True).stdout.split()
        return modes[0] == "011" and {"icanon", "echo", "ixon"} <= set(stty)

    @property
    def programs(self) -> list[int]:
        """The processes below the shell."""
        shell = self._tmux("display-message", "-p", "#{pane_pid}").strip()
        return [int(pid) for pid in Path(f"/proc/{shell}/task/{shell}/children").read_text().split()]

    def wait_for(self, words: str) -> None:
        """Until the terminal shows these words."""
        self.wait_until(lambda lines: words in "\n".join(lines), repr(words))

    def wait_until(self, holds: Callable[[list[str]], object], what: str = "it") -> None:
        """Until its lines are as wanted. Each look starts a process, so they are not many."""
        deadline = time.monotonic() + _DEADLINE_S
        while not holds(self.screen.splitlines()):
            assert time.monotonic() < deadline, f"{what} did not come to the terminal within {_DEADLINE_S:.0f} s"
            time.sleep(_LOOK_S)

    def keys(self, *names: str) -> None:
        """Press keys, by the names of tmux."""
        self._tmux("send-keys", *names)

    def resize(self, width: int, height: int) -> None:
        """Change the size of the terminal."""
        self._tmux("resize-window", "-x", str(width), "-y", str(height))

    def close(self) -> None:
        """Close the terminal, as the button of its window does."""
        self._tmux("kill-server")

    def _tmux(self, *arguments: str, check: bool = True) -> str:
        return subprocess.run(
            ["tmux", "-S", str(self._socket), "-f", os.devnull, *arguments],
            capture_output=True, encoding="utf-8", check=check, timeout=20, env={**os.environ, "LC_ALL": "C.UTF-8"},
        ).stdout  # fmt: skip
