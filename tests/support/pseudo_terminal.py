"""A pseudo terminal whose other end is ours."""

from __future__ import annotations

import contextlib
import os
import termios
from types import TracebackType


class PseudoTerminal:
    """`with PseudoTerminal() as pty: …`.

    Attributes:
        outer, inner: The end of the program that draws terminals, and the one of programs in it.
        path: The file of the inner end.
    """

    def __init__(self) -> None:
        self.outer, self.inner = os.openpty()
        self.path = os.ttyname(self.inner)
        os.set_blocking(self.outer, False)

    def __enter__(self) -> PseudoTerminal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for descriptor in (self.outer, self.inner):
            with contextlib.suppress(OSError):  # a test may have closed it
                os.close(descriptor)

    def read(self) -> str:
        """Everything that was written to it since the last call."""
        found = b""
        with contextlib.suppress(BlockingIOError):
            while True:
                found += os.read(self.outer, 65_536)
        return found.decode()

    @property
    def is_raw(self) -> bool:
        """Whether keys come at once and are not shown."""
        modes = termios.tcgetattr(self.inner)
        return not modes[3] & (termios.ICANON | termios.ECHO)
