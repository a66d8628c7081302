"""Reads the gateway's event stream as so many pages do, on one thread."""

from __future__ import annotations

import selectors
import socket
import threading
from types import TracebackType
from urllib.parse import urlsplit

from support.waiting import eventually


class StreamReaders:
    """`with StreamReaders(url, 20) as readers: …`. Inside, each has received its `hello`.

    Attributes:
        received: Bytes that came, for each reader.
    """

    def __init__(self, url: str, count: int) -> None:
        address = urlsplit(url)
        assert address.hostname is not None
        self._address = (address.hostname, address.port or 80)
        self.received = [0] * count
        self._selector = selectors.DefaultSelector()
        self._ends, self._ended = socket.socketpair()
        self._thread = threading.Thread(target=self._read, name="stream-readers")

    def __enter__(self) -> StreamReaders:
        host, port = self._address
        request = f"GET /api/stream HTTP/1.1\r\nHost: {host}:{port}\r\nAccept: text/event-stream\r\n\r\n".encode()
        self._selector.register(self._ended, selectors.EVENT_READ, None)
        for number in range(len(self.received)):
            connection = socket.create_connection(self._address, 20)
            connection.sendall(request)
            self._selector.register(connection, selectors.EVENT_READ, number)
        self._thread.start()
        eventually(lambda: all(count > 500 for count in self.received), "the first message of each stream")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ends.close()
        self._thread.join()
        for key in list(self._selector.get_map().values()):
            key.fileobj.close()  # type: ignore[union-attr]
        self._selector.close()

    def _read(self) -> None:
        while True:
            for key, _ in self._selector.select():
                if key.data is None:
                    return
                data = key.fileobj.recv(1 << 16)  # type: ignore[union-attr]
                assert data, "the gateway has closed a stream"
                self.received[key.data] += len(data)
