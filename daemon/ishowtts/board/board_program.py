"""Runs one of NVIDIA's programs that change the board. Nobody answers its questions, and it cannot hang."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ishowtts.errors import BoardError


class ProgramNotInstalled(BoardError):
    """The program is not on PATH. Another try would not help."""


@dataclass(frozen=True)
class ProgramResult:
    """Exit status of a program, and what it wrote to its standard output and standard error."""

    status: int
    output: str

    @property
    def last_line(self) -> str:
        """The last line of the output, which is the reason of a failure."""
        return next(iter(self.output.strip().splitlines()[-1:]), "without a message")


def run_board_program(
    command: Sequence[str],
    deadline_s: float,
    package: str,
    environment: Mapping[str, str],
    kept_open: Sequence[int] = (),
) -> ProgramResult:
    """Runs a program until it ends. Its standard input is empty, so a question gets no answer.

    Args:
        command: A name on PATH or a path, and the arguments.
        deadline_s: Time limit. The program and its children are killed after it.
        package: NVIDIA's package that holds the program, for the message if it is missing.
        environment: Variables in addition to ours.
        kept_open: Descriptors that the program inherits. A lock on one of them holds until the program has ended.

    Raises:
        BoardError: The program is missing, cannot be started or exceeds the time limit.
    """
    program = shutil.which(command[0])
    if program is None:
        raise ProgramNotInstalled(f"there is no {command[0]} here: this is not a Jetson, or {package} is missing")
    what = " ".join(command)
    try:
        process = subprocess.Popen(
            [program, *command[1:]],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={**os.environ, **environment},
            pass_fds=tuple(kept_open),
            start_new_session=True,
        )
    except OSError as error:
        raise BoardError(f"{what} cannot be started ({error.strerror})") from error
    with process:
        try:
            output, _ = process.communicate(timeout=deadline_s)
        except BaseException as error:
            # The whole group: the program is a shell script, and its children would keep the pipe open.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            if isinstance(error, subprocess.TimeoutExpired):
                raise BoardError(f"{what} did not finish within {deadline_s:g} s and was killed") from error
            raise
    return ProgramResult(process.returncode, output.decode("utf-8", "replace"))
