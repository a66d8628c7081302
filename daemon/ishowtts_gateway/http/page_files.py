"""The files of the page, read once at the start: no path from a request reaches the file system."""

from __future__ import annotations

import hashlib
import logging
from dataclasses import dataclass
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response

from ishowtts_gateway.gateway_error import GatewayError

log = logging.getLogger(__name__)

FOLDER = Path(__file__).resolve().parents[1] / "static"
_KINDS = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".ico": "image/x-icon",
    ".webmanifest": "application/manifest+json",
}


@dataclass(frozen=True)
class PageFile:
    """One file. Browsers keep it, and ask with its `etag` whether it has changed."""

    content: bytes
    kind: str
    etag: str


class PageFiles:
    """The files of a folder, by name. A restart with another version serves the new ones; a running gateway the old."""

    def __init__(self, folder: Path = FOLDER) -> None:
        self._files = {
            path.name: _read(path)
            for path in sorted(folder.glob("*"))
            if path.suffix in _KINDS and path.is_file() and not path.is_symlink()
        }
        if "index.html" not in self._files:
            log.warning("%s has no index.html: this installation has no page", folder)

    def respond(self, request: Request, name: str) -> Response:
        """Returns a file; 304 without it if the client has it.

        Raises:
            GatewayError: 404 if there is no such file.
        """
        file = self._files.get(name)
        if file is None:
            raise GatewayError(404, "the page has no such file")
        headers = {"etag": file.etag, "cache-control": "no-cache"}
        if file.etag in request.headers.get("if-none-match", ""):
            return Response(status_code=304, headers=headers)
        return Response(file.content, headers=headers, media_type=file.kind)


def _read(path: Path) -> PageFile:
    content = path.read_bytes()
    return PageFile(content, _KINDS[path.suffix], f'"{hashlib.sha256(content).hexdigest()[:32]}"')
