"""A proxy that listens inside a container without a network, and connects from the host."""

from __future__ import annotations

import contextlib
import ctypes
import http.client
import os
import select
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

_CLONE_NEWNET = 0x40000000
_TIMEOUT_S = 60.0
_CHUNK = 1 << 16
_ONE_HOP = {"connection", "proxy-connection", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade"}


class HostProxy:
    """An HTTP proxy on a loopback port of the container. Without it, the container reaches nothing.

    A socket stays in the network namespace in which it was made. One thread makes the listening socket in the
    namespace of the container; the connections to servers are made in that of the host.
    """

    def __init__(self, container_pid: int) -> None:
        listening = _listen_inside(Path(f"/proc/{container_pid}/ns/net"))
        self.url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        self._server = _Server(listening)
        self._thread = threading.Thread(target=self._server.serve_forever, name="host-proxy", daemon=True)
        self._thread.start()

    @property
    def environment(self) -> dict[str, str]:
        """The variables by which apt, pip, uv and curl use it."""
        names = ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY")
        return {**dict.fromkeys(names, self.url), "no_proxy": "127.0.0.1,localhost"}

    def close(self) -> None:
        """Stop listening, and cut the connections that are open: the network is gone."""
        self._server.shutdown()
        self._server.server_close()
        self._server.cut()
        self._thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, listening: socket.socket) -> None:
        super().__init__(listening.getsockname(), _Handler, bind_and_activate=False)
        self.socket.close()
        self.socket = listening
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()

    def process_request(self, request: socket.socket, client_address: object) -> None:  # type: ignore[override]
        with self._lock:
            self._open.add(request)
        super().process_request(request, client_address)  # type: ignore[arg-type]

    def shutdown_request(self, request: socket.socket) -> None:  # type: ignore[override]
        with self._lock:
            self._open.discard(request)
        super().shutdown_request(request)

    def cut(self) -> None:
        with self._lock:
            for request in self._open:
                with contextlib.suppress(OSError):  # the client has gone already
                    request.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: object, client_address: object) -> None:
        """A client or a server that goes away in the middle is no fault of the proxy."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = _TIMEOUT_S

    def do_CONNECT(self) -> None:
        host, _, port = self.path.rpartition(":")
        try:
            server = socket.create_connection((host.strip("[]"), int(port)), _TIMEOUT_S)
        except OSError as error:
            self.send_error(502, str(error))
            return
        with server:
            self.send_response(200, "Connection established")
            self.end_headers()
            self._copy_both_ways(server)
        self.close_connection = True

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        target = url._replace(scheme="", netloc="").geturl()
        headers = {name: value for name, value in self.headers.items() if name.lower() not in _ONE_HOP}
        connection = http.client.HTTPConnection(url.netloc, timeout=_TIMEOUT_S)
        try:
            connection.request(self.command, target, headers=headers)
            response = connection.getresponse()
        except OSError as error:
            self.send_error(502, str(error))
            return
        self.send_response(response.status, response.reason)
        for name, value in response.getheaders():
            if name.lower() not in _ONE_HOP:
                self.send_header(name, value)
        # A body without a length ends with the connection.
        self.close_connection = self.close_connection or response.getheader("Content-Length") is None
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        while data := response.read(_CHUNK):
            self.wfile.write(data)
        connection.close()

    do_HEAD = do_GET  # noqa: N815

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002  (http.server chooses the name)
        pass

    def _copy_both_ways(self, server: socket.socket) -> None:
        other = {self.connection: server, server: self.connection}
        while True:
            readable, _, _ = select.select(list(other), [], [], _TIMEOUT_S)
            if not readable:
                return
            for source in readable:
                data = source.recv(_CHUNK)
                if not data:
                    return
                other[source].sendall(data)


def _listen_inside(namespace: Path) -> socket.socket:
    made: list[socket.socket] = []

    def make() -> None:
        # Only this thread enters the namespace, and it ends with this function.
        with namespace.open("rb") as file:
            if ctypes.CDLL(None, use_errno=True).setns(file.fileno(), _CLONE_NEWNET):
                raise OSError(ctypes.get_errno(), f"{namespace}: {os.strerror(ctypes.get_errno())}")
        made.append(socket.create_server(("127.0.0.1", 0), backlog=64))

    thread = threading.Thread(target=make, name="host-proxy-namespace")
    thread.start()
    thread.join()
    return made[0]
