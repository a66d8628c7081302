"""A doorbell that a thread can wait on beside its socket."""

from __future__ import annotations

import os
import select


class Waker:
    """Rung by any thread, heard by one. `stopping` is set once, by `stop`."""

    def __init__(self) -> None:
        self.stopping = False
        self._read, self._write = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)

    def fileno(self) -> int:
        """To wait on, for reading."""
        return self._read

    def wake(self) -> None:
        """Ring."""
        try:
            os.write(self._write, b"!")
        except BlockingIOError:
            return  # it rings already

    def stop(self) -> None:
        """Ring for the last time."""
        self.stopping = True
        self.wake()

    def wait(self, timeout_s: float) -> bool:
        """Whether it rang in time."""
        poller = select.poll()
        poller.register(self._read, select.POLLIN)
        return bool(poller.poll(max(0.0, timeout_s) * 1000))

    def clear(self) -> None:
        """Forget the rings so far."""
        try:
            while os.read(self._read, 512):
                pass
        except BlockingIOError:
            return  # drained

    def close(self) -> None:
        """Let go of both ends. Nobody may ring any more."""
        os.close(self._read)
        os.close(self._write)
