"""A self-pipe: wakes a thread that waits in `poll` on a socket as well."""

from __future__ import annotations

import os
import select


class Waker:
    """Any thread wakes it; one thread waits on it. `stop` sets `stopping`, once and for good."""

    def __init__(self) -> None:
        self.stopping = False
        self._read, self._write = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)

    def fileno(self) -> int:
        """Returns the descriptor to wait on for reading."""
        return self._read

    def wake(self) -> None:
        """Ends the present wait, or the next one."""
        try:
            os.write(self._write, b"!")
        except BlockingIOError:
            return  # the pipe is full, so it is readable already

    def stop(self) -> None:
        """Sets `stopping` and wakes the waiting thread."""
        self.stopping = True
        self.wake()

    def wait(self, timeout_s: float) -> bool:
        """Waits until it is woken. Returns False on timeout."""
        poller = select.poll()
        poller.register(self._read, select.POLLIN)
        return bool(poller.poll(max(0.0, timeout_s) * 1000))

    def clear(self) -> None:
        """Discards all wake-ups so far."""
        try:
            while os.read(self._read, 512):
                pass
        except BlockingIOError:
            return  # drained

    def close(self) -> None:
        """Closes the pipe. No thread may call `wake` after this."""
        os.close(self._read)
        os.close(self._write)
