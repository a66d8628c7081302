"""An HTTP server on loopback that behaves like the Hugging Face hub, with its faults."""

from __future__ import annotations

import hashlib
import json
import threading
from collections import Counter
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace, TracebackType
from typing import Any
from urllib.parse import urlsplit

import pytest

REVISION = "0123456789abcdef0123456789abcdef01234567"


@dataclass
class HubFault:
    """What goes wrong with one file.

    Attributes:
        break_after: bytes after which the connection ends, once for each entry.
        stall_after: bytes after which nothing more comes until the client closes, once for each entry.
        status: status codes of the next answers.
        retry_after_s: what these answers say in `Retry-After`.
        served: the content that is sent in place of the real one.
        ignores_ranges: whether the whole file is sent whatever range is asked for.
    """

    break_after: list[int] = field(default_factory=list)
    stall_after: list[int] = field(default_factory=list)
    status: list[int] = field(default_factory=list)
    retry_after_s: int | None = None
    served: bytes | None = None
    ignores_ranges: bool = False


class FakeHub:
    """Serves `repos` (files by path, by repository): metadata, and files in large storage behind a redirect."""

    def __init__(self, repos: dict[str, dict[str, bytes]]) -> None:
        self.repos = repos
        self.revision = REVISION
        self.faults: dict[str, HubFault] = {}
        self.info_status: list[int] = []
        self.info_changes: dict[str, Any] = {}
        self.requests: list[str] = []
        self.bytes_sent: Counter[str] = Counter()
        hub = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                hub._answer(self)

            def log_message(self, *_: object) -> None:
                pass

        class Server(ThreadingHTTPServer):
            def handle_error(self, *_: object) -> None:
                """A client that closes its connection is no error of the server."""

        self._server = Server(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> FakeHub:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def fault(self, path: str) -> HubFault:
        """Returns the faults of a file, to change them."""
        return self.faults.setdefault(path, HubFault())

    def info(self, repo: str) -> dict[str, Any]:
        """Returns what the hub tells about a repository."""
        siblings = []
        for path, content in self.repos[repo].items():
            one: dict[str, Any] = {
                "rfilename": path,
                "size": len(content),
                "blobId": hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest(),
            }
            if path.endswith((".pt", ".safetensors", ".bin")):
                one["lfs"] = {"size": len(content), "sha256": hashlib.sha256(content).hexdigest(), "pointerSize": 130}
            siblings.append(one)
        return {"_id": "1", "id": repo, "modelId": repo, "sha": self.revision, "siblings": siblings} | self.info_changes

    def _answer(self, request: BaseHTTPRequestHandler) -> None:
        path = urlsplit(request.path).path
        self.requests.append(path)
        if path.startswith("/api/models/"):
            repo = path.removeprefix("/api/models/").partition("/revision/")[0]
            if self.info_status:
                self._send(request, self.info_status.pop(0), b"{}")
            elif repo not in self.repos:
                self._send(request, 404, b"{}", {"X-Error-Code": "RepoNotFound"})
            else:
                self._send(request, 200, json.dumps(self.info(repo)).encode())
        elif path.startswith("/storage/"):
            owner, name, file = path.removeprefix("/storage/").split("/", 2)
            self._serve(request, f"{owner}/{name}", file)
        else:
            owner, name, _, _revision, file = path.removeprefix("/").split("/", 4)
            if file not in self.repos.get(f"{owner}/{name}", {}):
                self._send(request, 404, b"", {"X-Error-Code": "EntryNotFound"})
            elif file.endswith((".pt", ".safetensors", ".bin")):
                self._send(request, 302, b"", {"Location": f"/storage/{owner}/{name}/{file}"})
            else:
                self._serve(request, f"{owner}/{name}", file)

    def _serve(self, request: BaseHTTPRequestHandler, repo: str, path: str) -> None:
        fault = self.fault(path)
        content = self.repos[repo][path] if fault.served is None else fault.served
        if fault.status:
            wait = {} if fault.retry_after_s is None else {"Retry-After": str(fault.retry_after_s)}
            self._send(request, fault.status.pop(0), b"", wait)
            return
        start = 0
        if (asked := request.headers.get("Range")) and not fault.ignores_ranges:
            start = int(asked.removeprefix("bytes=").partition("-")[0])
        body = content[start:]
        headers = {"Content-Range": f"bytes {start}-{len(content) - 1}/{len(content)}"} if start else {}
        stall = fault.stall_after.pop(0) if fault.stall_after else None
        cut = fault.break_after.pop(0) if fault.break_after else stall
        self._send(request, 206 if start else 200, body, headers, cut=cut)
        if stall is not None:
            request.rfile.read(1)  # until the client closes
        self.bytes_sent[path] += len(body) if cut is None else cut

    @staticmethod
    def _send(
        request: BaseHTTPRequestHandler,
        status: int,
        body: bytes,
        headers: dict[str, str] | None = None,
        *,
        cut: int | None = None,
    ) -> None:
        request.send_response(status)
        for name, value in (headers or {}).items():
            request.send_header(name, value)
        request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        request.wfile.write(body[:cut])
        if cut is not None:
            request.close_connection = True


def quick_client(monkeypatch: pytest.MonkeyPatch, chunk_bytes: int) -> list[float]:
    """Lets the hub's client write small chunks (10 MB otherwise) and not sleep. Returns what it would have slept.

    It may connect, also in a process in which speech recognition has forbidden that.
    """
    monkeypatch.setenv("HF_HUB_DISABLE_TELEMETRY", "1")
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    from huggingface_hub import constants, file_download
    from huggingface_hub.utils import _http

    waits: list[float] = []
    monkeypatch.setattr(constants, "DOWNLOAD_CHUNK_SIZE", chunk_bytes)
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_TELEMETRY", True)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    for module in (file_download, _http):
        monkeypatch.setattr(module, "time", SimpleNamespace(sleep=waits.append))
    return waits
